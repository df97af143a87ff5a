import TestSupport
import Testing

/// What becomes of disks when the host under their images fails: the caller hears of it, the image stays sound, other disks go on, and nothing
/// has to be restarted.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct HostFaultMountTests {
    /// Runs a script that mounts these folders of the scratch folder; they are unmounted whatever happens.
    private func check(_ mount: Mount, mounting folders: String..., script: String) throws {
        defer { for folder in folders { _ = try? run("umount", "-l", mount.scratch.path(folder)) } }
        try mount.python(script, timeout: .seconds(120))
    }

    /// A tmpfs of 6 MiB: ENOSPC.
    @Test func aFullHostIsToldAndGoesOnOnceThereIsRoom() throws {
        try checkRoom("size")
    }

    /// A btrfs of which no more than 3 MiB may be used: EDQUOT.
    @Test(.enabled(if: hasBtrfs, "this kernel has no btrfs"))
    func aQuotaIsToldAndGoesOnOnceThereIsRoom() throws {
        try checkRoom("quota")
    }

    private static let hasBtrfs =
        (try? run("sh", "-c", "modprobe -q btrfs 2>/dev/null; grep -qw btrfs /proc/filesystems").succeeded) == true

    private func checkRoom(_ room: String) throws {
        try withMount { mount in
            try check(
                mount,
                mounting: "full",
                script: "ROOM = '\(room)'\n" + #"""
                    os.mkdir('full')
                    def sh(command): subprocess.check_call(command, shell=True)
                    if ROOM == 'size':
                        sh('mount -t tmpfs -o size=6m tmpfs full')
                        def tight():
                            with open('full/filler', 'wb') as filler: filler.write(b'x' * (4 << 20))
                        def roomy(): os.truncate('full/filler', 0)
                    else:
                        sh('truncate -s 300M host; mkfs.btrfs -q host; mount -o loop host full; btrfs quota enable full')
                        def tight(): sh('sync -f full; btrfs qgroup limit 3M full')
                        def roomy(): sh('btrfs qgroup limit none full')
                    for name, kind in ('a.vhd', 'vpc -o force_size=on'), ('b.vhdx', 'vhdx -o block_size=1M'):
                        subprocess.check_call(f'qemu-img create -q -f {kind} full/{name} 64M', shell=True)
                    subprocess.check_call('qemu-img create -q -f vhdx -o block_size=1M other.vhdx 64M', shell=True)
                    attach(S + '/other.vhdx')
                    other = os.open(A + '/other/disk', os.O_RDWR)
                    tight()
                    STEP = 1 << 20
                    def put(f, data, offset):
                        # A write that finds no room on its way says how far it got.
                        while data: n = os.pwrite(f, data, offset); data, offset = data[n:], offset + n
                    for name in ('a.vhd', 'b.vhdx'):
                        attach(f'{S}/full/{name}')
                        f = os.open(f'{A}/{name[0]}/disk', os.O_RDWR)
                        model, refused = {}, None
                        for i in range(60):
                            piece = bytes([1 + i]) * 70000
                            try: put(f, piece, i * STEP + 5000); os.fsync(f); model[i] = piece
                            except OSError as e: refused = i; assert e.errno == errno.ENOSPC, e; break
                        assert refused, 'it all went in'
                        def same():
                            for i, piece in model.items(): assert os.pread(f, 70000, i * STEP + 5000) == piece, i
                        same()
                        # It tells as often as it is asked, goes on reading, overwrites what has its place (a btrfs gives it another), and
                        # others are not touched.
                        for _ in range(3): fails(errno.ENOSPC, lambda: (put(f, piece, refused * STEP + 5000), os.fsync(f)))
                        if ROOM == 'size':
                            os.pwrite(f, b'over' * 1000, 8000)
                            # A VHDX may lack room for its log too, if nobody has used that place before.
                            try: os.fsync(f)
                            except OSError as e: assert name == 'b.vhdx' and e.errno == errno.ENOSPC, e
                            model[0] = model[0][:3000] + b'over' * 1000 + model[0][7000:]
                        same()
                        os.pwrite(other, piece, 5 << 20); os.fsync(other)
                        # With room again it goes on as if nothing had been, with no one attaching or mounting anything.
                        roomy()
                        for i in range(refused, refused + 4): put(f, bytes([1 + i]) * 70000, i * STEP + 5000); model[i] = bytes([1 + i]) * 70000
                        os.fsync(f); same()
                        os.close(f); detach(name[0])
                        subprocess.check_call([os.environ['VHDFS'], 'check', 'full/' + name], stdout=subprocess.DEVNULL)
                        if name == 'b.vhdx': subprocess.check_call(['qemu-img', 'check', '-q', '-f', 'vhdx', 'full/' + name])
                        subprocess.check_call(f'qemu-img convert -f {"vpc" if name == "a.vhd" else "vhdx"} -O raw full/{name} out', shell=True)
                        with open('out', 'rb') as out:
                            for i, piece in model.items(): assert os.pread(out.fileno(), 70000, i * STEP + 5000) == piece, i
                        os.unlink('full/' + name)
                        tight()
                    os.close(other)
                    """#
            )
        }
    }

    @Test func whatTheHostCouldNotStoreIsNeverSaidToBeDurable() throws {
        try withMount { mount in
            // It is unmounted in this order.
            try check(
                mount,
                mounting: "bad",
                "small",
                script: #"""
                    # A host whose disk fails: ext2 on a loop device, whose file has no room, so that what was written can't be stored.
                    os.mkdir('small'); os.mkdir('bad')
                    subprocess.check_call('''mount -t tmpfs -o size=12m tmpfs small
                    truncate -s 64M small/host; mke2fs -q -F -t ext2 -b 4096 -m 0 -E lazy_itable_init=0,nodiscard small/host 2> /dev/null; mount -o loop small/host bad''', shell=True)
                    KIND = {'a.vhd': ('vpc', '-o force_size=on'), 'b.vhdx': ('vhdx', '-o block_size=1M')}
                    subprocess.check_call('qemu-img create -q -f vhdx -o block_size=1M other.vhdx 64M', shell=True)
                    attach(S + '/other.vhdx'); other = os.open(A + '/other/disk', os.O_RDWR)
                    for name, (kind, options) in KIND.items():
                        subprocess.check_call(f'qemu-img create -q -f {kind} {options} bad/{name} 48M; sync', shell=True)
                        attach(f'{S}/bad/{name}')
                        f = os.open(f'{A}/{name[0]}/disk', os.O_RDWR)
                        os.pwrite(f, b'good' * 1000, 3000); os.fsync(f)
                        failed = None
                        for i in range(1, 40):
                            try: os.pwrite(f, bytes([i]) * 900000, i << 20); os.fsync(f)
                            except OSError as e: failed = i; assert e.errno in (errno.EIO, errno.ENOSPC), e; break
                        assert failed, 'all was stored'
                        # No later sync says yes, no write gets in, also when the host would be well again; reads and other disks go on.
                        assert os.pread(f, 4000, 3000) == b'good' * 1000
                        subprocess.check_call('mount -o remount,size=100m small', shell=True)
                        for _ in range(2): fails(errno.EIO, os.fsync, f)
                        fails(errno.EIO, lambda: (os.pwrite(f, b'no', 3000), os.fsync(f)))
                        os.pwrite(other, b'yes', failed); os.fsync(other)
                        assert os.pread(f, 4000, 3000) in (b'good' * 1000, b'no' + (b'good' * 1000)[2:])
                        fails(errno.EIO, os.close, f)
                        ctl('detach ' + name[0]) == 0 or detach(name[0] + ' force')
                        # Attached once more, with nothing restarted, it has what was synced, and takes writes.
                        subprocess.call([os.environ['VHDFS'], 'check', 'bad/' + name])
                        attach(f'{S}/bad/{name}')
                        f = os.open(f'{A}/{name[0]}/disk', os.O_RDWR)
                        assert os.pread(f, 4000, 3000) == b'good' * 1000
                        for i in range(1, failed): assert os.pread(f, 900000, i << 20) == bytes([i]) * 900000, i
                        os.pwrite(f, b'again' * 1000, 40 << 20); os.fsync(f); os.close(f); detach(name[0])
                        r = subprocess.call([os.environ['VHDFS'], 'check', 'bad/' + name])
                        assert r in (0, 3), r
                        if kind == 'vhdx': subprocess.check_call(['qemu-img', 'check', '-f', 'vhdx', 'bad/' + name])
                        os.unlink('bad/' + name)
                        subprocess.check_call('''sync; umount bad; rm small/host; mount -o remount,size=12m small
                        truncate -s 64M small/host; mke2fs -q -F -t ext2 -b 4096 -m 0 -E lazy_itable_init=0,nodiscard small/host 2> /dev/null; mount -o loop small/host bad''', shell=True)
                    os.close(other)
                    """#
            )
        }
    }

    @Test func aHostThatCannotReadGivesErrorsAndIsForgivenLater() throws {
        try withMount { mount in
            try check(
                mount,
                mounting: "bad",
                script: #"""
                    # A host whose disk can't be read for a while: the loop device below it has lost its end.
                    os.mkdir('bad')
                    subprocess.check_call('truncate -s 64M host; mke2fs -q -F -t ext2 -b 4096 -m 0 host; mount -o loop host bad', shell=True)
                    SIZE = 16 << 20
                    model = random.Random(1).randbytes(SIZE); open('model', 'wb').write(model)
                    for name, kind in (('a.vhd', 'vpc -o force_size=on'), ('b.vhdx', 'vhdx -o block_size=1M'), ('c.raw', 'raw')):
                        subprocess.check_call(f'qemu-img convert -f raw -O {kind} model bad/{name}', shell=True)
                    subprocess.check_call('sync; cp host healthy; qemu-img convert -f raw -O vpc -o force_size=on model other.vhd', shell=True)
                    attach(f'{S}/bad/a.vhd readonly'); attach(f'{S}/bad/b.vhdx readonly'); attach(f'{S}/bad/c.raw readonly type=raw'); attach(f'{S}/other.vhd readonly')
                    def forget():
                        # The images' pages, and ours: the bytes must come from the disk.
                        subprocess.check_call('sync', shell=True)
                        for path in ['bad/a.vhd', 'bad/b.vhdx', 'bad/c.raw'] + [f'{A}/{n}/disk' for n in 'abc']:
                            g = os.open(path, os.O_RDONLY); os.posix_fadvise(g, 0, 0, os.POSIX_FADV_DONTNEED); os.close(g)
                    def look(name, count, offset):
                        g = os.open(f'{A}/{name}/disk', os.O_RDONLY | direct)
                        try:
                            b, got = mmap.mmap(-1, count), b''
                            # What was read before the failure comes first.
                            while len(got) < count: n = os.preadv(g, [b], offset + len(got)); assert n; got = (got + b[:n])[:count]
                            return got
                        finally: os.close(g)
                    for direct in (0, os.O_DIRECT):
                        forget()
                        with open('host', 'r+b') as h: h.truncate(2 << 20)
                        for name in 'abc':
                            for count in (512, 4096, 65536, 1 << 20):
                                seen = 0
                                for offset in range(0, SIZE, 2 << 20):
                                    try: assert look(name, count, offset) == model[offset:offset + count], (name, offset)
                                    except OSError as e: assert e.errno == errno.EIO, e; seen += 1
                                assert seen >= 5, (name, count, seen)
                        assert open(A + '/other/disk', 'rb').read() == model
                        subprocess.check_call('dd if=healthy of=host bs=1M conv=notrunc status=none', shell=True)
                        forget()
                        for name in 'abc': assert open(f'{A}/{name}/disk', 'rb').read() == model, name
                    for name in 'abc': detach(name)
                    """#
            )
        }
    }

    @Test func filesThatAreCutOrReplacedWhileAttached() throws {
        try withMount { mount in
            try check(
                mount,
                script: #"""
                    # Files that are cut short, or that another takes the place of, while they are attached and read.
                    SIZE = 16 << 20
                    model = random.Random(1).randbytes(SIZE); open('model', 'wb').write(model)
                    for name, kind in (('a.vhd', 'vpc -o force_size=on'), ('b.vhd', 'vpc -o subformat=fixed,force_size=on'), ('c.vhdx', 'vhdx -o block_size=1M'), ('d.raw', 'raw')):
                        subprocess.check_call(f'qemu-img convert -f raw -O {kind} model {name}; cp --sparse=always {name} {name}.copy', shell=True)
                    subprocess.check_call('cp a.vhd other.vhd', shell=True)
                    for name in ('a.vhd', 'b.vhd', 'c.vhdx', 'other.vhd'): attach(f'{S}/{name}')
                    attach(S + '/d.raw readonly type=raw')
                    for name in 'abcd':
                        path = next(n for n in os.listdir('.') if n[0] == name and n.count('.') == 1)
                        f = os.open(f'{A}/{name}/disk', os.O_RDONLY)
                        os.truncate(path, 4 << 20)
                        for count in (512, 65536, 1 << 20):
                            g = os.open(f'{A}/{name}/disk', os.O_RDONLY if name == 'd' else os.O_RDONLY | os.O_DIRECT)
                            failed = 0
                            for offset in range(0, SIZE, count * 16 if count == 512 else 1 << 20):
                                b = mmap.mmap(-1, count)
                                try: n = os.preadv(g, [b], offset)
                                except OSError as e: assert e.errno == errno.EIO, e; failed += 1; continue
                                # What is there is right, and nothing is made up for what is not.
                                assert b[:n] == model[offset:offset + n], (name, count, offset)
                                if n < count: assert name == 'd', n; failed += 1
                            assert failed >= 8, (name, count, failed)
                            os.close(g)
                        if name != 'd':
                            g = os.open(f'{A}/{name}/disk', os.O_RDWR)
                            fails(errno.EIO, lambda: (os.pwrite(g, b'x' * 4096, 12 << 20), os.fsync(g)))
                            assert os.stat(path).st_size == 4 << 20, 'a write made the file long again'
                            try: os.close(g)
                            except OSError as e: assert e.errno == errno.EIO, e
                        os.close(f)
                        ctl('detach ' + name) == 0 or detach(name + ' force')
                        # The file is made good again, and attached: nothing else was needed.
                        os.rename(path + '.copy', path)
                        attach(f'{S}/{path} readonly' + (' type=raw' if name == 'd' else ''))
                        assert open(f'{A}/{name}/disk', 'rb').read() == model
                        # Another file takes its name: what is attached is the file, not the name.
                        subprocess.check_call(f'qemu-img create -q -f raw {path}.new 1M; mv {path}.new {path}', shell=True)
                        g = os.open(f'{A}/{name}/disk', os.O_RDONLY); os.posix_fadvise(g, 0, 0, os.POSIX_FADV_DONTNEED); os.close(g)
                        assert open(f'{A}/{name}/disk', 'rb').read() == model
                        detach(name)
                    assert open(A + '/other/disk', 'rb').read() == model
                    """#
            )
        }
    }

    @Test func anImageWithoutANameIsTold() throws {
        try withMount { mount in
            try mount.check(
                """
                for name in a b; do
                    qemu-img create -q -f vpc -o force_size=on $name.vhd 8M
                    echo "attach $S/$name.vhd" > "$M/ctl"
                    grep -q '^warnings: none' "$A/$name/info"
                done
                rm a.vhd
                cp b.vhd new; mv new b.vhd
                for name in a b; do
                    grep -q '^warnings: .*deleted, or replaced.*copy attached/'$name/disk "$A/$name/info"
                    printf kept | dd of="$A/$name/disk" conv=notrunc status=none
                    cmp -n 4 "$A/$name/disk" <(printf kept)
                    eventually eval '(echo "detach $name" > "$M/ctl") 2> /dev/null'
                done
                """
            )
            #expect(mount.log.contains("a.vhd had been deleted or replaced"), "\(mount.log)")
        }
    }

    @Test func aParentThatVanishes() throws {
        try withMount { mount in
            let parent = try mount.makeVHD("parent.vhd", fill: 7)
            var child = VHDBuilder(.differencing, size: 1 << 20)
            child.blockSize = 65_536
            child.parentID = parent.uniqueID
            child.parentName = "parent.vhd"
            try mount.scratch.write(child.build().content, to: "child.vhd")
            try mount.makeVHD("other.vhd", fill: 9)
            try check(
                mount,
                script: #"""
                    subprocess.check_call('cp parent.vhd copy', shell=True)
                    def look(offset, count=4096):
                        g = os.open(A + '/child/disk', os.O_RDONLY | os.O_DIRECT)
                        try: b = mmap.mmap(-1, count); n = os.preadv(g, [b], offset); return b[:n]
                        finally: os.close(g)
                    attach(S + '/other.vhd'); attach(S + '/child.vhd')
                    f = os.open(A + '/child/disk', os.O_RDWR)
                    os.pwrite(f, b'child' * 1000, 300000); os.fsync(f)
                    assert look(65536) == b'\7' * 4096
                    # Its name is gone: what is attached has it open. A new attach is refused, and never shows zeros.
                    os.unlink('parent.vhd')
                    for count in (4096, 65536): assert look(65536, count) == b'\7' * count
                    os.pwrite(f, b'child' * 1000, 400000); os.fsync(f); os.close(f); detach('child')
                    assert ctl(f'attach {S}/child.vhd') == errno.ENOLINK
                    subprocess.check_call('cp copy parent.vhd', shell=True)
                    attach(S + '/child.vhd')
                    # It is cut short: what only it has can't be read, what the child has can.
                    f = os.open(A + '/child/disk', os.O_RDWR)
                    os.truncate('parent.vhd', 2048)
                    for count in (4096, 65536): fails(errno.EIO, look, 65536, count)
                    assert os.pread(f, 5000, 300000) == b'child' * 1000 and os.pread(f, 5000, 400000) == b'child' * 1000
                    os.pwrite(f, b'CHILD', 300000); os.fsync(f)
                    # A sector that must be completed from it is an error, and leaves what there was.
                    fails(errno.EIO, lambda: (os.pwrite(f, b'x', 66000), os.fsync(f)))
                    assert open(A + '/other/disk', 'rb').read()[65536:131072] == b'\t' * 65536
                    os.close(f); detach('child')
                    assert subprocess.call([os.environ['VHDFS'], 'check', 'child.vhd'], stdout=subprocess.DEVNULL) in (0, 3)
                    assert ctl(f'attach {S}/child.vhd') != 0
                    subprocess.check_call('cp copy parent.vhd', shell=True)
                    attach(S + '/child.vhd readonly')
                    d = open(A + '/child/disk', 'rb').read()
                    assert d[65536:131072] == b'\7' * 65536 and d[300000:305000] == b'CHILD' + b'child' * 999 and d[400000:405000] == b'child' * 1000
                    """#
            )
        }
    }
}
