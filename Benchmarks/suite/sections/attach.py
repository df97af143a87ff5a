"""How long it takes until a disk can be read, with images small, huge, in long chains, and many."""
import os
import time

from ..cells import Samples, at_most
from ..servers import Qsd
from ..tools import progress

TITLE = "from opening ctl to the first byte of the disk"
TOOLS = ["qemu-storage-daemon"]

SINGLE = {"small": "16 MiB VHD", "2t": "2 TiB VHD", "64t": "64 TiB VHDX", "64t-1m": "64 TiB VHDX, 1 MiB blocks",
          "chain32": "chain of 32 VHDs"}
REPEAT = 4  # one attach is short: more of them in each round


def measure(bench, section):
    samples = Samples()
    one_at_a_time(bench, samples)
    # QEMU would leave out the parents of a chain, and takes seconds, and half a GiB of memory, for the longest table.
    with_peer = [image for image in SINGLE if image != "chain32" and not (bench.short and image == "64t-1m")]
    with_qemu(bench, with_peer, samples)
    many(bench, samples)
    section.cells.append(samples.cell(SINGLE["small"], "attach", "ms", ours="small"))
    for image in list(SINGLE)[1:]:
        section.cells.append(samples.cell(SINGLE[image], "attach − small", "ms", ours=image, peer="small",
                                          target=at_most(5), difference=True))
    for image in SINGLE:
        if image in with_peer:
            section.cells.append(samples.cell(SINGLE[image], "attach", "ms", ours=image, peer="qsd " + image))
    for what, unit, bound in (("attach all", "s", 3), ("RssAnon", "MiB", 64), ("ls -l attached", "ms", 50)):
        section.cells.append(samples.cell("1,000 small VHDs", what, unit, ours="many", target=at_most(bound)))


def one_at_a_time(bench, samples):
    with bench.vhdfs() as server:
        for image in SINGLE:
            attach(server, bench.image(image, warm=False))  # not measured: it fills the page cache with what is needed
        for name in bench.rounds(SINGLE, "attach", REPEAT):
            samples.add(name, "attach − small", milliseconds := attach(server, bench.image(name, warm=False)))
            samples.add(name, "attach", milliseconds)


def attach(server, image):
    start = time.perf_counter()
    name = server.attach(image)
    with open(server.disk(name), "rb", buffering=0) as file:
        file.read(1)
    milliseconds = (time.perf_counter() - start) * 1000
    server.detach(name)
    return milliseconds


def with_qemu(bench, images, samples):
    """From the start of qemu-storage-daemon, which has no way to add an image to a running one by a file."""
    for name in bench.rounds(images, "attach, QEMU"):
        start = time.perf_counter()
        with Qsd(bench.workspace, bench.image(name, warm=False)):
            samples.add("qsd " + name, "attach", (time.perf_counter() - start) * 1000)


def many(bench, samples):
    folder = bench.image("thousand")
    images = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    for _ in bench.rounds(["many"], "attach 1,000"):
        with bench.vhdfs() as server:
            start = time.perf_counter()
            for image in images:
                server.attach(image)
            samples.add("many", "attach all", time.perf_counter() - start)
            samples.add("many", "RssAnon", server.memory() / (1 << 20))
            start = time.perf_counter()
            entries = [os.lstat(entry.path) for entry in os.scandir(os.path.join(server.mount, "attached"))]
            samples.add("many", "ls -l attached", (time.perf_counter() - start) * 1000)
            if len(entries) != len(images):
                progress("only %d of %d are listed" % (len(entries), len(images)))
