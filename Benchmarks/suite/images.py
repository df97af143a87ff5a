"""The images, made when first asked for and kept between runs."""
import os
import shutil

from . import layers, vhd, vhdx, volumes
from .tools import progress, run

VERSION = 1  # to be raised when what is made changes: then older images are not used any more
MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40
SMALL = 16 * MIB
THOUSAND = 1000


class Images:
    def __init__(self, folder, size):
        self.size = size
        self.folder = os.path.join(folder, "images-%dM-v%d" % (size // MIB, VERSION))
        os.makedirs(self.folder, exist_ok=True)

    def get(self, name):
        """The path of an image; of a chain, that of its uppermost one."""
        if name == "thousand":
            return self._made(name, self._thousand)
        if name in CHAINS:
            writer, depth = CHAINS[name]
            folder = self._made(name, lambda path: self._chain(path, name))
            return os.path.join(folder, "%s-%d.%s" % (name, depth - 1, writer.extension))
        extension, make = SINGLE[name]
        return self._made("%s.%s" % (name, extension), lambda path: make(self, path))

    def _made(self, name, make):
        path = os.path.join(self.folder, name)
        if not os.path.exists(path):
            progress("making", name)
            unfinished = os.path.join(self.folder, "unfinished")
            remove(unfinished)
            make(unfinished)
            os.rename(unfinished, path)  # so that an interrupted run leaves no half of an image
        return path

    def raw(self, path):
        with open(path, "wb") as file:
            for _ in range(self.size // MIB):
                file.write(os.urandom(MIB))

    def small_raw(self, path):
        shutil.copyfile(self.get("raw"), path)
        os.truncate(path, SMALL)

    def iso(self, path):
        run("genisoimage", "-quiet", "-R", "-V", "BENCH", "-o", path, self.get("raw"))

    def _chain(self, folder, name):
        writer, depth = CHAINS[name]
        raw = self.get("small-raw" if name == "chain32" else "raw")
        block_size = 512 << 10 if name == "chain32" else 2 << 20
        os.mkdir(folder)
        layers.write_chain(writer, folder, name, layers.Plan(raw, depth, block_size))

    def fixed_vhdx(self, path):
        writer = vhdx.Writer(path, self.size, fixed=True)
        with open(self.get("raw"), "rb") as file:
            for index in range(self.size // writer.block_size):
                writer.put(index, file.read(writer.block_size))
        writer.close()

    def _thousand(self, folder):
        os.mkdir(folder)
        for number in range(THOUSAND):
            vhd.Writer(os.path.join(folder, "small%04d.vhd" % number), 4 * MIB).close()


def empty(writer, size, **options):
    return lambda images, path: writer(path, size or images.size, **options).close()


def dynamic(writer, raw="raw"):
    return lambda images, path: layers.write_dynamic(writer, path, images.get(raw))


def volume(kind):
    return lambda images, path: volumes.write_disk(kind, path, images.get("raw"), 256 * MIB)


CHAINS = {"vhd-diff4": (vhd.Writer, 4), "vhdx-diff4": (vhdx.Writer, 4), "chain32": (vhd.Writer, 32)}
SINGLE = {
    "raw": ("img", Images.raw),
    "iso": ("iso", Images.iso),
    "vhd-fixed": ("vhd", lambda images, path: vhd.write_fixed(path, images.get("raw"))),
    "vhd-dynamic": ("vhd", dynamic(vhd.Writer)),
    "vhd-empty": ("vhd", empty(vhd.Writer, None)),
    "vhdx-fixed": ("vhdx", Images.fixed_vhdx),
    "vhdx-dynamic": ("vhdx", dynamic(vhdx.Writer)),
    "vhdx-empty": ("vhdx", empty(vhdx.Writer, None)),
    "small-raw": ("img", Images.small_raw),
    "small": ("vhd", dynamic(vhd.Writer, "small-raw")),
    "2t": ("vhd", empty(vhd.Writer, 2040 * GIB)),  # the most that the format can
    "64t": ("vhdx", empty(vhdx.Writer, 64 * TIB, block_size=32 * MIB)),  # Windows' default for dynamic disks
    "64t-1m": ("vhdx", empty(vhdx.Writer, 64 * TIB, block_size=1 * MIB)),  # the longest table that there can be
    "ntfs": ("vhd", volume("ntfs")),
    "ext4": ("vhd", volume("ext4")),
}


def remove(path):
    for other in (path, path + ".folder"):
        if os.path.isdir(other):
            shutil.rmtree(other)
        elif os.path.exists(other):
            os.unlink(other)
