"""Makes disks with one partition, which holds a file system with one big file."""
import os
import shutil
import struct

from . import layers, vhd
from .tools import run

START = 1 << 20  # of the partition
FILE = "data.bin"
ROOM = 48 << 20  # for the structures of the file system


def write_disk(kind, path, source, size):
    """A dynamic VHD with the first `size` bytes of `source` as FILE in a volume of `kind`."""
    folder = path + ".folder"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "content"))
    content, volume, disk = (os.path.join(folder, name) for name in ("content/" + FILE, "volume", "disk"))
    with open(source, "rb") as a, open(content, "wb") as b:
        for _ in range(size >> 20):
            b.write(a.read(1 << 20))
    with open(volume, "wb") as file:
        file.truncate(size + ROOM)
    if kind == "ntfs":
        run("mkntfs", "-F", "-Q", "-q", "-p", str(START // 512), "-H", "255", "-S", "63", volume)
        run("ntfscp", "-q", "-f", volume, content, FILE)
    else:
        run("mke2fs", "-q", "-F", "-t", kind, "-d", os.path.dirname(content), volume)
    with open(volume, "rb") as a, open(disk, "wb") as b:
        b.write(boot_record(0x07 if kind == "ntfs" else 0x83, os.path.getsize(volume)))
        b.seek(START)
        shutil.copyfileobj(a, b, 1 << 20)
    layers.write_dynamic(vhd.Writer, path, disk)
    shutil.rmtree(folder)


def boot_record(kind, size):
    """A master boot record with one partition. The geometry is the one that says 'use the block addresses'."""
    entry = struct.pack("<B3sB3sII", 0, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", START // 512, size // 512)
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"
