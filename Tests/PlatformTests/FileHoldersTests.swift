import Glibc
import Platform
import SystemPackage
import Testing

@Suite struct FileHoldersTests {
    let scratch: ScratchFolder

    init() throws {
        scratch = try ScratchFolder()
    }

    private func name(_ child: ChildProcess) -> FileHolder {
        FileHolder(processID: child.id, name: "python3")
    }

    @Test func findsWhoHasAFileOpenUnderAnyName() throws {
        let path = try scratch.file("a")
        let linked = unsafe link(path.string, scratch("b").string)
        try #require(linked == 0)
        let holders = try [
            ChildProcess.python("import sys\nf = open(sys.argv[1])", scratch("a").string),
            ChildProcess.python("import sys\nf = open(sys.argv[1])", scratch("b").string),
        ]
        let own = try Descriptor(opening: path, flags: O_RDONLY)
        let found = try FileHolders.holding(own.status().identity)
        #expect(Set(found) == Set(holders.map(name)))
        #expect(try FileHolders.holding(own.status().identity, limit: 1).count == 1)
        let other = try scratch.file("c").status().identity
        #expect(FileHolders.holding(other) == [])
    }

    @Test func findsWhoUsesAFolder() throws {
        let made = unsafe mkdir(scratch("in").string, 0o700)
        try #require(made == 0)
        try scratch.file("in/open file")
        try scratch.file("in/mapped file", [1])
        try scratch.file("inside", [1])
        let holders = try [
            ChildProcess.python("import sys\nf = open(sys.argv[1])", scratch("in/open file").string),
            ChildProcess.python("import os, sys\nos.chdir(sys.argv[1])", scratch("in").string),
            ChildProcess.python(
                "import mmap, os, sys\nf = os.open(sys.argv[1], os.O_RDWR)\nm = mmap.mmap(f, 1)\nos.close(f)\n"
                    // The module keeps a copy of the descriptor.
                    + "for n in range(3, 64):\n  try: os.close(n)\n  except OSError: pass",
                scratch("in/mapped file").string
            ),
        ]
        let bystander = try ChildProcess.python("import sys\nf = open(sys.argv[1])", scratch("inside").string)
        let found = FileHolders.holding(below: [scratch("in")])
        #expect(Set(found) == Set(holders.map(name)))
        #expect(!found.contains(name(bystander)))
    }

    @Test func namesAreFitForAMessage() throws {
        let path = try scratch.file("a")
        let holder = try ChildProcess.python(
            "import sys\nf = open(sys.argv[1])\nopen('/proc/self/comm', 'w').write('a\\x1b[2J b')",
            path.string
        )
        let found = try FileHolders.holding(path.status().identity)
        #expect(found == [FileHolder(processID: holder.id, name: "a[2J b")])
    }
}
