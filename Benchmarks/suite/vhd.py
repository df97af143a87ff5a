"""Writes VHD images: fixed, dynamic and differencing, without any library (QEMU can't write the last kind)."""
import os
import struct
import time
import uuid

SECTOR = 512
EPOCH_2000 = 946684800
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
UNALLOCATED = 0xFFFFFFFF


def checksum(data):
    return ~sum(data) & 0xFFFFFFFF


def geometry(size):
    """Cylinders, heads and sectors, by the algorithm of the format's appendix."""
    total = min(size // SECTOR, 65535 * 16 * 255)
    if total >= 65535 * 16 * 63:
        return struct.pack(">HBB", total // 255 // 16, 16, 255)
    heads, sectors = max(4, (total // 17 + 1023) // 1024), 17
    if total // 17 >= heads * 1024 or heads > 16:
        heads, sectors = 16, 31
    if total // sectors >= heads * 1024:
        heads, sectors = 16, 63
    return struct.pack(">HBB", total // sectors // heads, heads, sectors)


def footer(size, kind, identifier, timestamp):
    data = bytearray(SECTOR)
    # The creator is Windows: for others QEMU takes the size from the geometry, which rounds it.
    struct.pack_into(">8sIIQI4sI4sQQ4sI", data, 0, b"conectix", 2, 0x10000,
                     2**64 - 1 if kind == FIXED else SECTOR, timestamp, b"win ", 0x60001, b"Wi2k",
                     size, size, geometry(size), kind)
    data[68:84] = identifier
    struct.pack_into(">I", data, 64, checksum(data))
    return bytes(data)


def write_fixed(path, raw):
    with open(raw, "rb") as source, open(path, "wb") as image:
        while data := source.read(1 << 20):
            image.write(data)
        image.write(footer(os.path.getsize(raw), FIXED, uuid.uuid4().bytes, int(time.time()) - EPOCH_2000))


class Writer:
    """A dynamic image or, with a parent (the parent's Writer), a differencing one. Blocks lie in the order of `put`."""

    extension = "vhd"

    def __init__(self, path, size, parent=None, block_size=2 << 20):
        self.path, self.size, self.block_size = path, size, block_size
        self.identifier, self.timestamp = uuid.uuid4().bytes, int(time.time()) - EPOCH_2000
        self.count = -(-size // block_size)
        self.table = [UNALLOCATED] * self.count
        self.table_offset = SECTOR + 1024
        self.table_size = -(-self.count * 4 // SECTOR) * SECTOR
        self.bitmap_size = -(-(block_size // SECTOR // 8) // SECTOR) * SECTOR
        self.footer = footer(size, DIFFERENCING if parent else DYNAMIC, self.identifier, self.timestamp)
        self.end = self.table_offset + self.table_size
        self.file = open(path, "wb")
        locator = self._locator(parent)
        self.file.write(self.footer + self._header(parent, locator))
        self.file.write(b"\xff" * self.table_size)
        if parent:
            self.file.write(locator.ljust(SECTOR, b"\0"))
            self.end += SECTOR

    @staticmethod
    def _locator(parent):
        return (".\\" + os.path.basename(parent.path)).encode("utf-16-le") if parent else b""

    def _header(self, parent, locator):
        data = bytearray(1024)
        struct.pack_into(">8sQQIII", data, 0, b"cxsparse", 2**64 - 1, self.table_offset, 0x10000,
                         self.count, self.block_size)
        if parent:
            data[40:56] = parent.identifier
            struct.pack_into(">I", data, 56, parent.timestamp)
            name = os.path.basename(parent.path).encode("utf-16-be")
            data[64:64 + len(name)] = name
            struct.pack_into(">4sIIIQ", data, 576, b"W2ru", SECTOR, len(locator), 0, self.end)
        struct.pack_into(">I", data, 36, checksum(data))
        return bytes(data)

    def put(self, index, data, runs=None):
        """Adds a block; `runs` are the (first, count) of sectors that it holds, None means all."""
        bitmap = bytearray(b"" if runs else b"\xff" * (self.block_size // SECTOR // 8)).ljust(self.bitmap_size, b"\0")
        for first, count in runs or ():
            for sector in range(first, first + count):
                bitmap[sector >> 3] |= 0x80 >> (sector & 7)
        self.table[index] = self.end // SECTOR
        self.file.seek(self.end)
        self.file.write(bitmap)
        self.file.write(data.ljust(self.block_size, b"\0"))
        self.end += self.bitmap_size + self.block_size

    def close(self):
        self.file.seek(self.end)
        self.file.write(self.footer)
        self.file.seek(self.table_offset)
        self.file.write(struct.pack(">%dI" % self.count, *self.table))
        self.file.close()
