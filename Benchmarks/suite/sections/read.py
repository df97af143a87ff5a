"""Reads of images in all formats, against the limit of FUSE and against qemu-storage-daemon."""
from .. import cache, load
from ..cells import Samples, at_least, at_most
from ..servers import Limit, Loop, Plain, Qsd
from ..tools import Failure, run

TITLE = "first reads (image in the host's page cache, disk not)"
TOOLS = ["fio", "qemu-img", "qemu-storage-daemon"]

# All show the same bytes. Those of one line take turns in the same rounds, so that one limit does for them.
GROUPS = [("vhd-dynamic", "vhdx-dynamic"), ("vhd-diff4", "vhdx-diff4"), ("vhd-fixed", "vhdx-fixed")]
# what, unit, target against the limit, against QEMU
COLUMNS = [
    ("seq", "MB/s", at_least(0.9), at_least(4)),
    ("rand4k-qd1", "op/s", at_least(0.9), at_least(2)),
    ("rand4k-16", "op/s", at_least(0.9), at_least(2)),
    ("qd16-direct", "op/s", at_least(0.9), at_least(4)),
    ("cpu", "s/GiB", at_most(1.1), None),
]


def measure(bench, section):
    if not bench.limit:
        section.notes.append("Without root there is no limit to compare with: fuselimit has to mount by itself.")
    # Fixed images are the easiest ones: a short run can do without.
    for group in GROUPS[:2] if bench.short else GROUPS:
        for image in group:
            verify(bench, image)
        candidates = candidates_of(bench, group)
        if len(candidates) == len(group):
            continue  # nothing to compare with
        samples = Samples()
        for name in bench.rounds(candidates, "read " + ", ".join(group)):
            with candidates[name]() as server:
                for what, value in one_round(bench, server, name).items():
                    samples.add(name, what, value)
        for image in group:
            section.cells += cells(image, candidates, samples)


def candidates_of(bench, group):
    raw = bench.image("raw")
    found = {}
    for image in group:
        found["vhdfs " + image] = lambda path=bench.image(image): bench.vhdfs(path)
    if bench.limit:
        found["limit"] = lambda: Limit(bench.workspace, bench.limit, raw)
    for image in group:
        if "diff" not in image:  # QEMU shows a differencing VHD without its parent, and no differencing VHDX
            found["qsd " + image] = lambda path=bench.image(image): Qsd(bench.workspace, path)
    if group == GROUPS[0] and not bench.short:
        found["raw"] = lambda: Plain(bench.workspace, raw)
        if bench.root:
            found["loop"] = lambda: Loop(bench.workspace, raw)
    return found


def one_round(bench, server, name):
    plain = name == "raw"
    total = bench.sequential_bytes // (2 if name.startswith("qsd") else 1)  # it takes its time
    speed, cpu = load.passes(server, total, bench.reserve, cache.keep if plain else cache.evict)
    return {"seq": speed, "cpu": cpu, **load.random_reads(server.file, bench.seconds, bench.reserve, drop=not plain)}


def cells(image, candidates, samples):
    for peer in ("limit", "qsd " + image, "raw", "loop"):
        if peer not in candidates:
            continue
        for what, unit, limit, qsd in COLUMNS:
            if what != "cpu" or peer not in ("raw", "loop"):
                target = limit if peer == "limit" else qsd if peer.startswith("qsd") else None
                yield samples.cell(image, what, unit, "vhdfs " + image, peer, target)


def verify(bench, image):
    """All candidates are to show the same bytes; else speeds would mean nothing."""
    path, raw = bench.image(image), bench.image("raw")
    with bench.vhdfs(path) as server:
        if not load.same(server.file, raw):
            raise Failure("vhdfs shows %s with other contents than it was made from" % image)
    if "diff" not in image:
        run("qemu-img", "compare", "-f", "vhdx" if path.endswith("x") else "vpc", "-F", "raw", path, raw)
