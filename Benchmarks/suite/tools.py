"""Programs that the suite runs, and where it says what it does."""
import os
import shutil
import subprocess
import sys
import time

# Users' PATHs lack the folders where Debian has losetup, mkntfs and mke2fs.
os.environ["PATH"] += ":/usr/sbin:/sbin"

PACKAGES = {
    "cc": "gcc libc6-dev", "fio": "fio", "fusermount3": "fuse3", "genisoimage": "genisoimage", "losetup": "mount",
    "mke2fs": "e2fsprogs", "mkntfs": "ntfs-3g", "ntfscp": "ntfs-3g", "qemu-img": "qemu-utils",
    "qemu-storage-daemon": "qemu-system-common",
}
STARTED = time.monotonic()


class Failure(Exception):
    """Ends the suite, with one line that says why."""


def progress(*words):
    print("[%5.1f s]" % (time.monotonic() - STARTED), *words, file=sys.stderr, flush=True)


def require(names):
    missing = sorted(name for name in names if not shutil.which(name))
    if missing:
        packages = sorted({PACKAGES[name] for name in missing})
        raise Failure("missing programs: %s. On Debian: apt-get install %s" % (", ".join(missing), " ".join(packages)))


def run(*command, **options):
    """Runs a program to its end; if that fails, its message is ours."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    if done.returncode:
        words = (done.stderr or done.stdout).strip()[-500:]
        raise Failure("%s failed (%d): %s" % (" ".join(command), done.returncode, words))
    return done.stdout
