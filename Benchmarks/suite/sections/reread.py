"""Reading a disk again after it was closed: it should come from the page cache."""
from .. import cache, load
from ..cells import Samples, at_least
from ..servers import Limit

TITLE = "second sequential read, after close and open"
TOOLS = []
IMAGES = ["vhd-dynamic", "vhdx-diff4"]


def measure(bench, section):
    if not bench.limit:
        section.notes.append("Skipped without root: fuselimit, to compare with, has to mount by itself.")
        return
    for image in IMAGES:
        path, raw = bench.image(image), bench.image("raw")
        candidates = {
            "vhdfs": lambda: bench.vhdfs(path),
            "limit-keep": lambda: Limit(bench.workspace, bench.limit, raw, "-k"),
        }
        samples = Samples()
        for name in bench.rounds(candidates, "reread " + image):
            with candidates[name]() as server:
                load.read_through(server.file)
                samples.add(name, "seq again", load.passes(server, bench.sequential_bytes, bench.no_reserve, cache.keep)[0])
                cache.drop(server.file)
        section.cells.append(samples.cell(image, "seq again", "MB/s", peer="limit-keep", target=at_least(0.8)))
