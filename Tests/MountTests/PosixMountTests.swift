import TestSupport
import Testing

/// What POSIX says of files and directories, as far as it applies here: one file of cases for each part. Ours alone, after the manual pages and the
/// lists of what pjdfstest and libfuse's own tests look at.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct PosixMountTests {
    /// A mount with `a.vhd`, `b.vhd` and `e.img`, ext4 with a file, a hard and a symbolic link to it, and 3000 names in one folder.
    private func check(_ script: String) throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            try mount.makeVHD("b.vhd", fill: 2)
            try mount.check(
                """
                mkdir src src/folder src/many; echo content > src/file; ln src/file src/hard; ln -s file src/link
                (cd src/many; seq -f 'entry-with-a-long-name-%05g' 0 2999 | xargs touch)
                truncate -s 20M e.img; mke2fs -q -t ext4 -d src e.img
                """
            )
            try mount.python(script, timeout: .seconds(120))
        }
    }

    @Test func everyOperationOnEveryKindOfNode() throws {
        try check(
            #"""
            # What stands where, and what every operation that POSIX knows answers on it.
            import stat
            attach(S + '/a.vhd'); attach(S + '/e.img readonly type=raw')
            d = A + '/a/disk'
            E = errno
            LONG = 'n' * 256
            directories = [M, A, A + '/a', M + '/mounts', M + '/mounts/e', M + '/mounts/e/p0', M + '/mounts/e/p0/folder']
            files = [d, A + '/a/info', A + '/a/info.json', M + '/ctl', M + '/mounts/e/p0/file']
            links = [A + '/a/image', M + '/mounts/e/p0/link']
            refusals = (E.EPERM, E.EROFS, E.EACCES)
            def refused(body, *a, also=()):
                try: body(*a)
                except OSError as e: assert e.errno in refusals + tuple(also), (a, e)
                else: assert False, ('done', body, a)
            for p in directories:
                s = os.stat(p)
                assert stat.S_ISDIR(s.st_mode) and s.st_nlink >= 1, p
                # Names: too long, missing, and what is no directory on the way.
                fails(E.ENAMETOOLONG, os.stat, f'{p}/{LONG}'); fails(E.ENAMETOOLONG, os.open, f'{p}/{LONG}', os.O_RDONLY)
                fails(E.ENAMETOOLONG, os.mkdir, f'{p}/{LONG}'); fails(E.ENAMETOOLONG, os.unlink, f'{p}/{LONG}')
                fails(E.ENAMETOOLONG, os.stat, p + '/x' * 2100)
                for name in ('missing', 'n' * 255, ' ', 'a\\b', 'ctl ', '\udcff'): fails(E.ENOENT, os.stat, f'{p}/{name}')
                fails(E.ENOENT, os.stat, p + '/missing/below'); fails(E.ENOENT, os.unlink, p + '/missing'); fails(E.ENOENT, os.rmdir, p + '/missing')
                fails(E.EISDIR, os.open, p, os.O_WRONLY); fails(E.EISDIR, os.open, p, os.O_RDWR)
                f = os.open(p, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                fails(E.EISDIR, os.read, f, 1); fails(E.EBADF, os.write, f, b'x'); os.close(f)
                # Nothing can be made, removed or renamed.
                for make in (lambda q: os.mkdir(q), lambda q: os.mkfifo(q), lambda q: os.mknod(q, stat.S_IFREG | 0o600), lambda q: os.mknod(q, stat.S_IFSOCK), lambda q: os.mknod(q, stat.S_IFCHR, os.makedev(1, 3)),
                             lambda q: os.symlink('x', q), lambda q: os.link(d, q), lambda q: os.open(q, os.O_CREAT | os.O_WRONLY), lambda q: os.open(q, os.O_CREAT | os.O_EXCL | os.O_RDWR), lambda q: os.rename(d, q)):
                    refused(make, p + '/new', also=(E.EXDEV,)); fails(E.ENOENT, os.lstat, p + '/new')
                fails(E.EEXIST, os.mkdir, p)
                if p != M: refused(os.rmdir, p); refused(os.rename, p, p + '2'); refused(os.unlink, p, also=(E.EISDIR,))
                refused(os.chmod, p, 0o700); refused(os.chown, p, 1, 1)
            for p in files:
                assert stat.S_ISREG(os.stat(p).st_mode), p
                fails(E.ENOTDIR, os.stat, p + '/x'); fails(E.ENOTDIR, os.stat, p + '/'); fails(E.ENOTDIR, os.open, p, os.O_RDONLY | os.O_DIRECTORY); fails(E.ENOTDIR, os.mkdir, p + '/x')
                fails(E.ENOTDIR, os.listdir, p); fails(E.ENOTDIR, os.rmdir, p); fails(E.EEXIST, os.open, p, os.O_CREAT | os.O_EXCL | os.O_RDWR)
                refused(os.unlink, p); refused(os.rename, p, p + '2'); refused(os.link, p, p + '2', also=(E.EXDEV,)); refused(os.chmod, p, 0o777); refused(os.chown, p, 1, 1)
                fails(E.EINVAL, os.readlink, p)
                # One that exists may be opened with O_CREAT.
                if p != M + '/mounts/e/p0/file': os.close(os.open(p, os.O_CREAT | os.O_RDONLY))
            for p in links:
                assert stat.S_ISLNK(os.lstat(p).st_mode) and os.lstat(p).st_size == len(os.readlink(p))
                fails(E.ELOOP, os.open, p, os.O_RDONLY | os.O_NOFOLLOW); refused(os.unlink, p); refused(os.rename, p, p + '2')
                f = os.open(p, os.O_PATH | os.O_NOFOLLOW); assert stat.S_ISLNK(os.fstat(f).st_mode); os.close(f)
                refused(lambda: os.chown(p, 1, 1, follow_symlinks=False))
            assert os.readlink(A + '/a/image') == S + '/a.vhd' and os.path.samefile(A + '/a/image', S + '/a.vhd')
            assert open(M + '/mounts/e/p0/link').read() == 'content\n'
            # Truncation by path and by descriptor, times, attributes.
            for size in (0, 1, (1 << 20) + 1): fails(E.EPERM, os.truncate, d, size)
            os.truncate(d, 1 << 20)
            refused(os.truncate, M + '/mounts/e/p0/file', 0); refused(os.truncate, A + '/a/info', 0, also=(E.EINVAL,))
            before = os.stat(d)
            os.utime(d); os.utime(d, ns=(1, 2))
            assert os.stat(d).st_mtime_ns == before.st_mtime_ns
            refused(os.utime, M + '/mounts/e/p0/file')
            for p in directories + files + links:
                assert os.listxattr(p, follow_symlinks=False) == [] or 'e/p0' in p
                for name in ('user.x', 'trusted.x', 'security.x'):
                    for body in (lambda: os.getxattr(p, name, follow_symlinks=False),):
                        try: body(); assert False
                        except OSError as e: assert e.errno in (E.ENODATA, E.EOPNOTSUPP, E.EPERM), (p, name, e)
                    try: os.setxattr(p, name, b'1', follow_symlinks=False); assert False, p
                    except OSError as e: assert e.errno in (E.EOPNOTSUPP, E.EPERM, E.EROFS, E.EACCES), (p, name, e)
                    try: os.removexattr(p, name, follow_symlinks=False); assert False, p
                    except OSError as e: assert e.errno in (E.EOPNOTSUPP, E.EPERM, E.EROFS, E.EACCES, E.ENODATA), (p, name, e)
            # Nobody has got anything into the image.
            assert os.stat(d).st_size == 1 << 20 and open(d, 'rb').read()[65536:131072] == b'\1' * 65536
            """#
        )
    }

    @Test func openFiles() throws {
        try check(
            #"""
            # Open files: where they begin, what flags mean, what lies behind the end.
            attach(S + '/a.vhd')
            d, E, SIZE = A + '/a/disk', errno, 1 << 20
            model = bytearray(open(d, 'rb').read())
            def whole():
                assert open(d, 'rb').read() == model
            f = os.open(d, os.O_RDWR)
            # Offsets: absolute, relative, from the end, sparse.
            assert os.lseek(f, 0, os.SEEK_END) == SIZE and os.read(f, 10) == b''
            assert os.lseek(f, -5, os.SEEK_CUR) == SIZE - 5 and os.read(f, 10) == model[-5:]
            fails(E.EINVAL, os.lseek, f, -1, os.SEEK_SET); fails(E.EINVAL, os.lseek, f, 0, 99)
            assert os.lseek(f, 5 << 40, os.SEEK_SET) == 5 << 40 and os.read(f, 1) == b''
            assert os.lseek(f, 0, os.SEEK_DATA) == 65536 and os.lseek(f, 70000, os.SEEK_DATA) == 70000
            assert os.lseek(f, 0, os.SEEK_HOLE) == 0 and os.lseek(f, 70000, os.SEEK_HOLE) == 131072
            fails(E.ENXIO, os.lseek, f, 131072, os.SEEK_DATA); fails(E.ENXIO, os.lseek, f, SIZE, os.SEEK_HOLE); fails(E.ENXIO, os.lseek, f, SIZE, os.SEEK_DATA)
            # The end: reads stop there, writes fill up to it, and there is no room behind.
            assert os.pread(f, 100, SIZE) == b'' and os.pread(f, 100, SIZE + 4097) == b'' and os.pread(f, 100, SIZE - 3) == model[-3:]
            assert os.pwrite(f, b'', 10) == 0
            n = os.pwrite(f, b'0123456789', SIZE - 4); assert n == 4; model[-4:] = b'0123'
            for offset in (SIZE, SIZE + 1, SIZE + 4096): fails(E.ENOSPC, os.pwrite, f, b'x', offset)
            fails(E.EINVAL, os.pwrite, f, b'x', -1); fails(E.EINVAL, os.pread, f, 1, -1)
            whole()
            # O_APPEND: the end is full.
            g = os.open(d, os.O_WRONLY | os.O_APPEND); fails(E.ENOSPC, os.write, g, b'x'); fails(E.EBADF, os.read, g, 1); os.close(g)
            # O_TRUNC takes nothing away, O_EXCL alone means nothing.
            g = os.open(d, os.O_RDWR | os.O_TRUNC); assert os.fstat(g).st_size == SIZE; os.close(g); whole()
            g = os.open(d, os.O_RDONLY); fails(E.EBADF, os.write, g, b'x'); fails(E.EINVAL, os.ftruncate, g, SIZE)
            fails(E.EACCES, mmap.mmap, g, SIZE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
            with mmap.mmap(g, SIZE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as m: m[0:3] = b'own'; assert os.pread(f, 3, 0) == model[:3]
            os.close(g)
            # Vectors, duplicates and shared offsets.
            assert os.pwritev(f, [b'ab', b'', b'cde'], 999) == 5; model[999:1004] = b'abcde'
            os.lseek(f, 1000, os.SEEK_SET); g = os.dup(f); assert os.read(g, 2) == b'bc' and os.read(f, 2) == b'de'; os.close(g)
            # O_SYNC, O_DSYNC, O_DIRECT at odd places, O_NONBLOCK, O_NOATIME.
            for flag in (os.O_SYNC, os.O_DSYNC, os.O_NONBLOCK, os.O_NOATIME):
                g = os.open(d, os.O_RDWR | flag); os.pwrite(g, b'flag', 5000); model[5000:5004] = b'flag'; assert os.pread(g, 4, 5000) == b'flag'; os.close(g)
            g = os.open(d, os.O_RDWR | os.O_DIRECT); b = mmap.mmap(-1, 8192); b[:] = b'z' * 8192
            assert os.pwritev(g, [memoryview(b)[:512]], 7 * 512) == 512; model[3584:4096] = b'z' * 512
            assert os.preadv(g, [b], SIZE - 4096) == 4096 and b[:4096] == model[-4096:]; os.close(g)
            whole()
            # Copies within the kernel, from it and into it.
            assert os.copy_file_range(f, f, 1000, 65536, 200000) == 1000; model[200000:201000] = model[65536:66536]
            out = os.open('out', os.O_CREAT | os.O_RDWR); assert os.sendfile(out, f, 0, SIZE) == SIZE; os.close(out); assert open('out', 'rb').read() == model
            # Locks are the kernel's own, and two descriptors of one process see each other's.
            g = os.open(d, os.O_RDWR); fcntl.flock(f, fcntl.LOCK_EX); fails(E.EAGAIN, fcntl.flock, g, fcntl.LOCK_EX | fcntl.LOCK_NB); fcntl.flock(f, fcntl.LOCK_UN); fcntl.flock(g, fcntl.LOCK_EX); os.close(g)
            fcntl.lockf(f, fcntl.LOCK_EX, 10, 5)
            # What is no file operation of ours.
            fails(E.ENOTTY, fcntl.ioctl, f, 0x1260)
            os.posix_fallocate(f, 0, SIZE); os.posix_fadvise(f, 0, 0, os.POSIX_FADV_WILLNEED)
            os.fsync(f); os.fdatasync(f); os.close(f)
            for p in (M, A, A + '/a'): g = os.open(p, os.O_RDONLY); os.fsync(g); os.close(g)
            # The file system as a whole: there is no room for anything new, and names are of the usual length.
            for p in (M, A + '/a', d):
                v = os.statvfs(p); assert v.f_bsize == 4096 and v.f_bavail == 0 and v.f_namemax == 255 and v.f_flag & os.ST_NOSUID, (p, v)
            whole()
            # A reader that is interrupted again and again gets every byte; one that is killed is gone.
            heard = 0
            def hear(*_): global heard; heard += 1
            signal.signal(signal.SIGALRM, hear); signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            g = os.open(d, os.O_RDWR | os.O_DIRECT); b = mmap.mmap(-1, SIZE)
            for _ in range(100): assert os.preadv(g, [b], 0) == SIZE and b[:] == model; os.pwritev(g, [b], 0); os.fsync(g)
            signal.setitimer(signal.ITIMER_REAL, 0); assert heard > 10; os.close(g)
            whole()
            """#
        )
    }

    @Test func directories() throws {
        try check(
            #"""
            # Directories as programs read them.
            import ctypes, stat
            libc = ctypes.CDLL(None, use_errno=True)
            class Dirent(ctypes.Structure): _fields_ = [('ino', ctypes.c_uint64), ('off', ctypes.c_int64), ('reclen', ctypes.c_uint16), ('type', ctypes.c_uint8), ('name', ctypes.c_char * 256)]
            libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p; libc.telldir.restype = ctypes.c_long
            class Directory:
                def __init__(self, path): self.d = ctypes.c_void_p(libc.opendir(path.encode())); assert self.d
                def next(self):
                    p = libc.readdir(self.d)
                    if not p: return None
                    e = ctypes.cast(p, ctypes.POINTER(Dirent)).contents
                    return e.name.decode(), e.ino, e.type
                def all(self):
                    found = []
                    while (e := self.next()): found.append(e)
                    return found
                def tell(self): return libc.telldir(self.d)
                def seek(self, place): libc.seekdir(self.d, ctypes.c_long(place))
                def rewind(self): libc.rewinddir(self.d)
                def close(self): libc.closedir(self.d)
            attach(S + '/a.vhd'); attach(S + '/e.img readonly type=raw')
            several = [A, M + '/mounts/e/p0/many']
            assert len(os.listdir(several[1])) == 3000 and set(os.listdir(several[1])) == {f'entry-with-a-long-name-{k:05}' for k in range(3000)}
            for p in (M, A, A + '/a', M + '/mounts', M + '/mounts/e', M + '/mounts/e/p0', several[1]):
                x = Directory(p)
                entries = x.all()
                names = [e[0] for e in entries]
                assert len(set(names)) == len(names) and {'.', '..'} <= set(names), p
                assert x.next() is None
                for name, ino, kind in entries[:300]:
                    if name == '..': continue
                    s = os.lstat(f'{p}/{name}')
                    assert kind == stat.S_IFMT(s.st_mode) >> 12, (p, name, kind)
                    # `ctl` has an inode of its own for each open, and one number.
                    assert ino == s.st_ino, (p, name, ino, s.st_ino)
                x.rewind(); assert x.all() == entries, p
                # Every place can be gone back to, in any order.
                x.rewind(); places = []
                for e in entries: places.append(x.tell()); assert x.next() == e
                order = list(range(len(entries))); random.Random(1).shuffle(order)
                for i in order[:200]: x.seek(places[i]); assert x.next() == entries[i], (p, i)
                x.close()
            # A directory that is read while disks come and go: what stays is named once, and what is new is there after a rewind.
            x = Directory(A); first = x.next()
            attach(S + '/b.vhd'); names = [first[0]] + [e[0] for e in x.all()]
            assert len(set(names)) == len(names) and {'a', 'e'} <= set(names), names
            x.rewind(); assert 'b' in [e[0] for e in x.all()]
            detach('b'); x.rewind(); assert 'b' not in [e[0] for e in x.all()]
            x.close()
            # Inode numbers are of one file each, and stay while it is there.
            numbers = {}
            for folder, folders, names in os.walk(M):
                for name in folders + names:
                    p = os.path.join(folder, name); s = os.lstat(p)
                    if 'p0/' not in p: assert numbers.setdefault(s.st_ino, p) == p, (p, numbers[s.st_ino])
                    assert s.st_dev == os.stat(M).st_dev and os.lstat(p).st_ino == s.st_ino
            assert os.path.samefile(M + '/mounts/e/p0/file', M + '/mounts/e/p0/hard') and os.stat(M + '/mounts/e/p0/file').st_nlink == 2
            # A directory that is gone under an open descriptor.
            attach(S + '/b.vhd'); f = os.open(A + '/b', os.O_RDONLY | os.O_DIRECTORY); detach('b')
            fails(errno.ENOENT, os.stat, A + '/b')
            try: os.stat('disk', dir_fd=f); assert False
            except OSError as e: assert e.errno in (errno.ENOENT, errno.ESTALE, errno.ENXIO), e
            os.close(f)
            # Relative names, dots and doubled slashes.
            f = os.open(A, os.O_RDONLY); assert os.stat('a/disk', dir_fd=f).st_size == 1 << 20; os.close(f)
            assert os.path.samefile(A + '/a/../a/./disk', A + '//a///disk') and os.path.samefile(A + '/a/..', A) and os.path.samefile(M + '/mounts/e/p0/folder/../..', M + '/mounts/e')
            os.chdir(A + '/a'); assert os.getcwd() == A + '/a' and os.stat('..').st_ino == os.stat(A).st_ino; os.chdir(S)
            """#
        )
    }
}
