import TestSupport
import Testing

/// Raw and ISO disks that the kernel may read by itself: `-o passthrough`, and what holds without it.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct PassthroughMountTests {
    private static let scene = """
        import ctypes
        libc = ctypes.CDLL(None)
        def as_user(user, body, groups=[7000]):
            pid = os.fork()
            if pid == 0:
                try:
                    os.setgroups(groups); os.setgid(user); os.setuid(user)
                    os._exit(body() or 0)
                except OSError as e: os._exit(e.errno)
                except BaseException as e: print(repr(e), file=sys.stderr, flush=True); os._exit(255)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        content = bytes(range(256)) * 1000
        open('raw', 'wb').write(content)
        subprocess.run('echo hello > file; genisoimage -quiet -o iso file', shell=True, check=True)
        def reading(name, flags=os.O_RDONLY):
            return lambda: os.close(os.open(f'{A}/{name}/disk', flags))

        """

    /// Whoever reads, the rights are the disk's, at each open, also when others have it open already.
    @Test(arguments: ["allow_other", "allow_other,passthrough"])
    func rightsAreCheckedAtEachOpen(options: String) throws {
        try withMount("-o", options, "--manage-group", "7000") { mount in
            try mount.python(
                Self.scene + """
                    for name, words in ('raw', 'readonly type=raw'), ('iso', 'readonly'):
                        os.chown(name, 4000, 4000); os.chmod(name, 0o400)
                        attach(f'{S}/{name} {words}')
                        mine = os.open(f'{A}/{name}/disk', os.O_RDONLY)
                        assert os.fstat(mine).st_mode & 0o777 == 0o400
                        for _ in range(2):
                            assert as_user(4000, reading(name)) == 0
                            assert as_user(4001, reading(name)) == errno.EACCES
                            assert as_user(4001, reading(name, os.O_RDWR)) == errno.EACCES
                            assert os.pread(mine, 100, 0) == open(name, 'rb').read(100)
                        fails(errno.EROFS, os.open, f'{A}/{name}/disk', os.O_RDWR)
                        fails(errno.EBADF, os.write, mine, b'x')
                        fails(errno.EACCES, mmap.mmap, mine, 0, mmap.MAP_SHARED, mmap.PROT_WRITE | mmap.PROT_READ)
                        # The disk is at the end where it says so.
                        size = os.fstat(mine).st_size
                        assert size == os.path.getsize(name)
                        assert os.pread(mine, 4096, size) == b'' and os.pread(mine, 4096, size - 7) == open(name, 'rb').read()[-7:]
                        os.close(mine)
                        detach(name)
                        assert as_user(4000, reading(name)) == errno.ENOENT
                    assert open('raw', 'rb').read() == content
                    """
            )
        }
    }

    /// A file of `/proc` says that it is empty. What its reader would be is the memory map of root's process.
    @Test func filesThatLieAboutTheirLengthAreNotLent() throws {
        try withMount("-o", "allow_other,passthrough", "--manage-group", "7000") { mount in
            try mount.python(
                Self.scene + """
                    def look():
                        for path in '/proc/self/maps', '/proc/self/status', '/proc/self/limits', '/proc/version':
                            if ctl(f'attach {path} readonly type=raw name=x'): continue
                            disk = os.open(A + '/x/disk', os.O_RDONLY)
                            assert os.fstat(disk).st_size == 0
                            seen = os.pread(disk, 4096, 0)
                            assert seen == b'', (path, seen[:200])
                            os.close(disk)
                            assert ctl('detach x') == 0
                    assert as_user(4000, look) == 0
                    """
            )
        }
    }

    /// Without the option, nothing is shown behind the disk's end when its file grows, and a forced end ends what is open.
    @Test func whatPassthroughWouldGiveUp() throws {
        try withMount { mount in
            try mount.python(
                Self.scene + """
                    for name, words in ('raw', 'readonly type=raw'), ('iso', 'readonly'):
                        attach(f'{S}/{name} {words}')
                        disk = os.open(f'{A}/{name}/disk', os.O_RDONLY)
                        size = os.fstat(disk).st_size
                        assert os.pread(disk, 10, 0) == open(name, 'rb').read(10)
                        with open(name, 'ab') as file: file.write(b'added later' * 1000)
                        assert os.pread(disk, 100, size) == b''
                        # A new open, whose pages nobody has read yet.
                        again = os.open(f'{A}/{name}/disk', os.O_RDONLY)
                        os.lseek(again, size - 10, os.SEEK_SET)
                        assert len(os.read(again, 100)) == 10 and os.read(again, 100) == b''
                        os.close(again)
                        assert os.path.getsize(f'{A}/{name}/disk') == size
                        assert ctl(f'detach {name} force') == 0
                        fails(errno.ENXIO, os.pread, disk, 10, 8192)
                        fails(errno.ENXIO, os.pread, disk, 10, 0)
                        os.close(disk)
                    """
            )
        }
    }
}
