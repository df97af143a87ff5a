"""The command: what is asked for, what can be done here, and the results."""
import argparse
import hashlib
import json
import os
import platform
import shutil
import signal
import sys
import time

from . import cache, plot, table
from .images import Images
from .sections import attach, passthrough, read, reread, volumes, write
from .servers import Vhdfs
from .tools import Failure, progress, require, run
from .workspace import Workspace

SECTIONS = {"read": read, "passthrough": passthrough, "reread": reread, "write": write, "attach": attach, "volumes": volumes}
HERE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
BUILD = os.path.join(os.path.dirname(HERE), ".build")
NEED_LIMIT = {"read", "passthrough", "reread"}


class Section:
    def __init__(self, name):
        self.name, self.title, self.cells, self.notes = name, SECTIONS[name].TITLE, [], []


class Bench:
    """What the sections measure with."""

    def __init__(self, options, workspace):
        self.workspace = workspace
        self.short, self.root = options.short, os.geteuid() == 0
        self.rounds_wanted = options.rounds or (3 if options.short else 5)
        self.seconds = 0.3 if options.short else 2  # of one test of fio
        self.random_writes = 2048 if options.short else 4096
        self.sequential_bytes = 512 << 20 if options.short else 1 << 30
        self.images = Images(workspace.folder, 256 << 20 if options.short else 1 << 30)
        self.reserve = cache.Reserve(self.images.size * 5 // 4)
        self.no_reserve = cache.Reserve(0)  # where nothing new comes into the page cache
        self.warmed = set()
        self.program = self._program(options.vhdfs)
        self.limit = self._limit() if self.root and NEED_LIMIT & set(options.only) else None

    def _program(self, path):
        """A copy, so that all is measured with the same build, also if somebody builds meanwhile."""
        folder = os.path.dirname(self.workspace.program)
        os.makedirs(folder, exist_ok=True)
        deadline = time.monotonic() + 60
        while not os.path.exists(path):
            if time.monotonic() > deadline:
                raise Failure("there is no %s; build it (make build) or name it with --vhdfs" % path)
            time.sleep(1)
        beside = os.path.dirname(path)
        for source in (path, os.path.join(beside, "vhdfs-volume"), os.path.join(beside, "../libexec/vhdfs/vhdfs-volume")):
            if os.path.exists(source):
                shutil.copy(source, os.path.join(folder, "vhdfs" if source == path else "vhdfs-volume"))
        run(self.workspace.program, "--version")
        return self.workspace.program

    def _limit(self):
        program = os.path.join(self.workspace.folder, "bin", "fuselimit")
        run("cc", "-O2", "-pthread", "-o", program, os.path.join(HERE, "fuselimit.c"))
        return program

    def image(self, name, warm=True):
        path = self.images.get(name)
        if warm and path not in self.warmed:
            self.warmed.add(path)
            chain = os.path.dirname(path)
            cache.warm(path if chain == self.images.folder else chain)
        return path

    def vhdfs(self, image=None, words="readonly", options=()):
        return Vhdfs(self.workspace, self.program, image, words, options)

    def rounds(self, candidates, label, repeat=1):
        """Round 1 of every candidate, then round 2 of every candidate …, each time beginning with another one."""
        names = list(candidates)
        for number in range(self.rounds_wanted * repeat):
            if number % repeat == 0:
                progress("%s, round %d of %d" % (label, number // repeat + 1, self.rounds_wanted))
                wait_for_quiet(0.5 if self.short else 3)
            start = number % len(names)
            yield from names[start:] + names[:start]


def wait_for_quiet(limit):
    """Waits a little for other processes to be done. What is left of them is the same for all candidates of a round."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        before = busy()
        time.sleep(0.1)
        if busy() - before < 0.03:
            return


def busy():
    """Seconds that the processors were at work since the machine was started."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq = map(int, file.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def arguments():
    parser = argparse.ArgumentParser(prog="bench", description="Compares the speed of vhdfs with the limit of FUSE and with its peers.")
    parser.add_argument("--short", action="store_true", help="small images and short tests: under three minutes")
    parser.add_argument("--only", metavar="SECTION,...", type=lambda text: text.split(","), default=list(SECTIONS),
                        help="of " + ", ".join(SECTIONS))
    parser.add_argument("--rounds", metavar="N", type=int, help="default: 5, with --short 3")
    parser.add_argument("--vhdfs", metavar="PATH", default=os.path.join(BUILD, "release", "vhdfs"))
    parser.add_argument("--out", metavar="FOLDER", default=os.path.join(BUILD, "bench"))
    options = parser.parse_args()
    options.vhdfs, options.out = os.path.abspath(options.vhdfs), os.path.abspath(options.out)
    if unknown := set(options.only) - set(SECTIONS):
        parser.error("no such section: " + ", ".join(sorted(unknown)))
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


def main():
    options = arguments()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell has had it ignored, with "&"
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    try:
        return measured(options)
    except Failure as failure:
        print("bench:", failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130


def measured(options):
    root = os.geteuid() == 0
    tools = {"fusermount3"}.union(*(SECTIONS[name].TOOLS for name in options.only))
    if root and NEED_LIMIT & set(options.only):
        tools |= {"cc", "losetup"}
    require(tools)
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise Failure("/dev/fuse can't be opened: there is no FUSE here, or this user may not use it")
    workspace = Workspace(os.path.join(options.out, "work"))
    sections, failed = [], False
    try:
        bench = Bench(options, workspace)
        machine = about(bench)
        print("\n".join(machine), flush=True)
        for name in SECTIONS:
            if name in options.only:
                section = Section(name)
                sections.append(section)
                try:
                    SECTIONS[name].measure(bench, section)
                except (Failure, OSError) as failure:
                    failed = True
                    section.notes.append("FAILED: %s" % failure)
                    workspace.clear()
                print(table.text(section), flush=True)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave mounts
        workspace.close()
    print("\n" + summary(sections))
    save(options.out, machine, sections)
    return 1 if failed else 0


def about(bench):
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())
    with open(bench.program, "rb") as file:
        build = hashlib.file_digest(file, "sha256").hexdigest()[:12]
    missing = "" if bench.root else "; not root: no loop devices, no passthrough, no read-ahead, no limit"
    return [
        "vhdfs %s (sha256 %s…), Linux %s, %d processors (%s)"
        % (run(bench.program, "--version").strip(), build, platform.release(), os.cpu_count(), model),
        "%s run, rounds: %d, images of %d MiB%s" % ("short" if bench.short else "full", bench.rounds_wanted,
                                                    bench.images.size >> 20, missing),
        "results are medians of the ratios (vhdfs / peer) of the rounds; spread: smallest and largest of them",
    ]


def summary(sections):
    judged = [cell.met for section in sections for cell in section.cells if cell.target]
    return "%d of %d targets met" % (sum(judged), len(judged))


def save(folder, machine, sections):
    with open(os.path.join(folder, "results.txt"), "w") as file:
        file.write("\n".join(machine + [table.text(section) for section in sections] + ["", summary(sections)]) + "\n")
    with open(os.path.join(folder, "results.json"), "w") as file:
        json.dump({"about": machine, "sections": [{"name": section.name, "title": section.title, "notes": section.notes,
                                                   "cells": [cell.as_json() for cell in section.cells]} for section in sections]},
                  file, indent=1)
    with open(os.path.join(folder, "results.svg"), "w") as file:
        file.write(plot.svg(machine, sections))
    progress("results.txt, results.json and results.svg are in", folder)
