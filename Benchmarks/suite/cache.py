"""The page cache: what is to be in it before a measurement, and what isn't."""
import contextlib
import ctypes
import mmap
import os

from .tools import Failure

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
LIBC.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
LIBC.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)
MADV_HUGEPAGE, MADV_POPULATE_WRITE = 14, 23


def warm(path, most=8 << 30):
    """Reads a file, or the files of a folder, so that measurements don't wait for the host's disk."""
    if os.path.isdir(path):
        for name in os.listdir(path):
            warm(os.path.join(path, name))
        return
    buffer = mmap.mmap(-1, 1 << 20)
    with open(path, "rb", buffering=0) as file:
        while most > 0 and (count := file.readinto(buffer)):
            most -= count


def keep(_):
    """For a file whose pages are the image's own."""


def drop(path):
    """Drops what is cached of a file that a server shows: pages stay over close and open otherwise (KEEP_CACHE)."""
    with open(path, "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def evict(path):
    """As `drop`, and makes sure of it. Not for passthrough, where the pages that are seen are the image's own."""
    drop(path)
    if not path.startswith("/dev/") and (share := cached_share(path)) > 0.01:
        raise Failure("%d %% of %s stay in the page cache" % (100 * share, path))


def cached_share(path):
    """How much of a file is in the page cache. Python's mmap doesn't tell where it is, so libc is asked."""
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        address = LIBC.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), 0)
    if address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap")
    pages = -(-size // mmap.PAGESIZE)
    states = ctypes.create_string_buffer(pages)
    LIBC.mincore(address, size, states)
    LIBC.munmap(address, size)
    return sum(state & 1 for state in states.raw) / pages


class Reserve:
    """Memory that a measured pass will fill with pages of the file.

    The host of a virtual machine takes free memory back, and then the pass would measure how fast the host gives it
    again (0.25 to 2.5 GB/s). So touched memory is held all the time, but for the passes. With size 0 it does nothing.
    """

    def __init__(self, size):
        self.size = min(size, self._available() // 4)
        self.parts = []
        if size:
            self._hold()

    @staticmethod
    def _available():
        with open("/proc/meminfo") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))

    @contextlib.contextmanager
    def freed(self):
        while self.parts:
            self.parts.pop().close()
        yield
        if self.size:
            self._hold()

    def _hold(self):
        for huge in (True, False):
            part = mmap.mmap(-1, self.size // 2, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            if huge:  # read-ahead takes large pages too
                part.madvise(MADV_HUGEPAGE)
            part.madvise(MADV_POPULATE_WRITE)
            self.parts.append(part)
