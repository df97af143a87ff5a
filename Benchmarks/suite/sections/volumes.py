"""Files inside of volumes, read through `mounts`, against the disk that they lie on."""
import os

from .. import cache, load, volumes
from ..cells import Samples, at_least

TITLE = "sequential read of a file in a volume, against that of the disk"
TOOLS = ["mkntfs", "ntfscp", "mke2fs"]
SIZE = 256 << 20


def measure(bench, section):
    for image in ("ntfs", "ext4"):
        path = bench.image(image)
        samples = Samples()
        # Both are vhdfs's own, so one mount shows them, in turns.
        with bench.vhdfs(path) as server:
            disk = server.file
            file = os.path.join(server.mount, "mounts", image, "p1", volumes.FILE)
            check(file, bench.image("raw"))
            shown = {"file": file, "disk": disk}
            for name in bench.rounds(shown, "volumes " + image):
                server.file = shown[name]
                # As much of the disk as the file is long: what follows is empty, and faster.
                samples.add(name, "seq", load.passes(server, 2 * SIZE, bench.reserve, most=SIZE)[0])
        section.cells.append(samples.cell(image, "seq", "MB/s", ours="file", peer="disk", target=at_least(0.7)))


def check(file, raw):
    with open(file, "rb") as a, open(raw, "rb") as b:
        for _ in range(SIZE >> 20):
            if a.read(1 << 20) != b.read(1 << 20):
                raise load.Failure("vhdfs shows %s with other contents than were put in" % file)
    cache.evict(file)
