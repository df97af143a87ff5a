import TestSupport
import Testing

/// `pN`: partitions as files (CONTRACT.md §1), and what `info` tells of them.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct PartitionMountTests {
    /// Every partition of tables that sfdisk makes, its bytes, and what sfdisk and blkid say of it.
    @Test func partitionsAreWhatSfdiskSays() throws {
        try withMount { mount in
            try mount.python(
                #"""
                import json
                def image(name, script, *arguments):
                    with open(name, 'wb') as f: f.truncate(64 << 20)
                    subprocess.run(['sfdisk', '-q', name, *arguments], input=script, text=True, check=True)
                    # Every sector knows its number.
                    table = json.loads(subprocess.run(['sfdisk', '--json', name], capture_output=True, check=True).stdout)['partitiontable']
                    with open(name, 'r+b') as f:
                        for p in table['partitions']:
                            if p['type'] in ('5', 'f'): continue
                            f.seek(p['start'] * 512)
                            f.write(b''.join((p['start'] + i).to_bytes(8, 'little') * 64 for i in range(min(100, p['size']))))
                    return table
                def tables():
                    yield 'mbr', 'label: dos\nsize=8192,type=7\nsize=100,type=83\nsize=40000,type=f\nsize=2000,type=c\n' + 'size=3000,type=83\n' * 5
                    yield 'gpt', 'label: gpt\nsize=8192,name="Basic data partition",type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7\nstart=30000,size=77,name="Линукс"\nsize=5000,type=U\n'
                    random.seed(3)
                    for seed in range(6):
                        lines = ''.join('size=%d\n' % random.randint(1, 4000) for _ in range(random.randint(1, 20)))
                        yield 'random%d' % seed, 'label: gpt\n' + lines
                for name, script in tables():
                    table = image(name, script)
                    attach(S + '/%s readonly type=raw' % name)
                    info = json.load(open(A + '/%s/info.json' % name))
                    assert info['partition_table']['type'] == table['label'], info
                    assert info['partition_table']['identifier'].lower() == table['id'].lower(), info
                    assert not info['partition_table']['problems']
                    ours = {p['number']: p for p in info['partitions']}
                    assert len(ours) == len(table['partitions'])
                    shown = sorted(n for n in os.listdir(A + '/' + name) if n.startswith('p'))
                    expected = []
                    for p in table['partitions']:
                        number = int(p['node'][len(name):].lstrip('p'))
                        own = ours[number]
                        assert (own['offset'], own['length']) == (p['start'] * 512, p['size'] * 512), (own, p)
                        assert own['type'].lower() == p['type'].lower(), (own, p)
                        assert own.get('name') == p.get('name') and own.get('guid') == p.get('uuid'), (own, p)
                        if p['type'] in ('5', 'f'):
                            assert own['problem']
                            continue
                        assert 'problem' not in own, own
                        expected.append('p%d' % number)
                        path = A + '/%s/p%d' % (name, number)
                        assert os.stat(path).st_size == p['size'] * 512
                        with open(name, 'rb') as f, open(path, 'rb') as g:
                            f.seek(p['start'] * 512)
                            assert f.read(p['size'] * 512) == g.read(), path
                    assert shown == sorted(expected), (shown, expected)
                    # The primary table is gone, or its entries: the backup serves.
                    if table['label'] == 'gpt':
                        detach(name)
                        with open(name, 'r+b') as f:
                            f.seek(512 if name == 'gpt' else 1100)
                            f.write(b'damaged!')
                        attach(S + '/%s readonly type=raw' % name)
                        again = json.load(open(A + '/%s/info.json' % name))
                        assert again['partitions'] == info['partitions']
                        assert again['partition_table']['problems']
                """#
            )
        }
    }

    /// What lies past the end, overlaps or goes round in a circle is listed with the reason, and not offered.
    @Test func badEntriesAreNotOffered() throws {
        try withMount { mount in
            try mount.python(
                #"""
                import json, struct
                def entry(type, start, count): return struct.pack('<B3sB3sII', 0, b'', type, b'', start, count)
                def disk(name, entries, ebr={}):
                    b = bytearray(8 << 20)
                    def record(sector, entries):
                        b[sector * 512 + 446:sector * 512 + 510] = b''.join(entries).ljust(64, b'\0')
                        b[sector * 512 + 510:sector * 512 + 512] = b'\x55\xaa'
                    record(0, entries)
                    for sector, e in ebr.items(): record(sector, e)
                    open(name, 'wb').write(b)
                    attach(S + '/%s readonly type=raw' % name)
                    info = json.load(open(A + '/%s/info.json' % name))
                    names = sorted(n for n in os.listdir(A + '/' + name) if n.startswith('p'))
                    return info, names, {p['number']: p.get('problem') for p in info['partitions']}
                info, names, problems = disk('over', [entry(7, 2048, 4096), entry(7, 4096, 4096), entry(7, 9000, 100)])
                assert names == ['p3'] and 'overlaps' in problems[1] and 'overlaps' in problems[2], problems
                info, names, problems = disk('past', [entry(7, 2048, 4096), entry(7, 16000, 5000), entry(7, 4294967295, 4294967295)])
                assert names == ['p1'] and 'past the end' in problems[2] and 'past the end' in problems[3], problems
                ext = {4096: [entry(7, 16, 100), entry(5, 1000, 500)], 5096: [entry(7, 16, 100), entry(5, 0, 500)]}
                info, names, problems = disk('loop', [entry(7, 2048, 100), entry(5, 4096, 8000)], ext)
                assert names == ['p1', 'p5', 'p6'], names
                assert 'comes back' in info['partition_table']['problems'][0]
                info, names, problems = disk('lost', [entry(5, 4096, 8000)])
                assert names == [] and info['partition_table']['problems']
                # Flags that no partition has: no table.
                info, names, problems = disk('junk', [b'\x77' + entry(7, 2048, 100)[1:]])
                assert names == [] and 'partition_table' not in info
                """#
            )
        }
    }

    /// A file system on the whole disk is not read as a table, though its first sector ends like one; and its files are in `p0`.
    @Test func wholeDisks() throws {
        try withMount { mount in
            try mount.check(
                """
                for make in 'mkfs.fat -F 16' 'mkfs.fat -F 32' 'mkntfs -F -q' mkfs.exfat 'mke2fs -q -t ext4'; do
                    rm -f w.img; truncate -s 80M w.img
                    $make w.img > /dev/null 2>&1
                    echo "attach $S/w.img readonly type=raw" > "$M/ctl"
                    test "$(ls "$M/mounts/w")" = p0 || fail "$make"
                    ! ls "$A/w" | grep -q '^p' || fail "$make has partitions"
                    test "$(jq -r '.partitions[0].file_system.type' "$A/w/info.json")" = "$(blkid -p -s TYPE -o value w.img)"
                    echo 'detach w' > "$M/ctl"
                done
                """
            )
        }
    }

    /// Type, label and identifier of everything that has a signature, as blkid says.
    @Test func identitiesAreThoseOfBlkid() throws {
        try withMount { mount in
            try mount.check(
                #"""
                check() { # command that makes w.img
                    rm -f w.img; truncate -s 120M w.img
                    "$@" > log 2>&1 || { cat log; fail "$*"; }
                    echo "attach $S/w.img readonly type=raw" > "$M/ctl"
                    for pair in TYPE:type LABEL:label UUID:uuid; do
                        theirs=$(blkid -p -s ${pair%:*} -o value w.img || true)
                        ours=$(jq -r ".partitions[0].file_system.${pair#*:} // \"\"" "$A/w/info.json")
                        test "$ours" = "$theirs" || fail "$*: $pair is '$ours', and blkid says '$theirs'"
                    done
                    echo 'detach w' > "$M/ctl"
                }
                for t in ext2 ext3 ext4; do check mke2fs -q -t $t -L "label $t" w.img; done
                for bits in 12 16 32; do check mkfs.fat -F $bits -s $((bits == 12 ? 128 : bits == 16 ? 16 : 1)) -n LABEL w.img; done
                check mkfs.fat -F 16 w.img
                check mkntfs -F -q -L 'Windows' w.img
                check mkfs.exfat -L label w.img
                check mkfs.btrfs -q -L label w.img
                check mkswap -L label w.img
                luks() { echo secret | cryptsetup -q luksFormat --type $1 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 w.img -; }
                check luks luks1
                check luks luks2
                for block in 512 2048 4096; do check mkudffs -l Disk --media-type=hd -b $block w.img; done
                mkdir src; echo hello > src/file
                check genisoimage -quiet -V LABEL -o w.img src
                check genisoimage -quiet -V LABEL -J -R -o w.img src
                xfs() { rm w.img; truncate -s 320M w.img; mkfs.xfs -q -L label w.img; }
                check xfs
                # States.
                rm w.img; truncate -s 40M w.img; mke2fs -q -t ext4 w.img; debugfs -w -R 'feature needs_recovery' w.img 2> /dev/null
                echo "attach $S/w.img readonly type=raw" > "$M/ctl"
                jq -e '.partitions[0].file_system.states | index("needs recovery")' "$A/w/info.json" > /dev/null
                echo 'detach w' > "$M/ctl"
                rm w.img; truncate -s 40M w.img; printf '\xeb\x58\x90-FVE-FS-' | dd of=w.img conv=notrunc status=none
                echo "attach $S/w.img readonly type=raw" > "$M/ctl"
                grep -q 'BitLocker.*cryptsetup' "$A/w/info"
                test -z "$(ls "$M/mounts/w")"
                """#
            )
        }
    }

    /// What is written through `disk` is seen through `p1`, and the other way round, also by who has read it before.
    @Test func diskAndPartitionsAreTheSameBytes() throws {
        try withMount { mount in
            try mount.python(
                #"""
                subprocess.run('qemu-img create -q -f vpc -o force_size=on a.vhd 64M', shell=True, check=True)
                attach(S + '/a.vhd')
                subprocess.run(['sfdisk', '-q', '--no-reread', '--no-tell-kernel', A + '/a/disk'], check=True,
                               input='label: dos\nstart=63,size=20000,type=7\nstart=40000,size=20000,type=7\n', text=True)
                names = sorted(n for n in os.listdir(A + '/a') if n.startswith('p'))
                assert names == ['p1', 'p2'], names
                disk = os.open(A + '/a/disk', os.O_RDWR)
                parts = [(os.open(A + '/a/p1', os.O_RDWR), 63 * 512), (os.open(A + '/a/p2', os.O_RDWR), 40000 * 512)]
                size = 20000 * 512
                model = [bytearray(size), bytearray(size)]
                random.seed(5)
                maps = [mmap.mmap(p, size) for p, _ in parts]
                for step in range(1500):
                    i = random.randrange(2)
                    part, start = parts[i]
                    offset = random.randrange(size)
                    count = min(random.choice([1, 512, 5000, 100000]), size - offset)
                    kind = random.randrange(5)
                    if kind == 0:
                        data = random.randbytes(count)
                        assert os.pwrite(disk, data, start + offset) == count
                        model[i][offset:offset + count] = data
                    elif kind == 1:
                        data = random.randbytes(count)
                        assert os.pwrite(part, data, offset) == count
                        model[i][offset:offset + count] = data
                    elif kind == 2: assert os.pread(disk, count, start + offset) == model[i][offset:offset + count], step
                    elif kind == 3: assert os.pread(part, count, offset) == model[i][offset:offset + count], step
                    else: assert maps[i][offset:offset + count] == model[i][offset:offset + count], step
                # Never past its end, and never longer.
                fails(errno.ENOSPC, os.pwrite, parts[0][0], b'x', size)
                fails(errno.EPERM, os.ftruncate, parts[0][0], 100)
                os.fsync(parts[1][0])
                for m in maps: m.close()
                for p, _ in parts: os.close(p)
                os.close(disk)
                # Dividing it anew takes old names away.
                subprocess.run(['sfdisk', '-q', '--no-reread', '--no-tell-kernel', A + '/a/disk'], check=True,
                               input='label: dos\nstart=2048,size=100,type=83\n', text=True)
                assert sorted(n for n in os.listdir(A + '/a') if n.startswith('p')) == ['p1']
                assert os.stat(A + '/a/p1').st_size == 51200
                time.sleep(1)
                detach('a')
                """#
            )
        }
    }

    /// A file system is made and filled through `p1`; its files appear below `mounts/`.
    @Test func whatIsWrittenToAPartitionAppearsInMounts() throws {
        try withMount { mount in
            try mount.check(
                """
                qemu-img create -q -f vhdx a.vhdx 80M
                echo "attach $S/a.vhdx" > "$M/ctl"
                sfdisk -q --no-reread --no-tell-kernel "$A/a/disk" <<< $'label: gpt\\nsize=100000'
                test -z "$(ls "$M/mounts/a")"
                mke2fs -q -t ext4 "$A/a/p1"
                ls "$M/mounts/a/p1" | grep -qx lost+found
                mkdir inside
                end() { umount "$S/inside" 2> /dev/null || true; test -z "${loop:-}" || losetup -d "$loop"; loop=; }
                trap end EXIT
                loop=$(losetup --find --show "$A/a/p1")
                mount "$loop" inside
                for round in 1 2 3; do
                    head -c 300000 /dev/urandom > inside/file$round
                    sync inside/file$round; sync -f inside/file$round; blockdev --flushbufs "$loop"
                    eventually cmp inside/file$round "$M/mounts/a/p1/file$round" 2> /dev/null
                done
                rm inside/file1; umount inside; losetup -d "$loop"; loop=
                eventually gone "$M/mounts/a/p1/file1"
                eventually eval "(echo 'detach a' > '$M/ctl') 2> /dev/null"
                qemu-img check -q a.vhdx
                """
            )
        }
    }

    @Test func wordsThatLeaveThePartitionsAlone() throws {
        try withMount { mount in
            try mount.check(
                """
                truncate -s 20M raw
                sfdisk -q raw <<< $'label: dos\\nsize=20000,type=c'
                truncate -s $((20000 * 512)) p1; mkfs.fat p1 > /dev/null; dd if=p1 of=raw bs=1M seek=1 conv=notrunc status=none
                echo "attach $S/raw readonly type=raw no-drive-letter" > "$M/ctl"
                test -f "$A/raw/p1" -a ! -e "$M/mounts/raw"
                echo 'detach raw' > "$M/ctl"
                echo "attach $S/raw readonly type=raw no-local-host" > "$M/ctl"
                test ! -e "$A/raw/p1" -a ! -e "$M/mounts/raw"
                test "$(jq -c .partitions "$A/raw/info.json")" = '[]'
                """
            )
        }
    }
}
