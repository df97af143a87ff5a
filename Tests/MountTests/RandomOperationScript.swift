/// The Python of `RandomOperationMountTests`, one thing a line.
enum RandomOperationScript {
    /// What does the operations and knows the model.
    static let exerciser = #"""
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        def fallocate(f, mode, offset, count):
            if libc.fallocate(f, mode, ctypes.c_long(offset), ctypes.c_long(count)): raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        class Exerciser:
            def __init__(self, files, size, seed, prepare=lambda: None, punches=True):
                # files: path, begin, length
                self.r, self.files, self.prepare = random.Random(seed), files, prepare
                self.opened = [self.open(path) for path, _, _ in files]
                self.model, self.size, self.done = bytearray(size), size, []
                with open(files[0][0], 'rb') as disk: self.model[:] = disk.read()
                self.actions = [self.read, self.read, self.map_read, self.write, self.write, self.write, self.map_write, self.sync, self.reopen, self.copy, self.vector] + ([self.punch, self.zero] if punches else [])
            def open(self, path): return os.open(path, os.O_RDWR)
            def pick(self):
                k = self.r.randrange(len(self.files)); path, begin, length = self.files[k]
                count = min(self.r.choice((1, 511, 512, 4095, 4096, 5000, 65536, 150000)), length)
                offset = self.r.choice((self.r.randrange(length - count + 1), self.r.randrange(length - count + 1) // 4096 * 4096, length - count))
                return k, self.opened[k], offset, count, begin + offset
            def same(self, found, at, count):
                expected = self.model[at:at + count]
                if found != expected:
                    i = next((i for i, (a, b) in enumerate(zip(found, expected)) if a != b), min(len(found), count))
                    raise AssertionError(f'byte {at + i} of {at}+{count}, got {len(found)}; last steps {self.done[-6:]}')
            def read(self): k, f, o, n, at = self.pick(); self.same(os.pread(f, n, o), at, n); return k, o, n
            def map_read(self):
                k, f, o, n, at = self.pick()
                with mmap.mmap(f, self.files[k][2], prot=mmap.PROT_READ) as m: self.same(m[o:o + n], at, n)
                return k, o, n
            def write(self): k, f, o, n, at = self.pick(); b = self.r.randbytes(n); assert os.pwrite(f, b, o) == n; self.model[at:at + n] = b; return k, o, n
            def vector(self):
                k, f, o, n, at = self.pick(); b = self.r.randbytes(n); cut = self.r.randrange(n + 1)
                assert os.pwritev(f, [b[:cut], b[cut:]], o) == n; self.model[at:at + n] = b
                x, y = bytearray(cut), bytearray(n - cut); assert os.preadv(f, [x, y], o) == n; self.same(x + y, at, n); return k, o, n
            def map_write(self):
                k, f, o, n, at = self.pick(); b = self.r.randbytes(n)
                with mmap.mmap(f, self.files[k][2]) as m: m[o:o + n] = b; m.flush()
                self.model[at:at + n] = b; return k, o, n
            def punch(self): k, f, o, n, at = self.pick(); fallocate(f, 3, o, n); self.model[at:at + n] = bytes(n); return k, o, n
            def zero(self): k, f, o, n, at = self.pick(); fallocate(f, 0x10, o, n); self.model[at:at + n] = bytes(n); return k, o, n
            def sync(self): os.fsync(self.r.choice(self.opened))
            def reopen(self): k = self.r.randrange(len(self.files)); os.close(self.opened[k]); self.opened[k] = self.open(self.files[k][0]); return k
            def copy(self):
                # From one place to another, also from one file of the disk to another.
                _, f, o, n, at = self.pick(); k, g, p, m, to = self.pick(); n = min(n, m); part = bytes(self.model[at:at + n])
                if abs(at - to) < n: return
                done = 0
                while done < n: done += os.copy_file_range(f, g, n - done, o + done, p + done)
                self.model[to:to + n] = part; return k, o, p, n
            def run(self, rounds):
                for step in range(rounds):
                    action = self.r.choice(self.actions); self.done.append((action.__name__, action()))
                    if step % 100 == 99: self.check()
                self.check()
                for f in self.opened: os.fsync(f); os.close(f)
            def check(self):
                self.prepare()
                for path, begin, length in self.files:
                    with open(path, 'rb') as f: self.same(f.read(), begin, length)
        def attachment(name, make):
            subprocess.check_call(make, shell=True); attach(f'{S}/{name}'); return A + '/' + name.split('.')[0]
        def divide(disk):
            # Two partitions, one of which doesn't begin with a page of the disk.
            subprocess.run(['sfdisk', '-q', '--no-reread', '--no-tell-kernel', disk], input='label: dos\nstart=2048,size=3001\nstart=6145,size=4000\n', text=True, check=True)
        def finish(name, exerciser, kind):
            for _ in range(500):
                if ctl('detach ' + name.split('.')[0]) == 0: break
                time.sleep(0.02)
            assert subprocess.call([os.environ['VHDFS'], 'check', name], stdout=subprocess.DEVNULL) in (0, 3)
            subprocess.check_call(f'qemu-img convert -f {kind} -O raw {name} out', shell=True)
            assert open('out', 'rb').read(exerciser.size) == exerciser.model, 'another program reads something else'

        """#

    /// `disk`, its partitions, or all: MODE, SEEDS, ROUNDS.
    static let files = #"""
        SIZE = 8 << 20
        for name, kind, make in (('a.vhd', 'vpc', 'qemu-img create -q -f vpc -o force_size=on a.vhd 8M'), ('b.vhdx', 'vhdx', 'qemu-img create -q -f vhdx -o block_size=1M b.vhdx 8M')):
            for seed in range(SEEDS):
                folder = attachment(name, f'rm -f {name}; {make}')
                disk = folder + '/disk'
                files = [(disk, 0, SIZE)]
                if MODE != 'disk':
                    divide(disk)
                    assert os.path.exists(folder + '/p2')
                    parts = [(folder + '/p1', 2048 * 512, 3001 * 512), (folder + '/p2', 6145 * 512, 4000 * 512)]
                    # With the disk itself only its bytes behind the table, or the partitions would change.
                    files = parts if MODE == 'partitions' else parts + [(disk, 0, SIZE)]
                x = Exerciser(files, SIZE, seed)
                if MODE == 'partitions': x.model[:] = open(disk, 'rb').read()
                if MODE == 'mixed':
                    pick = x.pick
                    def behind():
                        while True:
                            k, f, o, n, at = pick()
                            if at >= 4096: return k, f, o, n, at
                    x.pick = behind
                    x.model[:] = open(disk, 'rb').read()
                x.run(ROUNDS)
                finish(name, x, kind)
        """#

    /// `disk` under a loop device: SEED, ROUNDS.
    static let loopDevice = #"""
        SIZE = 8 << 20
        folder = attachment('a.vhd', 'qemu-img create -q -f vpc -o force_size=on a.vhd 8M')
        disk = folder + '/disk'
        device = subprocess.check_output(['losetup', '--find', '--show', disk], text=True).strip()
        try:
            class Loop(Exerciser):
                # A block device can't be copied into by copy_file_range, nor mapped beyond what Python finds out about its size.
                def copy(self): return self.vector()
                # It punches whole sectors only, and its kind of zeros is the same.
                def clear(self, mode):
                    k, f, o, n, at = self.pick(); o, n, at = o // 4096 * 4096, -(-n // 4096) * 4096, at // 4096 * 4096; n = min(n, SIZE - o)
                    fallocate(f, mode, o, n); self.model[at:at + n] = bytes(n); return k, o, n
                def punch(self): return self.clear(3)
                def zero(self): return self.clear(0x10)
                # With a cache of its own: what is behind it is seen after a flush.
                def check(self):
                    subprocess.check_call(['blockdev', '--flushbufs', device]); os.sync()
                    with open(disk, 'rb') as f: self.same(f.read(), 0, SIZE)
                    super().check()
            x = Loop([(device, 0, SIZE)], SIZE, SEED)
            x.run(ROUNDS)
        finally:
            subprocess.check_call(['losetup', '-d', device])
        finish('a.vhd', x, 'vpc')
        """#
}
