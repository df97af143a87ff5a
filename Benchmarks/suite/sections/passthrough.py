"""Images that are the disk's bytes and nothing else, where the kernel can read the file itself (FUSE passthrough)."""
from .. import cache, load
from ..cells import Samples, at_least
from ..servers import Limit, Plain

TITLE = "raw disks and ISO images, against reading the file itself"
TOOLS = ["fio", "genisoimage"]
WHATS = [("seq", "MB/s"), ("rand4k-qd1", "op/s")]


def measure(bench, section):
    if not bench.root:
        section.notes.append("Skipped: only root's daemon may let the kernel pass reads through.")
        return
    for image, words in (("raw", "readonly type=raw"), ("iso", "readonly")):
        path = bench.image(image)
        candidates = {
            "vhdfs": lambda: bench.vhdfs(path, words, ("-o", "passthrough")),
            "file": lambda: Plain(bench.workspace, path),
        }
        if not bench.short:
            candidates["limit-pass"] = lambda: Limit(bench.workspace, bench.limit, path, mode="pass")
        samples = Samples()
        for name in bench.rounds(candidates, "passthrough " + image):
            with candidates[name]() as server:
                drop = name != "file"  # without passthrough, vhdfs's pages are its own; with it, there are none to drop
                speed, _ = load.passes(server, 4 * bench.sequential_bytes, bench.no_reserve,
                                       cache.drop if drop else cache.keep)
                samples.add(name, "seq", speed)
                speeds = load.random_reads(server.file, bench.seconds, bench.no_reserve, ["rand4k-qd1"], drop)
                samples.add(name, "rand4k-qd1", speeds["rand4k-qd1"])
        section.cells += [samples.cell(image, what, unit, peer="file", target=at_least(0.9)) for what, unit in WHATS]
        if "limit-pass" in candidates:
            section.cells += [samples.cell(image, what, unit, peer="limit-pass") for what, unit in WHATS]
