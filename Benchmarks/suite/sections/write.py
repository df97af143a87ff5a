"""Writes to dynamic images, all of whose blocks exist or none, against qemu-storage-daemon."""
import os
import random
import struct
import subprocess
import time

from ..cells import Samples, at_least
from ..servers import Plain, Qsd
from ..tools import Failure, run

TITLE = "writes to copies of dynamic images"
TOOLS = ["qemu-img", "qemu-storage-daemon"]
CLEAN, LEAKS_ONLY = 0, 3  # statuses of `vhdfs check`

CONTENT = bytearray(os.urandom(1 << 20))
# what, unit, against QEMU
COLUMNS = [
    ("seq + fsync", "MB/s", at_least(2)),
    ("rand4k + fsync", "op/s", at_least(5)),
    ("rand4k fsync each", "op/s", at_least(1)),
]


def measure(bench, section):
    for image in ("vhd-dynamic", "vhd-empty", "vhdx-dynamic", "vhdx-empty"):
        copies = Copies(bench, image)
        candidates = {"vhdfs": lambda path: bench.vhdfs(path, ""),
                      "qsd": lambda path: Qsd(bench.workspace, path, writable=True)}
        if not bench.short and image.startswith("vhd-"):  # it is the same for all formats
            candidates["raw"] = lambda path: Plain(bench.workspace, path)
        samples, verified = Samples(), set()
        for name in bench.rounds(candidates, "write " + image):
            for what, _, _ in COLUMNS:
                path = copies.get(name)
                with candidates[name](path) as server:
                    value, written = WAYS[what](bench, server.file)
                samples.add(name, what, value)
                if name == "vhdfs" and what not in verified:
                    verified.add(what)
                    verify(bench, path, written)
        copies.remove()
        subject = image.replace("dynamic", "full")
        for peer in list(candidates)[1:]:
            for what, unit, target in COLUMNS:
                section.cells.append(samples.cell(subject, what, unit, peer=peer, target=target if peer == "qsd" else None))


class Copies:
    """What is written to. A full image is as full after as before, so that one copy does for all rounds; an empty one
    is made anew each time."""

    def __init__(self, bench, image):
        self.image, self.again = bench.image(image), image.endswith("empty")
        self.raw = None if self.again else bench.image("raw")
        self.folder, self.size = bench.workspace.copies, bench.images.size

    def get(self, candidate):
        path = os.path.join(self.folder, candidate + ".img" if candidate == "raw" else candidate + os.path.splitext(self.image)[1])
        if self.again or not os.path.exists(path):
            if candidate == "raw" and self.again:
                with open(path, "wb") as file:
                    file.truncate(self.size)
            else:
                run("cp", "--reflink=auto", "--sparse=auto", self.raw if candidate == "raw" else self.image, path)
            run("sync", path)  # the copy's own dirty pages are not to be flushed in the measurement
        return path

    def remove(self):
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))


def piece(offset, length):
    """What is written to a place: never the same at two places, so that a block that went astray is found out."""
    struct.pack_into("<Q", CONTENT, 0, offset + 1)
    return memoryview(CONTENT)[:length]


def sequential(bench, file):
    offsets = range(0, os.path.getsize(file), 1 << 20)
    seconds, written = timed(file, offsets, 1 << 20, 2 * bench.seconds, each=False)
    return (len(written) << 20) / seconds / 1e6, (written, 1 << 20)


def random_writes(each):
    def measured(bench, file):
        offsets = list(range(0, os.path.getsize(file), 4096))
        random.Random(1).shuffle(offsets)
        # As many for all candidates: who is faster in the same time has more to flush.
        offsets = offsets[:bench.random_writes]
        seconds, written = timed(file, offsets, 4096, (0.5 if each else 2) * bench.seconds, each)
        return len(written) / seconds, (written, 4096)
    return measured


def timed(file, offsets, length, limit, each):
    """Writes pieces, for `limit` seconds at most; (seconds with the last fsync, offsets written)."""
    written = []
    descriptor = os.open(file, os.O_WRONLY)  # as dd and cp do
    start = time.perf_counter()
    for offset in offsets:
        if os.pwrite(descriptor, piece(offset, length), offset) != length:
            raise Failure("short write to " + file)
        if each:
            os.fsync(descriptor)
        written.append(offset)
        if time.perf_counter() - start > limit:
            break
    if not each:
        os.fsync(descriptor)
    seconds = time.perf_counter() - start
    os.close(descriptor)
    return seconds, written


WAYS = {"seq + fsync": sequential, "rand4k + fsync": random_writes(False), "rand4k fsync each": random_writes(True)}


def verify(bench, path, written):
    """The image is sound, and somebody else finds in it what was written."""
    check = subprocess.run([bench.program, "check", path], capture_output=True, text=True)
    if check.returncode not in (CLEAN, LEAKS_ONLY):
        raise Failure("vhdfs check: " + check.stdout.strip()[-500:])
    if path.endswith(".vhdx"):  # QEMU has no check for VHD
        run("qemu-img", "check", "-f", "vhdx", path)
    offsets, length = written
    with Qsd(bench.workspace, path) as server, open(server.file, "rb", buffering=0) as file:
        for offset in offsets[::-(-len(offsets) // 200)]:
            if os.pread(file.fileno(), length, offset) != piece(offset, length):
                raise Failure("what was written at offset %d of %s is not there" % (offset, path))
