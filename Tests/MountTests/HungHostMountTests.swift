import Glibc
import TestSupport
import Testing

/// Images on a host that hangs: another vhdfs, stopped.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct HungHostMountTests {
    /// Lends a mount, and one whose process is stopped by the test; it goes on before anything is taken away.
    private func withHost(_ body: (_ mount: Mount, _ host: Mount) throws -> Void) throws {
        try withMount { host in
            // Nobody can end a process that waits for a stopped one, so that goes on by itself too, however the test fares.
            let watchdog = try RunningCommand(["sh", "-c", "sleep 150; kill -CONT \(host.processID)"])
            defer { watchdog.stop() }
            try withMount { mount in
                defer { kill(host.processID, SIGCONT) }
                try body(mount, host)
            }
        }
    }

    @Test func manyHungRequestsStopNobodyElse() throws {
        try withHost { mount, host in
            try mount.python(
                "H, HOST = '\(host.path)', \(host.processID)\n"
                    + #"""
                    # H is another vhdfs, HOST its process; images lie on disks of it. Stopped, it is a host that hangs.
                    import threading
                    PID = int(os.environ['PID'])
                    def threads(): return len(os.listdir(f'/proc/{PID}/task'))
                    def hattach(line):
                        g = os.open(H + '/ctl', os.O_WRONLY); os.write(g, f'attach {line}\n'.encode()); os.close(g)
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
                        os.kill(HOST, signal.SIGSTOP)
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
                "H, HOST = '\(host.path)', \(host.processID)\n"
                    + #"""
                    import ctypes, platform, struct
                    with open('v', 'wb') as v: v.write(b'v' * 4096); v.truncate(100 << 20)
                    with open('other', 'wb') as other: other.write(b'o' * (32 << 20))
                    g = os.open(H + '/ctl', os.O_WRONLY); os.write(g, f'attach {S}/v type=raw\n'.encode()); os.close(g)
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
                        os.kill(HOST, signal.SIGSTOP)
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
}
