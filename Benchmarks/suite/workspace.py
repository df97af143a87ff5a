"""The folder that everything happens in, and the end of everything that was started there."""
import ctypes
import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from .tools import Failure, progress

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


class Workspace:
    def __init__(self, folder):
        self.folder = os.path.realpath(folder)
        self.mounts = os.path.join(self.folder, "mounts")
        self.copies = os.path.join(self.folder, "copies")
        self.program = os.path.join(self.folder, "bin", "vhdfs")
        self.children = []
        os.makedirs(self.folder, exist_ok=True)
        self.lock = open(os.path.join(self.folder, "lock"), "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure("another run uses " + self.folder) from None
        self.clear()  # what a killed run has left

    def new_folder(self):
        return tempfile.mkdtemp(prefix="m", dir=self.mounts)

    def start(self, *command):
        """Starts a server. A session of its own, so that Ctrl-C reaches it only after what it shows was unmounted;
        and it is told if we die without a word."""
        log = open(os.path.join(self.folder, "log-" + os.path.basename(command[0])), "w+")
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                 preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM))
        child.log = log
        self.children.append(child)
        return child

    def stop(self, child):
        """Ends a server of which nothing is mounted any more, or that unmounts by itself."""
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.log.close()
        self.children.remove(child)

    def close(self):
        self.clear()
        os.rmdir(self.mounts)
        os.rmdir(self.copies)
        self.lock.close()

    def clear(self):
        """Ends everything that was started, whatever state it is in."""
        for child in self.children:
            if child.poll() is not None:
                progress("%s has ended by itself, with status %d" % (child.args[0], child.returncode))
        daemons = processes(self.program, self.mounts + "/")
        for point in mounted_below(self.mounts):
            unmount(point)
        for child in list(self.children):
            self.stop(child)
        for device in loop_devices_below(self.folder):
            subprocess.run(["losetup", "-d", device])
        # Daemons end by themselves when their file system is gone; one that hangs must not stay.
        deadline = time.monotonic() + 10
        while any(command_line(pid) for pid in daemons) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in daemons:
            if command_line(pid):
                progress("killing", pid, command_line(pid))
                os.kill(pid, signal.SIGKILL)
        left = mounted_below(self.mounts)
        if left:
            raise Failure("can't unmount " + ", ".join(left))
        for folder in (self.mounts, self.copies):
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)


def mounted_below(folder):
    """Mount points below a folder, the innermost first."""
    with open("/proc/self/mountinfo", "rb") as file:
        points = [re.sub(rb"\\(\d{3})", lambda code: bytes([int(code[1], 8)]), line.split()[4]) for line in file]
    return sorted((point for point in map(os.fsdecode, points) if point.startswith(folder + "/")), reverse=True)


def unmount(point):
    normal, lazy = ("umount", "-l") if os.geteuid() == 0 else ("fusermount3 -u", "-z")
    for command in (normal.split(), normal.split() + [lazy]):
        if subprocess.run(command + [point], capture_output=True).returncode == 0:
            return


def loop_devices_below(folder):
    found = []
    for name in os.listdir("/sys/block"):
        try:
            with open("/sys/block/%s/loop/backing_file" % name) as file:
                if file.read().startswith(folder + "/"):
                    found.append("/dev/" + name)
        except OSError:
            pass
    return found


def command_line(pid):
    """Empty if there is no such process, or it has ended and nobody has taken notice yet."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            return os.fsdecode(file.read().replace(b"\0", b" "))
    except OSError:
        return ""


def processes(program, word):
    """The processes of a program that have a text among their words."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [pid for pid in pids if command_line(pid).startswith(program + " ") and word in command_line(pid)]
