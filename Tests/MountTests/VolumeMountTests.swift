import TestSupport
import Testing

/// Files of volumes, compared with what went in and with other programs (CONTRACT.md §1, `mounts/`).
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct VolumeMountTests {
    /// In a partition of a dynamic VHDX; the kernel's own ext4 is the judge of every attribute.
    @Test func ext4IsWhatTheKernelShows() throws {
        try withMount("-o", "inner-permissions") { mount in
            try mount.check(
                VolumeScripts.tree + """
                    maketree src
                    truncate -s 120M raw
                    sfdisk -q raw <<< $'label: gpt\\nsize=200000,type=L'
                    truncate -s $((200000 * 512)) p1
                    mke2fs -q -t ext4 -d src p1
                    dd if=p1 of=raw bs=1M seek=1 conv=notrunc status=none
                    qemu-img convert -O vhdx raw a.vhdx
                    echo "attach $S/a.vhdx readonly" > "$M/ctl"
                    ls "$M/mounts/a" | grep -qx p1
                    cmp p1 "$A/a/p1"
                    cmp <(sums src) <(sums "$M/mounts/a/p1")
                    mkdir k
                    end() { umount "$S/k" 2> /dev/null || true; }
                    trap end EXIT
                    mount -o loop,ro,noload p1 k
                    format='%p %y %m %U %G %s %b %T@ %A@ %C@ %n'
                    diff <(facts k "$format") <(facts "$M/mounts/a/p1" "$format")
                    test "$(stat -c %t:%T k/device)" = "$(stat -c %t:%T "$M/mounts/a/p1/device")"
                    diff <(cd k && find . -type l ! -name absolute ! -name out -printf '%p %l\\n' | sort) \\
                        <(cd "$M/mounts/a/p1" && find . -type l ! -name absolute ! -name out -printf '%p %l\\n' | sort)
                    test "$(readlink "$M/mounts/a/p1/Windows/absolute")" = ../Windows/System32/config
                    test "$(readlink "$M/mounts/a/p1/Windows/System32/out")" = ../../etc
                    test "$(stat -c %i "$M/mounts/a/p1/big")" = "$(stat -c %i "$M/mounts/a/p1/hard link")"
                    test "$(stat -f -c '%b %S' k)" != "" -a "$(stat -f -c %S "$M/mounts/a/p1")" = 1024
                    test "$(du -s --block-size=1 "$M/mounts/a/p1/sparse" | cut -f1)" -lt 100000
                    # Holes are found without being read.
                    python3 -c '
                    import os, sys
                    f = os.open(sys.argv[1], os.O_RDONLY)
                    assert os.lseek(f, 0, os.SEEK_DATA) >= 39 << 20
                    assert os.lseek(f, 0, os.SEEK_HOLE) == 0
                    ' "$M/mounts/a/p1/sparse"
                    """
            )
        }
    }

    /// ext2, ext3 and blocks that are promised and not written: those are zeros, whatever stands there.
    @Test(arguments: ["ext2", "ext3", "ext4"])
    func extFamily(_ type: String) throws {
        try withMount { mount in
            try mount.check(
                VolumeScripts.tree + """
                    (yes garbage || true) | head -c 64M > e.img
                    maketree src
                    mke2fs -q -F -t \(type) -b 1024 e.img
                    mkdir k
                    end() { umount "$S/k" 2> /dev/null || true; }
                    trap end EXIT
                    mount -o loop e.img k
                    cp -a src/. k/
                    rm k/many/*7*
                    if test \(type) = ext4; then fallocate -l 3M k/promised; else truncate -s 3M k/promised; fi
                    sums k > wanted
                    umount k
                    echo "attach $S/e.img readonly type=raw" > "$M/ctl"
                    diff wanted <(sums "$M/mounts/e/p0")
                    cmp <(head -c 3M /dev/zero) "$M/mounts/e/p0/promised"
                    """
            )
        }
    }

    /// Targets that don't fit into the inode stand in a block, which an extent leads to, or in an attribute.
    @Test(arguments: ["", "-O inline_data -I 256", "-O ^extents,^64bit", "-O ^64bit"])
    func longLinksOfExt4(_ options: String) throws {
        try withMount { mount in
            try mount.check(
                """
                truncate -s 64M e.img
                mke2fs -q -F -t ext4 -b 4096 \(options) e.img
                mkdir k
                trap 'umount "$S/k" 2> /dev/null || true' EXIT
                mount -o loop e.img k
                python3 -c "
                import os
                for n in 1, 59, 60, 61, 100, 150, 255, 1000, 4095: os.symlink(('a long/path with ü/' * 300).encode()[:n], f'k/l{n}'.encode())
                "
                show() { for link in "$1"/l[0-9]*; do readlink "$link"; done; }
                show k > wanted
                test "$(wc -l < wanted)" = 9
                umount k
                echo "attach $S/e.img readonly type=raw" > "$M/ctl"
                diff wanted <(show "$M/mounts/e/p0")
                """
            )
        }
    }

    @Test func ext4WithClustersIsNotShown() throws {
        try withMount { mount in
            try mount.check(
                """
                truncate -s 64M e.img
                mke2fs -q -F -t ext4 -O bigalloc -C 16384 e.img
                echo "attach $S/e.img readonly type=raw" > "$M/ctl"
                test -z "$(ls "$M/mounts/e")"
                grep 'holds ext4' "$A/e/info" | grep -q 'mount -o loop,ro FILE'
                """
            )
        }
    }

    /// A folder of NTFS keeps what it has freed. Names there are neither shown nor do they lead to the files that have their records now.
    @Test func deletedFilesOfNTFSAreGone() throws {
        try withMount { mount in
            try mount.check(
                """
                truncate -s 40M n.img
                mkntfs -F -q -Q n.img
                mkdir k
                end() { fusermount -u "$S/k" 2> /dev/null || umount "$S/k" 2> /dev/null || true; }
                trap end EXIT
                ntfs-3g n.img k
                mkdir k/emptied k/thinned k/later
                for i in $(seq 400); do echo $i > k/emptied/n$i; echo $i > k/thinned/n$i; done
                rm k/emptied/n* k/thinned/n[1-3]*
                for i in $(seq 500); do echo "other file $i" > k/later/s$i; done
                tree() { (cd "$1" && find emptied thinned later | sort && cat thinned/* later/*); }
                tree k > wanted
                end
                echo "attach $S/n.img readonly type=raw" > "$M/ctl"
                diff wanted <(tree "$M/mounts/n/p0")
                """
            )
        }
    }

    /// NTFS as ntfs-3g writes it: compressed files, streams, links, reparse points.
    @Test func ntfs() throws {
        try withMount { mount in
            try mount.check(
                VolumeScripts.tree + """
                    maketree src plain
                    truncate -s 200M raw
                    sfdisk -q raw <<< $'label: dos\\nsize=380000,type=7'
                    truncate -s $((380000 * 512)) n.img
                    mkntfs -F -q -L 'Système' n.img
                    mkdir k
                    end() { fusermount -u "$S/k" 2> /dev/null || umount "$S/k" 2> /dev/null || true; }
                    trap end EXIT
                    ntfs-3g -o compression n.img k
                    cp -r src/. k/
                    ln k/big 'k/hard link'
                    ln -s Windows/System32 k/interix
                    truncate -s 300M k/sparse; echo end >> k/sparse
                    # Compressed: the attribute 0x800 of the folder is inherited.
                    mkdir k/packed
                    setfattr -h -v 0x00000810 -n system.ntfs_attrib_be k/packed
                    (yes 'compress me, please' || true) | head -c 9000000 > k/packed/text
                    head -c 700000 /dev/urandom > k/packed/noise
                    setfattr -n user.stream -v 'in a stream' k/empty
                    # A junction, a symbolic link of Windows, and what only Windows can read.
                    python3 - <<'END'
                    import os, struct
                    def point(path, tag, body):
                        os.setxattr(path, 'system.ntfs_reparse_data', struct.pack('<IHH', tag, len(body), 0) + body)
                    def names(substitute, flags=b''):
                        s = substitute.encode('utf-16-le')
                        return struct.pack('<HHHH', 0, len(s), len(s), 0) + flags + s
                    os.mkdir('k/junction'); point('k/junction', 0xA0000003, names('\\\\??\\\\C:\\\\Windows\\\\System32'))
                    os.mkdir('k/elsewhere'); point('k/elsewhere', 0xA0000003, names('\\\\??\\\\Volume{1234}\\\\x'))
                    open('k/winlink', 'w').close()
                    point('k/winlink', 0xA000000C, names('Windows\\\\System32\\\\config\\\\SYSTEM', struct.pack('<I', 1)))
                    open('k/wof', 'w').write('x' * 100); point('k/wof', 0x80000017, bytes(16))
                    open('k/dedup', 'w').write('x' * 100); point('k/dedup', 0x80000013, bytes(16))
                    END
                    sums k | grep -v -E '/(wof|dedup)$' > wanted || true
                    (cd k && find . -type f -printf '%p %s %T@ %n\\n' | grep -v -E 'wof|dedup|interix' | sort) > wantedfacts
                    end
                    dd if=n.img of=raw bs=1M seek=1 conv=notrunc status=none
                    qemu-img convert -f raw -O vhdx raw win.vhdx
                    echo "attach $S/win.vhdx readonly" > "$M/ctl"
                    P=$M/mounts/win/p1
                    diff <(grep -v interix wanted) <(cd "$P" && find . -type f ! -name wof ! -name dedup -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
                    diff wantedfacts <(cd "$P" && find . -type f -printf '%p %s %T@ %n\\n' | grep -v -E 'wof|dedup|interix' | sort)
                    test "$(readlink "$P/interix")" = Windows/System32
                    test "$(readlink "$P/junction")" = Windows/System32
                    test "$(readlink "$P/winlink")" = Windows/System32/config/SYSTEM
                    cmp "$P/winlink" src/Windows/System32/config/SYSTEM
                    [[ $(readlink "$P/elsewhere") == *Volume* ]] && ! test -e "$P/elsewhere"
                    for name in wof dedup; do
                        message=$(cat "$P/$name" 2>&1) && fail "$name was read"
                        [[ $message == *'not supported'* ]] || fail "$message"
                    done
                    test "$(getfattr --only-values -n user.ads.stream "$P/empty")" = 'in a stream'
                    getfattr "$P/empty" | grep -qx user.ads.stream
                    test "$(du --block-size=1 "$P/packed/text" | cut -f1)" -lt 5000000
                    ! ls "$P" | grep -q '^\\$'
                    cmp <(head -c 4 "$P/\\$MFT") <(printf FILE)
                    ls "$P/many" | wc -l | grep -qx 1500
                    test "$(stat -c %i "$P/big")" = "$(stat -c %i "$P/hard link")"
                    """,
                timeout: .seconds(180)
            )
        }
    }

    /// A file that is deleted while it is open never shows the bytes of the next one that has its place.
    @Test func aFileThatWasDeletedIsNotTheNextOne() throws {
        try withMount { mount in
            try mount.python(
                #"""
                def sh(command): subprocess.check_call(command, shell=True)
                os.environ['MTOOLS_SKIP_CHECK'] = '1'
                open('first', 'w').write('first ' * 20000); open('second', 'w').write('second ' * 20000)
                sh('truncate -s 40M fat ext4 ntfs; mkfs.fat -F 16 fat > /dev/null; mke2fs -q -t ext4 ext4; mkntfs -F -q ntfs; mkdir k')
                def put(kind, disk, source, name):
                    if kind == 'fat': sh(f'mcopy -i {disk} {source} ::{name}')
                    # It gives out no numbers of its own, as the kernel does.
                    elif kind == 'ext4': sh(f"debugfs -w -R 'write {source} {name}' {disk} 2> /dev/null; debugfs -w -R 'set_inode_field {name} generation {len(source)}' {disk} 2> /dev/null")
                    else: sh(f'ntfs-3g {disk} k; cp {source} k/{name}; umount k')
                def remove(kind, disk, name):
                    if kind == 'fat': sh(f'mdel -i {disk} ::{name}')
                    elif kind == 'ext4': sh(f"debugfs -w -R 'rm {name}' {disk} 2> /dev/null")
                    else: sh(f'ntfs-3g {disk} k; rm k/{name}; umount k')
                for kind in ('fat', 'ext4', 'ntfs'):
                    attach(f'{S}/{kind} type=raw')
                    disk, volume = f'{A}/{kind}/disk', f'{M}/mounts/{kind}/p0'
                    put(kind, disk, 'first', 'one')
                    end = time.monotonic() + 10
                    while not os.path.exists(volume + '/one'): assert time.monotonic() < end; time.sleep(0.05)
                    f = open(volume + '/one', 'rb'); inode = os.fstat(f.fileno()).st_ino
                    assert f.read(6) == b'first '
                    # FAT counts the time of a file's making in seconds.
                    time.sleep(2.1)
                    remove(kind, disk, 'one'); put(kind, disk, 'second', 'two')
                    while not os.path.exists(volume + '/two'): assert time.monotonic() < end + 10; time.sleep(0.05)
                    assert open(volume + '/two', 'rb').read() == b'second ' * 20000
                    assert os.stat(volume + '/two').st_ino == inode, (kind, 'the place was not used again')
                    for offset in (0, 60000):
                        try: found = os.pread(f.fileno(), 6, offset)
                        except OSError as e: assert e.errno in (errno.ESTALE, errno.EIO), e
                        else: assert False, (kind, found)
                    # The kernel says so again.
                    try: f.close()
                    except OSError: pass
                    detach(kind)
                """#,
                timeout: .seconds(100)
            )
        }
    }

    @Test(arguments: ["12", "16", "32"])
    func fat(_ bits: String) throws {
        try withMount("-o", "tz=Europe/Berlin") { mount in
            try mount.check(
                VolumeScripts.tree + """
                    maketree src plain
                    # mtools has no characters outside of the basic plane, and gets slow in large folders.
                    rm src/emoji* src/many/*[3-9].txt
                    if test \(bits) = 12; then rm -r src/many src/big; fi
                    truncate -s $((\(bits) == 12 ? 4 : \(bits) == 16 ? 60 : 100))M f.img
                    mkfs.fat -F \(bits) -n LABEL f.img > /dev/null
                    export MTOOLS_SKIP_CHECK=1
                    (cd src && TZ=Europe/Berlin LC_ALL=C.UTF-8 mcopy -i ../f.img -s -m * ::)
                    echo "attach $S/f.img readonly type=raw" > "$M/ctl"
                    diff <(sums src) <(sums "$M/mounts/f/p0")
                    # Local times, two seconds apart at best.
                    test $(($(stat -c %Y src/empty) - $(stat -c %Y "$M/mounts/f/p0/empty"))) -le 1
                    test $(($(stat -c %Y src/empty) - $(stat -c %Y "$M/mounts/f/p0/empty"))) -ge -1
                    ! ls "$M/mounts/f/p0" | grep -E -q '^\\$|LABEL'
                    """
            )
        }
    }

    @Test func exfat() throws {
        try withMount { mount in
            try mount.check(
                VolumeScripts.tree + """
                    maketree src plain
                    truncate -s 100M x.img
                    mkfs.exfat -c 4096 -L LABEL x.img > /dev/null
                    mkdir k
                    end() { umount "$S/k" 2> /dev/null || true; test -z "${loop:-}" || losetup -d "$loop"; loop=; }
                    trap end EXIT
                    loop=$(losetup --find --show x.img)
                    mount.exfat-fuse "$loop" k > /dev/null
                    # Folders whose clusters don't follow each other.
                    mkdir k/one k/two
                    for i in $(seq 400); do echo $i > k/one/file$i; echo $i > k/two/other$i; done
                    mkdir src/one src/two
                    cp k/one/* src/one; cp k/two/* src/two
                    cp -r src/. k/
                    end
                    echo "attach $S/x.img readonly type=raw" > "$M/ctl"
                    diff <(sums src) <(sums "$M/mounts/x/p0")
                    echo 'detach x' > "$M/ctl"
                    # Only a part of `big` has been written: what follows is zeros, not what stands there.
                    python3 - <<'END'
                    import struct
                    b = bytearray(open('x.img', 'rb').read())
                    size = 5 << 20
                    place = next(p for p in range(0, len(b), 32) if b[p] == 0xC0 and struct.unpack_from('<Q', b, p + 24)[0] == size)
                    struct.pack_into('<Q', b, place + 8, 1000000)
                    count = 32 * (b[place - 31] + 1)
                    checksum = 0
                    for i in range(count):
                        if i not in (2, 3): checksum = ((checksum >> 1 | checksum << 15) + b[place - 32 + i]) & 0xFFFF
                    struct.pack_into('<H', b, place - 30, checksum)
                    open('x.img', 'wb').write(b)
                    END
                    echo "attach $S/x.img readonly type=raw" > "$M/ctl"
                    cmp "$M/mounts/x/p0/big" <(head -c 1000000 src/big; head -c $(((5 << 20) - 1000000)) /dev/zero)
                    """
            )
        }
    }

    /// xorriso puts HFS+ beside ISO 9660, with an Apple partition map before it.
    @Test func hfsPlus() throws {
        try withMount { mount in
            try mount.check(
                VolumeScripts.tree + """
                    maketree src
                    rm src/fifo src/device src/sparse
                    LC_ALL=C.UTF-8 xorriso -as mkisofs -quiet -R -hfsplus -o h.iso src
                    python3 - <<'END'
                    image = open('h.iso', 'rb').read()
                    place = next(p for p in range(0, len(image), 512) if image[p + 1024:p + 1028] in (b'H+\\0\\4', b'HX\\0\\5'))
                    open('h.img', 'wb').write(image[place:])
                    END
                    echo "attach $S/h.img readonly type=raw" > "$M/ctl"
                    P=$M/mounts/h/p0
                    # HFS+ stores names decomposed.
                    decomposed() { python3 -c 'import sys, unicodedata; sys.stdout.write(unicodedata.normalize("NFD", sys.stdin.read()))' | LC_ALL=C sort; }
                    diff <(sums src | decomposed) <(sums "$P" | decomposed)
                    """
            )
        }
    }
}
