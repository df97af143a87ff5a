import TestSupport
import Testing

/// A daemon that the host gives no more descriptors, memory or room in files: it says so to who asked for too much, and goes on.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct HostLimitMountTests {
    /// Runs a Python script, which has the daemon's process, `PID`, and what it has of memory that no file backs, `anonymous()` in MiB.
    private func check(_ mount: Mount, _ script: String) throws {
        let prelude = #"""
            PID = int(os.environ['PID'])
            def anonymous():
                with open(f'/proc/{PID}/status') as status: line = next(l for l in status if l.startswith('RssAnon'))
                return int(line.split()[1]) >> 10

            """#
        try mount.python(prelude + script, timeout: .seconds(180))
    }

    @Test func noDescriptors() throws {
        try withMount { mount in
            try check(
                mount,
                #"""
                # The daemon has no descriptor left, then no thread.
                def limit(what, soft): subprocess.check_call(['prlimit', '--pid', str(PID), f'--{what}={soft}:'])
                def descriptors(): return len(os.listdir(f'/proc/{PID}/fd'))
                model = random.Random(1).randbytes(8 << 20); open('model', 'wb').write(model)
                for name, kind in (('a.vhd', 'vpc -o force_size=on'), ('b.vhdx', 'vhdx -o block_size=1M'), ('c.vhd', 'vpc -o force_size=on'), ('d.vhd', 'vpc -o force_size=on')):
                    subprocess.check_call(f'qemu-img convert -f raw -O {kind} model {name}', shell=True)
                attach(S + '/a.vhd')
                disk = A + '/a/disk'
                f = os.open(disk, os.O_RDWR | os.O_DIRECT)
                os.pwrite(f, model[:4096], 0)
                attach(S + '/d.vhd'); unwritten = os.open(A + '/d/disk', os.O_RDWR)
                before = descriptors()
                limit('nofile', 3)
                for name in ('b.vhdx', 'c.vhd'):
                    for _ in range(3):
                        code = ctl(f'attach {S}/{name}')
                        assert code in (errno.EMFILE, errno.ENFILE, errno.ENOMEM), code
                assert 'error' in open(M + '/ctl').read()
                # What is attached is read and written, by many at once, with and without a pipe for the reply; listed, and told about.
                def reader(k):
                    for offset in range(0, 8 << 20, 1 << 20):
                        for count in (512, 65536, 1 << 20):
                            b = mmap.mmap(-1, count); assert os.preadv(f, [b], offset) == count and b[:] == model[offset:offset + count]
                import concurrent.futures as futures
                with futures.ThreadPoolExecutor(24) as pool: list(pool.map(reader, range(24)))
                os.pwrite(f, model[:4096], 0); os.fsync(f)
                assert sorted(os.listdir(A)) == ['a', 'd'] and 'virtual_size: 8388608' in open(A + '/a/info').read()
                g = os.open(disk, os.O_RDONLY); os.close(g); os.close(f)
                # Whether a first write makes other images worthless can't be found out: it is not done.
                fails(errno.EPERM, os.pwrite, unwritten, b'x' * 4096, 0)
                limit('nofile', 1024)
                os.pwrite(unwritten, model[:4096], 0); os.close(unwritten)
                attach(S + '/b.vhdx'); attach(S + '/c.vhd')
                assert open(A + '/b/disk', 'rb').read() == model and open(A + '/c/disk', 'rb').read() == model
                for name in 'abcd': detach(name)
                for _ in range(200):
                    if descriptors() <= before: break
                    time.sleep(0.05)
                assert descriptors() <= before, descriptors()
                """#
            )
        }
    }

    @Test(.disabled(if: BuiltProgram.watchesItself, "sanitizers need memory of their own"))
    func noMemoryForThreads() throws {
        try withMount { mount in
            try check(
                mount,
                #"""
                # The daemon may have no more memory than a little over what it has: no thread can be had, tables are large, many are at it.
                def status(key): return int(next(l for l in open(f'/proc/{PID}/status') if l.startswith(key)).split()[1])
                model = random.Random(1).randbytes(8 << 20); open('model', 'wb').write(model)
                for name, kind in (('a.vhd', 'vpc -o force_size=on'), ('b.vhdx', 'vhdx -o block_size=1M')):
                    subprocess.check_call(f'qemu-img convert -f raw -O {kind} model {name}', shell=True)
                subprocess.check_call('qemu-img create -q -f vhdx -o block_size=1M huge.vhdx 2T', shell=True)
                subprocess.check_call(['prlimit', '--pid', str(PID), f'--as={(status("VmSize") + 48 * 1024) * 1024}:'])
                for name in ('a.vhd', 'b.vhdx', 'huge.vhdx'): attach(f'{S}/{name}')
                def reader(k):
                    g = os.open(f'{A}/{"ab"[k % 2]}/disk', os.O_RDONLY | os.O_DIRECT)
                    for offset in range(0, 8 << 20, 1 << 20):
                        b = mmap.mmap(-1, 1 << 20); assert os.preadv(g, [b], offset) == 1 << 20 and b[:] == model[offset:offset + (1 << 20)]
                    os.close(g)
                import concurrent.futures as futures
                with futures.ThreadPoolExecutor(40) as pool: list(pool.map(reader, range(40)))
                f = os.open(A + '/huge/disk', os.O_RDWR)
                for i in range(50): os.pwrite(f, b'x' * 4096, random.randrange(0, 1 << 28) * 4096)
                os.fsync(f); os.close(f)
                print(status('VmSize'), status('VmPeak'), status('RssAnon'), status('Threads'))
                for name in ('a', 'b', 'huge'): detach(name)
                subprocess.check_call([os.environ['VHDFS'], 'check', 'huge.vhdx'])
                """#
            )
        }
    }

    /// A control group of 64 MiB, pages of images included: many tables, many at it. The kernel would kill a daemon that needs more.
    @Test(
        .enabled(if: ControlGroup.canBeMade, "no control group can be made here"),
        .disabled(if: BuiltProgram.watchesItself, "sanitizers need memory of their own")
    )
    func littleMemoryInAControlGroup() throws {
        try withMount { mount in
            let group = try #require(ControlGroup(memory: 64 << 20))
            defer { group.remove() }
            try #require(group.take(mount.processID))
            try check(
                mount,
                #"""
                SIZE = 96 << 20
                rng = random.Random(1)
                model = b''.join(rng.randbytes(1 << 20) for _ in range(SIZE >> 20)); open('model', 'wb').write(model)
                kinds = ('vpc -o force_size=on', 'vpc -o subformat=fixed,force_size=on', 'vhdx -o block_size=1M', 'raw')
                for name, kind in zip('abcd', kinds): subprocess.check_call(f'qemu-img convert -f raw -O {kind} model {name}', shell=True)
                subprocess.check_call('qemu-img create -q -f vhdx -o block_size=1M huge 60T', shell=True)
                for name in ('a', 'b', 'c', 'd type=raw', 'huge'): attach(f'{S}/{name}')
                def use(k):
                    name, rng = 'abcd'[k % 4], random.Random(k)
                    f = os.open(f'{A}/{name}/disk', os.O_RDWR | (os.O_DIRECT if k % 2 else 0)); b = mmap.mmap(-1, 1 << 20)
                    # Each writes into the MiBs of its own, and reads everywhere what nobody writes.
                    for round in range(8):
                        at = rng.randrange(64) << 20; assert os.preadv(f, [b], at) == 1 << 20 and b[:] == model[at:at + (1 << 20)], (k, at)
                        b[:] = bytes([k]) * (1 << 20); at = (64 + k) << 20; assert os.pwritev(f, [b], at) == 1 << 20
                    os.fsync(f); os.close(f)
                import concurrent.futures as futures
                with futures.ThreadPoolExecutor(32) as pool: list(pool.map(use, range(32)))
                h = os.open(A + '/huge/disk', os.O_RDWR)
                places = [rng.randrange(0, 60 << 20) << 20 for _ in range(300)]
                for at in places: assert os.pwrite(h, at.to_bytes(8, 'big') * 512, at) == 4096
                os.fsync(h)
                for at in places: assert os.pread(h, 4096, at) == at.to_bytes(8, 'big') * 512
                os.close(h)
                print('anonymous MiB', anonymous())
                for k in range(32):
                    f = os.open(f'{A}/{"abcd"[k % 4]}/disk', os.O_RDONLY); assert os.pread(f, 1 << 20, (64 + k) << 20) == bytes([k]) * (1 << 20); os.close(f)
                for name in ('a', 'b', 'c', 'd', 'huge'): detach(name)
                for name in 'abc': subprocess.check_call([os.environ['VHDFS'], 'check', name], stdout=subprocess.DEVNULL)
                """#
            )
        }
    }

    /// Anybody who may open `ctl` can ask again and again, and never read the answers.
    @Test(.disabled(if: BuiltProgram.watchesItself, "sanitizers need memory of their own"))
    func answersThatNobodyReads() throws {
        try withMount { mount in
            try check(
                mount,
                #"""
                before, handles = anonymous(), []
                for _ in range(120):
                    fd = os.open(M + '/ctl', os.O_RDWR); handles.append(fd)
                    for _ in range(3): os.write(fd, b'help\n' * 200)
                grown = anonymous() - before
                print('MiB more', grown)
                # The newest answers are there, whole, and who reads is heard.
                lines = os.read(handles[-1], 1 << 20).decode().splitlines()
                assert len(lines) > 10, lines
                one = os.open(M + '/ctl', os.O_RDWR); os.write(one, b'help\n'); assert os.read(one, 1 << 20).decode().splitlines()[-1] == lines[-1]; os.close(one)
                for fd in handles: os.close(fd)
                assert grown < 60, grown
                """#
            )
        }
    }

    /// `ulimit -f` of the shell that started it: by itself the kernel would end the daemon at the first write beyond.
    @Test func noLongFiles() throws {
        try withMount { mount in
            try check(
                mount,
                #"""
                subprocess.check_call('qemu-img create -q -f vhdx -o block_size=1M b.vhdx 64M; qemu-img create -q -f vpc -o force_size=on a.vhd 64M', shell=True)
                subprocess.check_call(['prlimit', '--pid', str(PID), '--fsize=9000000:'])
                for name in ('a.vhd', 'b.vhdx'):
                    attach(f'{S}/{name}')
                    f = os.open(f'{A}/{name[0]}/disk', os.O_RDWR)
                    stored = 0
                    try:
                        for i in range(30): assert os.pwrite(f, b'x' * 100000, i << 21) == 100000; os.fsync(f); stored += 1
                    except OSError as e: assert e.errno in (errno.ENOSPC, errno.EFBIG), e
                    assert 0 < stored < 30
                    for i in range(stored): assert os.pread(f, 100000, i << 21) == b'x' * 100000
                    os.close(f); detach(name[0])
                    subprocess.check_call([os.environ['VHDFS'], 'check', name], stdout=subprocess.DEVNULL)
                """#
            )
        }
    }
}
