import Glibc
import TestSupport
import Testing

/// Images on a host that hangs: another vhdfs, stopped.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct HungHostMountTests {
    /// What scripts know of the host: H, its mount, HOST, its process, and how it is stopped.
    private func prelude(_ host: Mount) -> String {
        """
        H, HOST = '\(host.path)', \(host.processID)
        def hattach(line):
            g = os.open(H + '/ctl', os.O_WRONLY); os.write(g, f'attach {line}\\n'.encode()); os.close(g)
        def stop():
            os.kill(HOST, signal.SIGSTOP)
            # Each thread stops when it next runs.
            while any(open(f'/proc/{HOST}/task/{t}/stat').read().rsplit(')', 1)[1].split()[0] != 'T' for t in os.listdir(f'/proc/{HOST}/task')): time.sleep(0.01)

        """
    }

    /// Lends a mount, and one whose process is stopped by the test; it goes on before anything is taken away.
    private func withHost(_ options: String..., body: (_ mount: Mount, _ host: Mount) throws -> Void) throws {
        try withMount { host in
            // Nobody can end a process that waits for a stopped one, so that goes on by itself too, however the test fares.
            let watchdog = try RunningCommand(["sh", "-c", "sleep 150; kill -CONT \(host.processID)"])
            defer { watchdog.stop() }
            try withMount(options) { mount in
                defer { kill(host.processID, SIGCONT) }
                try body(mount, host)
            }
        }
    }

    @Test func manyHungRequestsStopNobodyElse() throws {
        try withHost { mount, host in
            try mount.python(
                prelude(host) + #"""
                    # H is another vhdfs, HOST its process; images lie on disks of it. Stopped, it is a host that hangs.
                    import threading
                    PID = int(os.environ['PID'])
                    def threads(): return len(os.listdir(f'/proc/{PID}/task'))
                    SIZE = 32 << 20
                    model = random.Random(1).randbytes(SIZE); open('model', 'wb').write(model)
                    for name, kind in (('v', 'vpc -o force_size=on'), ('x', 'vhdx -o block_size=1M'), ('other', 'vpc -o force_size=on')):
                        subprocess.check_call(f'qemu-img convert -f raw -O {kind} model {name}', shell=True)
                    os.truncate('v', 40 << 20); os.truncate('x', 60 << 20)
                    subprocess.check_call('''tail -c 512 other > footer; truncate -s $((40 << 20)) v; dd if=footer of=v bs=512 seek=$(((40 << 11) - 1)) conv=notrunc status=none''', shell=True)
                    for name in 'vx': hattach(f'{S}/{name} type=raw')
                    for name in 'vx': attach(f'{H}/attached/{name}/disk name={name}')
                    attach(f'{S}/other')
                    for name in ('v', 'x'): assert open(f'{A}/{name}/disk', 'rb').read(100000) == model[:100000]
                    x = os.open(A + '/x/disk', os.O_RDWR); os.pwrite(x, b'first', 0); os.fsync(x); os.close(x)
                    few = threads()
                    def victims():
                        # A process of its own: whoever has a hung file open waits for it in each fork and exec too.
                        good, bad = [], []
                        x = os.open(A + '/x/disk', os.O_RDWR)
                        stop()
                        def read(k):
                            # Small ones are copied, large ones spliced; with and without the page cache.
                            g = os.open(f'{A}/v/disk', os.O_RDONLY | (os.O_DIRECT if k % 3 else 0))
                            count = (4096, 65536, 1 << 19)[k % 3]; offset = (k + 1) << 20; b = mmap.mmap(-1, count)
                            n = os.preadv(g, [b], offset)
                            (good if b[:n] == model[offset:offset + n] and n else bad).append(k); os.close(g)
                        def write(k):
                            try: n = os.pwrite(x, bytes([k]) * 4096, (k + 1) << 20); good.append(k)
                            except OSError as e: bad.append(e)
                        workers = [threading.Thread(target=read, args=(k,)) for k in range(24)] + [threading.Thread(target=write, args=(k,)) for k in range(12)]
                        for w in workers: w.start()
                        for w in workers: w.join()
                        os.fsync(x); os.close(x)
                        if len(good) != 36 or bad: print('victims', good, bad, file=sys.stderr); os._exit(1)
                        os._exit(0)
                    victim = os.fork()
                    if victim == 0: victims()
                    time.sleep(0.5)
                    # Whoever has nothing to do with it goes on.
                    slowest = 0
                    for k in range(30):
                        start = time.monotonic()
                        g = os.open(A + '/other/disk', os.O_RDWR | os.O_DIRECT); b = mmap.mmap(-1, 1 << 20)
                        assert os.preadv(g, [b], k << 20) == 1 << 20 and b[:] == model[k << 20:(k + 1) << 20]; os.pwritev(g, [b], k << 20); os.fsync(g); os.close(g)
                        slowest = max(slowest, time.monotonic() - start)
                    start = time.monotonic()
                    assert sorted(os.listdir(A)) == ['other', 'v', 'x']
                    assert 'other' in open(M + '/ctl').read() and 'virtual_size' in open(A + '/other/info').read()
                    subprocess.check_call('qemu-img create -q -f vpc new.vhd 4M', shell=True); attach(S + '/new.vhd'); open(A + '/new/disk', 'rb').read(); detach('new')
                    slowest = max(slowest, time.monotonic() - start)
                    assert os.waitpid(victim, os.WNOHANG) == (0, 0), 'nothing hangs'
                    print('slowest', slowest, 'threads', few, threads())
                    assert slowest < 10
                    # The host is back: everybody gets what they asked for, and the threads that stood in for them go.
                    os.kill(HOST, signal.SIGCONT)
                    assert os.waitstatus_to_exitcode(os.waitpid(victim, 0)[1]) == 0
                    x = os.open(A + '/x/disk', os.O_RDONLY)
                    for k in range(12): assert os.pread(x, 4096, (k + 1) << 20) == bytes([k]) * 4096
                    os.close(x)
                    t = time.time()
                    while threads() > few + 8 and time.time() < t + 60: time.sleep(0.1)
                    print('threads', threads(), time.time() - t)
                    assert threads() <= few + 8
                    for name in ('v', 'x', 'other'): detach(name)
                    """#,
                timeout: .seconds(180)
            )
        }
    }

    /// Reads that nobody waits for (`io_submit`, read-ahead): the kernel lets only so many of them come at a time, whichever disks they are for.
    @Test func readsInTheBackgroundOfAHungDiskHoldUpNobody() throws {
        try withHost { mount, host in
            try mount.python(
                prelude(host) + #"""
                    import ctypes, platform, struct
                    with open('v', 'wb') as v: v.write(b'v' * 4096); v.truncate(100 << 20)
                    with open('other', 'wb') as other: other.write(b'o' * (32 << 20))
                    hattach(f'{S}/v type=raw')
                    attach(f'{H}/attached/v/disk type=raw name=v'); attach(f'{S}/other type=raw')
                    few = len(os.listdir(f"/proc/{os.environ['PID']}/task"))
                    ready, told = os.pipe()
                    victim = os.fork()
                    if victim == 0:
                        # 90 reads at once of Linux' own asynchronous kind; this process can't end before they do.
                        call = ctypes.CDLL(None, use_errno=True).syscall
                        setup, submit, getevents = (206, 209, 208) if platform.machine() == 'x86_64' else (0, 2, 4)
                        context, count = ctypes.c_ulong(0), 90
                        assert call(setup, count, ctypes.byref(context)) == 0
                        f = os.open(A + '/v/disk', os.O_RDONLY | os.O_DIRECT)
                        memory = mmap.mmap(-1, 4096 * count); address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
                        blocks = [ctypes.create_string_buffer(struct.pack('=QIIHhIQQqQII', k, 0, 0, 0, 0, f, address + 4096 * k, 4096, k << 20, 0, 0, 0)) for k in range(count)]
                        pointers = (ctypes.c_void_p * count)(*map(ctypes.addressof, blocks))
                        stop()
                        assert call(submit, context, count, pointers) == count
                        os.write(told, b'!')
                        results = ctypes.create_string_buffer(32 * count)
                        assert call(getevents, context, count, count, results, None) == count
                        for event in range(count): assert struct.unpack_from('qqqq', results, 32 * event)[2] == 4096
                        os._exit(0 if memory[:] == b'v' * 4096 + bytes(4096 * (count - 1)) else 1)
                    os.read(ready, 1)
                    time.sleep(0.5)
                    print(few, len(os.listdir(f"/proc/{os.environ['PID']}/task")))
                    start = time.monotonic()
                    assert open(A + '/other/disk', 'rb').read() == b'o' * (32 << 20)
                    slowest = time.monotonic() - start
                    print('slowest', slowest)
                    assert os.waitpid(victim, os.WNOHANG) == (0, 0), 'nothing hangs'
                    os.kill(HOST, signal.SIGCONT)
                    assert slowest < 10, slowest
                    assert os.waitstatus_to_exitcode(os.waitpid(victim, 0)[1]) == 0
                    for name in ('v', 'other'): detach(name)
                    """#,
                timeout: .seconds(120)
            )
        }
    }

    /// More requests hang than there may be workers, and the daemon is told to end: it does.
    @Test func anEndWithEverythingHung() throws {
        try withHost { mount, host in
            let victims = try RunningCommand([
                "python3", "-c",
                #"""
                import mmap, os, signal, subprocess, sys, threading, time
                M, H, S, HOST = *sys.argv[1:4], int(sys.argv[4])
                def ctl(mount, line):
                    g = os.open(mount + '/ctl', os.O_WRONLY); os.write(g, f'{line}\n'.encode()); os.close(g)
                os.chdir(S)
                open('model', 'wb').write(b'x' * (128 << 20))
                subprocess.check_call('qemu-img convert -f raw -O vhdx model v', shell=True)
                os.truncate('v', 160 << 20)
                ctl(H, f'attach {S}/v type=raw'); ctl(M, f'attach {H}/attached/v/disk name=v')
                opened = [os.open(M + '/attached/v/disk', os.O_RDONLY | os.O_DIRECT) for _ in range(300)]
                os.kill(HOST, signal.SIGSTOP)
                outcomes = []
                def read(k):
                    b = mmap.mmap(-1, 4096)
                    try: outcomes.append(b[:os.preadv(opened[k], [b], (k + 1) << 18)])
                    except OSError as e: outcomes.append(e.errno)
                readers = [threading.Thread(target=read, args=(k,)) for k in range(300)]
                for reader in readers: reader.start()
                time.sleep(1)
                print('hung', len(outcomes), flush=True)
                for reader in readers: reader.join()
                assert all(isinstance(o, int) or o == b'x' * 4096 for o in outcomes), outcomes
                """#,
                mount.path, host.path, mount.scratch.path, "\(host.processID)",
            ])
            defer {
                kill(host.processID, SIGCONT)
                victims.stop()
            }
            #expect(victims.waitForOutput("hung"), "\(victims.errorOutputSoFar)")
            kill(mount.processID, SIGTERM)
            // Everybody gets an error, none zeros, and the mount point is free. The process itself stays in the kernel until the host has answered.
            #expect(victims.wait(timeout: .seconds(100)).succeeded, "\(victims.errorOutputSoFar)")
            try mount.check("eventually eval '! mountpoint -q \"$M\"'")
            kill(host.processID, SIGCONT)
            #expect(!mount.terminate().timedOut)
        }
    }

    /// Who waits for a host that does nothing hears so after a while, and is not disturbed by what comes too late.
    @Test func callersHearOfAHostThatDoesNotAnswer() throws {
        try withHost("-o", "host-timeout=3") { mount, host in
            try mount.python(
                prelude(host) + #"""
                    import threading
                    SIZE = 64 << 20
                    with open('v', 'wb') as v: v.write(b'v' * SIZE)
                    with open('unattached', 'wb') as v: v.write(bytes(1 << 20))
                    with open('other', 'wb') as other: other.write(b'o' * (8 << 20))
                    subprocess.check_call('qemu-img create -q -f vpc -o subformat=fixed,force_size=on w 64M', shell=True)
                    for name in ('v', 'w', 'unattached'): hattach(f'{S}/{name} type=raw name={name}')
                    attach(f'{H}/attached/v/disk type=raw name=v readonly'); attach(f'{H}/attached/w/disk type=vhd name=w'); attach(f'{S}/other type=raw')
                    few = len(os.listdir(f"/proc/{os.environ['PID']}/task"))
                    w = os.open(A + '/w/disk', os.O_RDWR); os.pwrite(w, b'first' * 1000, 0); os.fsync(w); os.close(w)
                    told, ready = os.pipe()
                    victim = os.fork()
                    if victim == 0:
                        try:
                            COUNT = 300
                            opened = [os.open(A + '/v/disk', os.O_RDONLY | os.O_DIRECT) for _ in range(COUNT)]
                            w = os.open(A + '/w/disk', os.O_RDWR)
                            outcomes = []
                            def attempt(name, body):
                                start = time.monotonic()
                                try: body(); code = 0
                                except OSError as e: code = e.errno
                                outcomes.append((name, code, time.monotonic() - start))
                            def read(k): os.preadv(opened[k], [mmap.mmap(-1, 4096)], (k * 7 + 1) << 12)
                            stop()
                            # As many as hang before their disk is known to be silent, and more than there are workers.
                            all = [threading.Thread(target=attempt, args=('read', lambda k=k: read(k))) for k in range(COUNT)]
                            all.append(threading.Thread(target=attempt, args=('write', lambda: os.pwrite(w, b'second' * 1000, 0))))
                            for t in all: t.start()
                            for t in all: t.join()
                            bad = [o for o in outcomes if o[1] != errno.ETIMEDOUT or not 1 < o[2] < 25]
                            assert len(outcomes) == COUNT + 1 and not bad, bad[:5]
                            # Now it is known.
                            del outcomes[:]
                            for k in range(20): attempt('read', lambda: read(k))
                            for k in range(20): attempt('write', lambda: os.pwrite(w, b'third' * 1000, 0))
                            bad = [o for o in outcomes if o[1] != errno.ETIMEDOUT or o[2] > 1]
                            assert not bad, bad
                            os.write(ready, b'!')
                        except BaseException as e:
                            print('victim:', repr(e), file=sys.stderr); os._exit(1)
                        # Files stay open, and are closed by the end.
                        os._exit(0)
                    os.close(ready)
                    assert os.read(told, 1) == b'!'
                    # Others go on, and none of what has come in vain is in their way.
                    assert open(A + '/other/disk', 'rb').read() == b'o' * (8 << 20)
                    start = time.monotonic()
                    assert ctl(f'attach {H}/attached/unattached/disk type=raw name=late') == errno.ETIMEDOUT
                    assert '# error 1460 ERROR_TIMEOUT' in open(M + '/ctl').read(), open(M + '/ctl').read()
                    assert 'the host does not answer' in open(A + '/v/info').read()
                    took = time.monotonic() - start
                    assert took < 30, took
                    os.kill(HOST, signal.SIGCONT)
                    assert os.waitstatus_to_exitcode(os.waitpid(victim, 0)[1]) == 0
                    # All is as if nothing had been; the write of which its writer has heard nothing good is there or not.
                    def eventually(body):
                        end = time.monotonic() + 20
                        while not body():
                            assert time.monotonic() < end, open(A + '/v/info').read() + open(A + '/w/info').read()
                            time.sleep(0.05)
                    eventually(lambda: 'warnings: none' in open(A + '/v/info').read() and 'does not answer' not in open(A + '/w/info').read())
                    assert open(A + '/v/disk', 'rb').read() == b'v' * SIZE
                    w = os.open(A + '/w/disk', os.O_RDWR)
                    assert os.pread(w, 6000, 0) in (b'first' * 1000 + bytes(1000), b'second' * 1000)
                    os.pwrite(w, b'fourth' * 1000, 0); os.fsync(w)
                    assert os.pread(w, 6000, 0) == b'fourth' * 1000; os.close(w)
                    eventually(lambda: len(os.listdir(f"/proc/{os.environ['PID']}/task")) <= few + 8)
                    for name in ('v', 'w', 'other'): detach(name)
                    """#,
                timeout: .seconds(140)
            )
            #expect(mount.log.contains("v: the host does not answer"))
            #expect(mount.log.contains("v: the host has answered"))
        }
    }

    /// What was written is never said to be safe while it is not, and who waits for that hears so.
    @Test func aDetachHearsOfAHostThatDoesNotAnswer() throws {
        try withHost("-o", "host-timeout=3") { mount, host in
            try mount.python(
                prelude(host) + #"""
                    subprocess.check_call('qemu-img create -q -f vpc -o subformat=fixed,force_size=on w 64M', shell=True)
                    hattach(f'{S}/w type=raw')
                    attach(f'{H}/attached/w/disk type=vhd name=w')
                    def write(bytes):
                        child = os.fork()
                        if child == 0:
                            w = os.open(A + '/w/disk', os.O_WRONLY)
                            os.pwrite(w, bytes, 0)
                            stop()
                            try: os.close(w)
                            except OSError as e: os._exit(0 if e.errno == errno.ETIMEDOUT else 1)
                            os._exit(2)
                        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
                    write(b'bytes' * 1000)
                    for attempt in range(2):
                        start = time.monotonic()
                        assert ctl('detach w') == errno.ETIMEDOUT, open(M + '/ctl').read()
                        assert time.monotonic() - start < 30
                        assert 'detach NAME force' in open(M + '/ctl').read()
                    os.kill(HOST, signal.SIGCONT)
                    detach('w')
                    assert open('w', 'rb').read(5000) == b'bytes' * 1000
                    # With force it is gone, and the image free again when the host has answered.
                    attach(f'{H}/attached/w/disk type=vhd name=w')
                    write(b'other' * 1000)
                    start = time.monotonic()
                    detach('w force')
                    assert time.monotonic() - start < 30 and os.listdir(A) == []
                    # A start with an image there fails too, and leaves nothing.
                    os.mkdir('other')
                    start = time.monotonic()
                    late = subprocess.run([os.environ['VHDFS'], '-o', 'host-timeout=2', f'{H}/attached/w/disk', 'other', '--state-dir', S + '/other-state'], capture_output=True, text=True, timeout=60)
                    assert late.returncode == 1 and 'ERROR_TIMEOUT' in late.stderr and time.monotonic() - start < 40, (late, time.monotonic() - start)
                    assert not os.path.ismount('other')
                    os.kill(HOST, signal.SIGCONT)
                    end = time.monotonic() + 20
                    while ctl(f'attach {H}/attached/w/disk type=vhd name=w') != 0: assert time.monotonic() < end; time.sleep(0.1)
                    assert open(A + '/w/disk', 'rb').read(5000) in (b'bytes' * 1000, b'other' * 1000)
                    detach('w')
                    """#,
                timeout: .seconds(140)
            )
        }
    }

    /// A program that is killed ends, though what it has asked for never comes.
    @Test func whoIsKilledNeedNotWait() throws {
        try withHost { mount, host in
            try mount.python(
                prelude(host) + #"""
                    with open('v', 'wb') as v: v.truncate(64 << 20)
                    hattach(f'{S}/v type=raw')
                    attach(f'{H}/attached/v/disk type=raw name=v')
                    for turn, number in enumerate((signal.SIGKILL, signal.SIGTERM, signal.SIGINT)):
                        told, ready = os.pipe()
                        child = os.fork()
                        if child == 0:
                            signal.signal(signal.SIGINT, signal.SIG_DFL)
                            # A signal that a program means to survive does not end its read.
                            signal.signal(signal.SIGUSR1, lambda *_: None)
                            f = os.open(A + '/v/disk', os.O_RDONLY | os.O_DIRECT)
                            stop()
                            os.write(ready, b'!')
                            os.preadv(f, [mmap.mmap(-1, 4096)], (turn + 1) << 24)
                            os._exit(1)
                        os.read(told, 1); time.sleep(0.5)
                        os.kill(child, signal.SIGUSR1); time.sleep(0.5)
                        assert os.waitpid(child, os.WNOHANG) == (0, 0), 'nothing hangs'
                        os.kill(child, number)
                        end = time.monotonic() + 10
                        while (found := os.waitpid(child, os.WNOHANG)) == (0, 0):
                            assert time.monotonic() < end, 'it hangs'
                            time.sleep(0.02)
                        assert os.WTERMSIG(found[1]) == number, found
                        os.kill(HOST, signal.SIGCONT)
                        assert open(A + '/v/disk', 'rb').read(1 << 20) == bytes(1 << 20)
                    detach('v')
                    """#,
                timeout: .seconds(100)
            )
        }
    }
}
