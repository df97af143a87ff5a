"""What is done to a file, and how fast it was."""
import json
import mmap
import os
import subprocess
import time

from . import cache
from .tools import Failure

STEP = 1 << 20
BUFFER = mmap.mmap(-1, STEP)
GIB = 1 << 30


def read_through(path, most=None):
    """Reads a file from its beginning in steps of 1 MiB; (bytes, seconds from open to close)."""
    start, done = time.perf_counter(), 0
    with open(path, "rb", buffering=0) as file:
        while (most is None or done < most) and (count := file.readinto(BUFFER)):
            done += count
    return done, time.perf_counter() - start


def passes(server, total, reserve, drop=cache.evict, most=None):
    """Reads the file again and again until `total` bytes were read, each time as if for the first time, unless `drop`
    says otherwise; (MB/s, seconds of the server's processor time for each GiB)."""
    done = seconds = cpu = 0
    drop(server.file)
    while done < total:
        with reserve.freed():
            before = server.cpu()
            count, duration = read_through(server.file, most)
            cpu += server.cpu() - before
            drop(server.file)
        done, seconds = done + count, seconds + duration
    return done / seconds / 1e6, cpu / done * GIB


RANDOM = {
    "rand4k-qd1": ["--ioengine=psync"],
    "rand4k-16": ["--ioengine=psync", "--numjobs=16"],
    "qd16-direct": ["--ioengine=libaio", "--iodepth=16", "--direct=1"],
}


def random_reads(path, seconds, reserve, names=tuple(RANDOM), drop=True):
    """Operations a second of random reads of 4 KiB by fio, for each of the names in RANDOM.

    No block is read twice, so a test may end early, when it has read all. One fio runs them one after another, since
    starting it takes as long as a short test. Before each it drops what is cached of the file, if told to.
    """
    size = os.path.getsize(path) if not path.startswith("/dev/") else device_size(path)
    # fio gives colons in file names a meaning; the bare name in the current folder has none.
    command = ["fio", "--output-format=json", "--thread", "--group_reporting", "--allow_file_create=0"]
    for name in names:
        jobs = 16 if "--numjobs=16" in RANDOM[name] else 1
        part = size // jobs // 4096 * 4096
        command += ["--name=" + name, "--stonewall", "--filename=" + os.path.basename(path), "--rw=randread", "--bs=4k",
                    "--readonly", "--runtime=%dms" % (seconds * 1000), "--size=%d" % part,
                    "--offset_increment=%d" % (part if jobs > 1 else 0), "--invalidate=%d" % drop] + RANDOM[name]
    with reserve.freed():
        done = subprocess.run(command, cwd=os.path.dirname(path), stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if drop:
            cache.drop(path)
    try:
        jobs = json.loads(done.stdout[done.stdout.index("{"):])["jobs"]
        if len(jobs) != len(names) or any(job["error"] or not job["read"]["runtime"] for job in jobs):
            raise ValueError
    except ValueError:
        raise Failure("fio on %s failed: %s" % (path, (done.stderr or done.stdout).strip()[-500:])) from None
    # Bytes over milliseconds of the whole group; "iops" of a group of threads is a sum of their own rates.
    return {job["jobname"]: job["read"]["total_ios"] / (job["read"]["runtime"] / 1000) for job in jobs}


def device_size(path):
    with open(path, "rb") as file:
        return file.seek(0, os.SEEK_END)


def same(path, other):
    """Whether two files have the same bytes."""
    if os.path.getsize(path) != os.path.getsize(other):
        return False
    with open(path, "rb") as a, open(other, "rb") as b:
        while True:
            x, y = a.read(STEP), b.read(STEP)
            if x != y:
                return False
            if not x:
                return True
