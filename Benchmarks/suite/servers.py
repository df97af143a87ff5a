"""The programs that are compared, all with the same face: start, a file to read, processor time, end."""
import os
import shlex
import time

from .tools import Failure, run
from .workspace import processes, unmount

CLOCK_OF_PROCESS = 2  # CPUCLOCK_SCHED of linux/posix-timers.h


class Server:
    """`with Vhdfs(…) as server:` starts it and shows `server.file`."""

    file = None
    child = None

    def __init__(self, workspace):
        self.workspace = workspace

    def __enter__(self):
        self.start()  # if that fails, the workspace ends what is there already
        return self

    def __exit__(self, *_):
        self.end()

    def start(self):
        pass

    def end(self):
        pass

    def pids(self):
        return [self.child.pid] if self.child else []

    def cpu(self):
        """Seconds of processor time so far. From the process's clock, since /proc/PID/stat counts in steps of 10 ms."""
        return sum(time.clock_gettime(~pid << 3 | CLOCK_OF_PROCESS) for pid in self.pids())

    def wait_for_file(self, first_device):
        """Until the file is another file system's and has a first byte."""
        deadline = time.monotonic() + 60
        while True:
            try:
                if os.stat(self.file).st_dev != first_device:
                    with open(self.file, "rb", buffering=0) as file:
                        if file.read(1):
                            return
            except OSError:
                pass
            if self.child.poll() is not None or time.monotonic() > deadline:
                self.child.log.seek(0)
                raise Failure("%s didn't start: %s" % (self.child.args[0], self.child.log.read()[-500:].strip()))
            time.sleep(0.0002)


class Plain(Server):
    """A file that nobody serves but the kernel."""

    def __init__(self, workspace, file):
        super().__init__(workspace)
        self.file = file


class Vhdfs(Server):
    """The daemon as users start it. With an image, that is attached and shown; without, see `attach`."""

    def __init__(self, workspace, program, image=None, words="readonly", options=()):
        super().__init__(workspace)
        self.program, self.image, self.words, self.options = program, image, words, options

    def start(self):
        self.mount = self.workspace.new_folder()
        state = os.path.join(self.workspace.folder, "state")
        run(self.program, self.mount, "--state-dir", state, *self.options)
        self.control = os.path.join(self.mount, "ctl")
        self._pids = processes(self.program, self.mount)
        if self.image:
            self.file = self.disk(self.attach(self.image, self.words))

    def end(self):
        run(self.program, "unmount", self.mount)
        os.rmdir(self.mount)

    def pids(self):
        return self._pids

    def attach(self, image, words="readonly"):
        """As `echo attach … > ctl` does it. Returns the name that the image has then."""
        self.request("attach %s %s" % (shlex.quote(image), words))
        return os.path.splitext(os.path.basename(image))[0]

    def detach(self, name):
        self.request("detach " + name)

    def request(self, line):
        descriptor = os.open(self.control, os.O_WRONLY)
        try:
            os.write(descriptor, line.encode() + b"\n")
        except OSError as error:
            raise Failure("vhdfs: %s: %s: %s" % (line, error.strerror, self.reason())) from None
        finally:
            os.close(descriptor)

    def reason(self):
        with open(self.control, encoding="utf-8", errors="replace") as file:
            return " ".join(line[2:].strip() for line in file if line.startswith("# error"))

    def disk(self, name):
        return os.path.join(self.mount, "attached", name, "disk")

    def memory(self):
        """Bytes of anonymous memory of the daemon; its helper shares most of its own with it."""
        found = []
        for pid in self.pids():
            with open("/proc/%d/status" % pid) as file:
                found += [int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon")]
        return max(found)


class Limit(Server):
    """fuselimit.c: the least that a FUSE server can do. What it costs is FUSE's own cost."""

    def __init__(self, workspace, program, file, *options, mode="buf"):
        super().__init__(workspace)
        self.command = (program, "-m", mode, "-t", "2", "-b", "4096", *options, file)

    def start(self):
        self.mount = self.workspace.new_folder()
        device = os.stat(self.mount).st_dev
        self.file = os.path.join(self.mount, "disk")
        self.child = self.workspace.start(*self.command, self.mount)
        self.wait_for_file(device)

    def end(self):
        unmount(self.mount)
        self.workspace.stop(self.child)
        os.rmdir(self.mount)


class Qsd(Server):
    """qemu-storage-daemon's FUSE export, which shows the disk as one file."""

    def __init__(self, workspace, image, writable=False):
        super().__init__(workspace)
        self.image, self.writable = image, writable

    def start(self):
        self.folder = self.workspace.new_folder()
        self.file = os.path.join(self.folder, "disk")
        open(self.file, "w").close()
        device = os.stat(self.file).st_dev
        driver = {".vhd": "vpc", ".vhdx": "vhdx"}.get(os.path.splitext(self.image)[1], "raw")
        only = "" if self.writable else ",read-only=on"
        self.child = self.workspace.start(
            "qemu-storage-daemon",
            "--blockdev", "driver=file,node-name=f,filename=%s%s" % (option(self.image), only),
            "--blockdev", "driver=%s,node-name=d,file=f%s" % (driver, only),
            "--export", "type=fuse,id=e,node-name=d,mountpoint=%s,writable=%s"
            % (option(self.file), "on" if self.writable else "off"))
        self.wait_for_file(device)

    def end(self):
        self.workspace.stop(self.child)
        os.unlink(self.file)
        os.rmdir(self.folder)


class Loop(Server):
    """The kernel's loop device on a raw file: what a disk costs without FUSE."""

    def __init__(self, workspace, file):
        super().__init__(workspace)
        self.backing = file

    def start(self):
        self.file = run("losetup", "-r", "-f", "--show", self.backing).strip()

    def end(self):
        run("losetup", "-d", self.file)


def option(text):
    """A value in an option of QEMU's, where a comma ends it."""
    return text.replace(",", ",,")

