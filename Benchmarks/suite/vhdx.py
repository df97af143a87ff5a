"""Writes VHDX images: fixed, dynamic and differencing, without any library (QEMU can't write the last kind)."""
import os
import struct
import uuid

SECTOR = 512
MIB = 1 << 20
LOG, METADATA, TABLE = 1 * MIB, 2 * MIB, 3 * MIB  # where Windows puts them
FULLY_PRESENT, PARTIALLY_PRESENT, BITMAP_PRESENT = 6, 7, 6
REQUIRED, OF_DISK = 4, 2


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _crc_entry(value):
    for _ in range(8):
        value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value


CRC_TABLE = [_crc_entry(i) for i in range(256)]


def guid(text):
    return uuid.UUID(text).bytes_le


def with_checksum(data, size):
    data = bytearray(data.ljust(size, b"\0"))
    struct.pack_into("<I", data, 4, crc32c(data))
    return bytes(data)


class Writer:
    """A dynamic (or fixed) image or, with a parent (the parent's Writer), a differencing one. Blocks lie in the order of `put`."""

    extension = "vhdx"

    def __init__(self, path, size, parent=None, block_size=2 << 20, fixed=False):
        self.path, self.size, self.block_size = path, size, block_size
        self.parent, self.fixed = parent, fixed
        self.disk_identifier = parent.disk_identifier if parent else uuid.uuid4().bytes_le
        self.data_write = uuid.uuid4()
        self.ratio = (1 << 23) * SECTOR // block_size  # payload blocks for each block of bitmaps
        count = -(-size // block_size)
        entries = -(-count // self.ratio) * (self.ratio + 1) if parent else count + (count - 1) // self.ratio
        self.table_size = -(-entries * 8 // MIB) * MIB
        self.end = TABLE + self.table_size
        self.bitmaps = {}
        self.entries = {}
        self.file = open(path, "wb")

    def put(self, index, data, runs=None):
        """Adds a block; `runs` are the (first, count) of sectors that it holds, None means all."""
        chunk, place = divmod(index, self.ratio)
        self.entries[index + chunk] = self.end | (PARTIALLY_PRESENT if runs else FULLY_PRESENT)
        if runs:
            bitmap = self.bitmaps.setdefault(chunk, bytearray(MIB))
            for first, count in runs:
                for sector in range(first, first + count):
                    bit = place * (self.block_size // SECTOR) + sector
                    bitmap[bit >> 3] |= 1 << (bit & 7)
        self.file.seek(self.end)
        self.file.write(data.ljust(self.block_size, b"\0"))
        self.end += self.block_size

    def close(self):
        for chunk, bitmap in self.bitmaps.items():
            self.entries[(chunk + 1) * self.ratio + chunk] = self.end | BITMAP_PRESENT
            self._write(self.end, bitmap)
            self.end += MIB
        self._write(0, b"vhdxfile" + "vhdfs benchmark".encode("utf-16-le"))
        file_write = uuid.uuid4().bytes_le
        for sequence, offset in ((1, 64 << 10), (2, 128 << 10)):
            self._write(offset, self._header(sequence, file_write))
        for offset in (192 << 10, 256 << 10):
            self._write(offset, self._regions())
        self._write(METADATA, self._metadata())
        # One entry at a time: the table of 64 TiB in blocks of 1 MiB is 512 MiB long, and empty.
        for index, entry in self.entries.items():
            self._write(TABLE + 8 * index, struct.pack("<Q", entry))
        self.file.truncate(self.end)
        self.file.close()

    def _write(self, offset, data):
        self.file.seek(offset)
        self.file.write(data)

    def _header(self, sequence, file_write):
        no_log = bytes(16)
        return with_checksum(struct.pack("<4sIQ16s16s16sHHIQ", b"head", 0, sequence, file_write,
                                         self.data_write.bytes_le, no_log, 0, 1, MIB, LOG), 4096)

    def _regions(self):
        data = struct.pack("<4sIII", b"regi", 0, 2, 0)
        data += struct.pack("<16sQII", guid("2DC27766-F623-4200-9D64-115E9BFD4A08"), TABLE, self.table_size, 1)
        data += struct.pack("<16sQII", guid("8B7CA206-4790-4B9A-B8FE-575F050F886E"), METADATA, MIB, 1)
        return with_checksum(data, 64 << 10)

    def _metadata(self):
        flags = (1 if self.fixed else 0) | (2 if self.parent else 0)
        items = [
            ("CAA16737-FA36-4D43-B3B6-33F0AA44E76B", REQUIRED, struct.pack("<II", self.block_size, flags)),
            ("2FA54224-CD1B-4876-B211-5DBED83BF4B8", REQUIRED | OF_DISK, struct.pack("<Q", self.size)),
            ("BECA12AB-B2E6-4523-93EF-C309E000C746", REQUIRED | OF_DISK, self.disk_identifier),
            ("8141BF1D-A96F-4709-BA47-F233A8FAAB5F", REQUIRED | OF_DISK, struct.pack("<I", SECTOR)),
            ("CDA348C7-445D-4471-9CC9-E9885251C556", REQUIRED | OF_DISK, struct.pack("<I", 4096)),
        ]
        if self.parent:
            items.append(("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C", REQUIRED, self._locator()))
        table = struct.pack("<8sHH20x", b"metadata", 0, len(items))
        content, offset = b"", 64 << 10
        for name, item_flags, value in items:
            table += struct.pack("<16sIIII", guid(name), offset + len(content), len(value), item_flags, 0)
            content += value
        return table.ljust(offset, b"\0") + content

    def _locator(self):
        pairs = {"parent_linkage": "{%s}" % self.parent.data_write,
                 "relative_path": ".\\" + os.path.basename(self.parent.path)}
        head = guid("B04AEFB7-D19E-4A81-B789-25B8E9445913") + struct.pack("<HH", 0, len(pairs))
        texts, start = b"", len(head) + 12 * len(pairs)
        for key, value in pairs.items():
            key, value = key.encode("utf-16-le"), value.encode("utf-16-le")
            position = start + len(texts)
            head += struct.pack("<IIHH", position, position + len(key), len(key), len(value))
            texts += key + value
        return head + texts
