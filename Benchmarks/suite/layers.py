"""Spreads the contents of a raw file over the layers of a chain of images, and over each layer's file.

The merged contents are the raw file's, so that one reference serves all images. What a layer above replaces is
inverted in the layers below, so that a reader that takes a sector from the wrong layer is found out.
"""
import os
import random

SECTOR = 512
INVERT = bytes(255 - i for i in range(256))


class Plan:
    """Which layer holds which block, and which sectors a layer above replaces."""

    def __init__(self, raw, depth, block_size=2 << 20, seed=1):
        self.raw, self.depth, self.block_size, self.seed = raw, depth, block_size, seed
        self.size = os.path.getsize(raw)
        self.count = -(-self.size // block_size)
        chance = random.Random(seed)
        self.owner = [chance.randrange(depth) for _ in range(self.count)]
        self.overlay = {}
        for index in range(0, self.count, 5):
            if self.owner[index] < depth - 1:
                layer = chance.randrange(self.owner[index] + 1, depth)
                self.overlay[index] = (layer, sorted(self._run(chance) for _ in range(6)))

    def _run(self, chance):
        """4 to 128 KiB of a block, in units of 4 KiB as guests write."""
        count = 8 * chance.randint(1, 32)
        return 8 * chance.randrange((self.block_size // SECTOR - count) // 8), count

    def blocks(self, layer):
        """(index, data, runs or None) of what a layer holds. Shuffled: in the order of the disk, as QEMU's converter
        writes them, a block table that is read wrongly, or slowly, would not show."""
        order = list(range(self.count))
        random.Random(self.seed + layer).shuffle(order)
        with open(self.raw, "rb", buffering=0) as file:
            for index in order:
                overlay, runs = self.overlay.get(index, (None, None))
                if layer not in (0, self.owner[index], overlay):
                    continue
                data = os.pread(file.fileno(), self.block_size, index * self.block_size)
                if self.depth == 1:
                    if data.count(0) < len(data):
                        yield index, data, None
                elif layer == overlay:
                    yield index, self._merged(data.translate(INVERT), data, runs), runs
                elif layer == self.owner[index]:
                    yield index, self._merged(data, data.translate(INVERT), runs or ()), None
                else:
                    yield index, data.translate(INVERT), None

    @staticmethod
    def _merged(below, above, runs):
        merged = bytearray(below)
        for first, count in runs:
            part = slice(first * SECTOR, (first + count) * SECTOR)
            merged[part] = above[part]
        return bytes(merged)


def write_chain(make_writer, folder, name, plan):
    """Writes the layers as NAME-0 (the base) … NAME-N, with N = depth - 1."""
    parent = None
    for layer in range(plan.depth):
        path = os.path.join(folder, "%s-%d.%s" % (name, layer, make_writer.extension))
        writer = make_writer(path, plan.size, parent, plan.block_size)
        for index, data, runs in plan.blocks(layer):
            writer.put(index, data, runs)
        writer.close()
        parent = writer


def write_dynamic(make_writer, path, raw):
    plan = Plan(raw, depth=1)
    writer = make_writer(path, plan.size, None, plan.block_size)
    for index, data, _ in plan.blocks(0):
        writer.put(index, data)
    writer.close()
