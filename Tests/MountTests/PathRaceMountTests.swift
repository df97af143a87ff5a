import TestSupport
import Testing

/// What a user does to a path, or to the place that it starts at, while root's daemon follows it.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct PathRaceMountTests {
    /// Runs `body` as user 4000 of the manage group, in a child; it must give 0.
    private static let helpers = """
        def as_user(body, user=4000):
            pid = os.fork()
            if pid: return pid
            try:
                os.setgroups([7000]); os.setgid(user); os.setuid(user)
                os._exit(body() or 0)
            except BaseException as e:
                print(repr(e), open(M + '/ctl').read(), file=sys.stderr, flush=True)
                os._exit(99)
        def ended(pid, seconds=60):
            end = time.time() + seconds
            while time.time() < end:
                found, status = os.waitpid(pid, os.WNOHANG)
                if found: return os.waitstatus_to_exitcode(status)
                time.sleep(0.005)
            os.kill(pid, signal.SIGKILL)
            assert False, 'it hangs'
        def family(parent):
            return [int(p) for p in os.listdir('/proc') if p.isdigit() and parent_of(p) == parent]
        def parent_of(p):
            try: return int(open(f'/proc/{p}/stat').read().rsplit(')', 1)[1].split()[1])
            except OSError: return -1
        def openers():
            return [q for p in family(int(os.environ['PID'])) for q in family(p)]

        """

    /// Bytes that only root may read are never shown, and no file of another kind is waited for or written to.
    @Test(arguments: ["readonly", ""])
    func aPathThatChangesItsMeaning(words: String) throws {
        try withMount("-o", "allow_other", "--manage-group", "7000") { mount in
            try mount.python(
                Self.helpers + """
                    WORDS = '\(words)'
                    secret, own = b'root only! ' * 1000, b'user 4000. ' * 1000
                    open('secret', 'wb').write(secret); os.chmod('secret', 0o600)
                    os.mkdir('theirs'); os.chdir('theirs')
                    open('own', 'wb').write(own); os.mkfifo('fifo'); os.mkdir('folder')
                    for name in ['.', 'own', 'fifo', 'folder']: os.chown(name, 4000, 4000)
                    def swap():
                        kinds = [lambda p: os.link('own', p), lambda p: os.symlink(S + '/secret', p),
                                 lambda p: os.mkfifo(p), lambda p: os.symlink('/dev/zero', p),
                                 lambda p: os.symlink('own', p), lambda p: os.symlink('/proc/self/maps', p),
                                 lambda p: os.symlink('folder', p)]
                        os.link('own', 'path')
                        while True:
                            for i in random.sample(range(len(kinds)), len(kinds)) + [0, 4]:
                                kinds[i]('next'); os.rename('next', 'path')
                                if os.path.exists('next'): os.unlink('next')  # two names of one file stay
                    def attach_again_and_again():
                        counts = {}
                        while os.path.lexists('path') is False: time.sleep(0.001)
                        for i in range(150):
                            error = ctl(f'attach {S}/theirs/path type=raw name=x {WORDS}')
                            counts[error] = counts.get(error, 0) + 1
                            if error: continue
                            disk = os.open(A + '/x/disk', os.O_RDWR if not WORDS else os.O_RDONLY)
                            seen = os.pread(disk, 1 << 16, 0)
                            # An empty one is a file of /proc.
                            assert seen in (own, b''), seen[:100]
                            if not WORDS and seen: os.pwrite(disk, own[:100], 0)
                            os.close(disk)
                            assert ctl('detach x') == 0
                        assert counts.get(0, 0) > 5 and len(counts) > 1, counts
                    swapper = as_user(swap)
                    try: status = ended(as_user(attach_again_and_again), 90)
                    finally: os.kill(swapper, signal.SIGKILL); os.waitpid(swapper, 0)
                    assert status == 0, status
                    assert open(S + '/secret', 'rb').read() == secret
                    assert os.listdir(A) == []
                    for _ in range(500):
                        if not openers(): break
                        time.sleep(0.02)
                    assert not openers()
                    """,
                timeout: .seconds(120)
            )
        }
    }

    @Test func onlyFilesAreOpened() throws {
        try withMount("-o", "allow_other", "--manage-group", "7000") { mount in
            try mount.python(
                Self.helpers + """
                    import socket
                    os.mkfifo('fifo', 0o666); os.chmod('fifo', 0o666)
                    os.mkdir('folder')
                    listening = socket.socket(socket.AF_UNIX); listening.bind('socket'); os.chmod('socket', 0o777)
                    def strange():
                        for words in ['readonly', '', 'readonly type=raw', 'type=raw', 'type=vhd readonly']:
                            for path in ['fifo', 'folder', 'socket', '/dev/zero', '/dev/null', '/dev/fuse', '/proc/self/fd/0',
                                         '/proc/self/fd/3', '/proc/self/mem', '/proc/self/environ', '/proc/kcore', '/proc/kmsg',
                                         '/proc/self/cwd', '/proc/sysrq-trigger', '/dev/stdin', '/', 'folder/.']:
                                path = path if path[0] == '/' else f'{S}/{path}'
                                assert ctl(f'attach {path} name=x {words}') != 0, (path, words)
                        # Whoever may attach may not read in the process that opens.
                        for path in ['/proc/self/maps', '/proc/self/status', '/proc/self/smaps', '/proc/thread-self/stack']:
                            if ctl(f'attach {path} name=x readonly type=raw') == 0:
                                disk = os.open(A + '/x/disk', os.O_RDONLY)
                                assert os.pread(disk, 4096, 0) == b'' and os.pread(disk, 4096, 4096) == b''
                                os.close(disk)
                                assert ctl('detach x') == 0
                    assert ended(as_user(strange)) == 0
                    # Root may read them, and none of them is an image either.
                    for path in ['/dev/zero', '/proc/self/mem', '/proc/sysrq-trigger', S + '/fifo']:
                        assert ctl(f'attach {path} readonly') != 0, path
                    assert os.listdir(A) == []
                    """
            )
        }
    }

    @Test func placesThatRelativePathsStartAt() throws {
        try withMount("-o", "allow_other", "--manage-group", "7000") { mount in
            try mount.python(
                Self.helpers + """
                    secret = b'root only! ' * 1000
                    os.mkdir('closed', 0o755); open('closed/a', 'wb').write(b'closed'); os.chmod('closed/a', 0o644)
                    os.mkdir('secrets', 0o700); open('secrets/a', 'wb').write(secret); os.chmod('secrets/a', 0o644)
                    os.mkdir('theirs'); os.chown('theirs', 4000, 4000)
                    go = os.pipe()
                    def folder_that_has_been_closed():
                        os.chdir('closed'); os.read(go[0], 1)
                        # It is still this process's directory, but its path leads there no more.
                        assert ctl('attach a readonly type=raw') == errno.EACCES
                    def folder_that_is_gone():
                        os.mkdir('theirs/gone'); os.chdir('theirs/gone'); os.rmdir(S + '/theirs/gone')
                        assert ctl('attach a readonly type=raw') == errno.ENOENT
                        assert ctl('attach ../own readonly type=raw') == errno.ENOENT
                        os.mkdir(S + '/theirs/gone (deleted)'); open(S + '/theirs/gone (deleted)/a', 'wb').write(b'x')
                        assert ctl('attach a readonly type=raw') == errno.ENOENT
                    def folder_that_is_another_now():
                        os.mkdir('theirs/here'); os.chdir('theirs/here')
                        os.rename(S + '/theirs/here', S + '/theirs/there'); os.symlink(S + '/secrets', S + '/theirs/here')
                        assert ctl('attach a readonly type=raw') == errno.ENOENT
                        assert ctl('attach ../here/a readonly type=raw') == errno.EACCES
                    def folder_that_changes_meanwhile():
                        import threading
                        for name, byte in ('one', b'1'), ('two', b'2'):
                            os.mkdir(f'theirs/{name}'); open(f'theirs/{name}/a', 'wb').write(byte * 100)
                        stop = False
                        def wander():
                            while not stop:
                                for name in 'one', 'two', '..': os.chdir(f'{S}/theirs/{name}')
                        threading.Thread(target=wander, daemon=True).start()
                        good = 0
                        for _ in range(60):
                            if ctl('attach a readonly type=raw name=x'): continue
                            good += 1
                            seen = open(A + '/x/disk', 'rb').read()
                            assert seen in (b'1' * 100, b'2' * 100), seen
                            assert ctl('detach x') == 0
                        stop = True
                        assert good
                    waiting = as_user(folder_that_has_been_closed)
                    for _ in range(500):
                        if os.readlink(f'/proc/{waiting}/cwd').endswith('/closed'): break
                        time.sleep(0.02)
                    os.chmod('closed', 0o700); os.write(go[1], b'x')
                    assert ended(waiting) == 0
                    for body in folder_that_is_gone, folder_that_is_another_now, folder_that_changes_meanwhile:
                        assert ended(as_user(body)) == 0, body
                    # Other mounts, another root: the same paths may mean other files.
                    script = f'setpriv --reuid=4000 --regid=4000 --groups=7000 bash -c "echo attach {S}/theirs/one/a readonly type=raw > {M}/ctl"'
                    result = subprocess.run(['unshare', '--mount', 'bash', '-c', script], capture_output=True, text=True)
                    assert result.returncode and 'No such file' in result.stderr, result
                    def in_another_root(path):
                        control = os.open(M + '/ctl', os.O_WRONLY)
                        os.chroot(S + '/theirs')
                        os.setgroups([7000])
                        fails(errno.ENOENT, os.write, control, f'attach {path} readonly type=raw\\n'.encode())
                        os._exit(0)
                    for path in S + '/theirs/one/a', '/one/a', 'one/a':
                        pid = os.fork()
                        if pid == 0: in_another_root(path)
                        assert ended(pid) == 0, path
                    assert os.listdir(A) == []
                    """
            )
        }
    }
}
