import TestSupport
import Testing

/// VHDX through a real mount, against QEMU and against what other programs have made.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct VHDXMountTests {
    static let images = TestImages.entries.filter { $0.format.hasPrefix("VHDX") }

    /// Read-only: the disk as the manifest has it, the file with every byte as it was, a dirty log included.
    @Test(.enabled(if: TestImages.areThere, "needs the images of other programs"), arguments: images)
    func everyImageShowsItsDisk(_ image: TestImages.Entry) throws {
        try withMount { mount in
            let path = try TestImages.unpack(image.name, into: mount.scratch)
            try mount.check(
                """
                stat -c '%s %y %z' '\(path)' > before
                echo "attach '\(path)' readonly name=x" > "$M/ctl"
                test "$(stat -c %s "$A/x/disk")" = \(image.virtualSize) || fail size
                entries=$(jq .log_replayed_entries "$A/x/info.json")
                case '\(image.name)' in *dirty*) test "$entries" -gt 0;; *) test "$entries" = 0;; esac
                if test \(image.virtualSize) -lt $((2 << 30)); then
                    test "$(sha256sum < "$A/x/disk")" = '\(image.diskHash)  -' || fail disk
                else
                    # QEMU replays the log into a copy.
                    cp --sparse=always '\(path)' repaired
                    qemu-img check -q -r all -f vhdx repaired
                    qemu-img convert -f vhdx -O raw repaired model
                    qemu-img compare -f raw -F raw "$A/x/disk" model
                fi
                echo "detach x" > "$M/ctl"
                stat -c '%s %y %z' '\(path)' | cmp before
                test "$(sha256sum < '\(path)')" = '\(image.imageHash)  -' || fail image
                """,
                timeout: .seconds(240)
            )
        }
    }

    /// What other programs have made can be written to, and they still read it.
    @Test(.enabled(if: TestImages.areThere, "needs the images of other programs"), arguments: images)
    func everyImageCanBeWrittenTo(_ image: TestImages.Entry) throws {
        try withMount { mount in
            let path = try TestImages.unpack(image.name, into: mount.scratch)
            try mount.check(
                mount.vhdxTools + """
                    cp --sparse=always '\(path)' copy
                    qemu-img check -q -r all -f vhdx copy || true
                    qemu-img convert -f vhdx -O raw copy model
                    echo "attach '\(path)' name=x" > "$M/ctl"
                    size=\(image.virtualSize)
                    for place in 0 5000 $((size / 3)) $((size / 2 + 777)) $((size - 70000)); do
                        head -c 70000 /dev/urandom > part
                        dd if=part of="$A/x/disk" bs=64k seek=$place oflag=seek_bytes conv=notrunc status=none
                        dd if=part of=model bs=64k seek=$place oflag=seek_bytes conv=notrunc status=none
                    done
                    qemu-img compare -q -f raw -F raw "$A/x/disk" model
                    echo "detach x" > "$M/ctl"
                    clean '\(path)'
                    qemu-img check -q -f vhdx '\(path)'
                    qemu-img compare -q -f vhdx -F raw '\(path)' model
                    """,
                timeout: .seconds(240)
            )
        }
    }

    // MARK: QEMU, in both directions

    @Test(arguments: ["dynamic", "fixed"], ["1M", "8M", "256M"])
    func qemuAndWeReadEachOther(_ subformat: String, _ blockSize: String) throws {
        try withMount { mount in
            try mount.check(
                mount.vhdxTools + """
                    qemu-img create -q -f vhdx -o subformat=\(subformat),block_size=\(blockSize) a.vhdx 70M
                    truncate -s 70M model
                    qemu() { qemu-io -f vhdx -c "$1" a.vhdx > /dev/null; qemu-io -f raw -c "$1" model > /dev/null; }
                    for round in 1 2 3; do
                        # Far places first: blocks come to lie in another order than the disk's.
                        qemu "write -P $round 60M 70000"; qemu "write -P 1$round 511 3"; qemu "write -P 2$round $((round * 9))M 2M"
                        qemu "write -z $((round * 3))M 1M"
                        echo "attach $S/a.vhdx" > "$M/ctl"
                        cmp model "$A/a/disk"
                        for place in $((round * 17 << 20)) 7340000 513 $((73400320 - 100000)); do
                            head -c 100000 /dev/urandom > part
                            dd if=part of="$A/a/disk" bs=64k seek=$place oflag=seek_bytes conv=notrunc status=none
                            dd if=part of=model bs=64k seek=$place oflag=seek_bytes conv=notrunc status=none
                        done
                        fallocate --punch-hole -o $((round * 9 << 20)) -l $((9 << 20)) "$A/a/disk"
                        fallocate --punch-hole -o $((round * 9 << 20)) -l $((9 << 20)) model
                        cmp model "$A/a/disk"
                        echo "detach a" > "$M/ctl"
                        clean a.vhdx
                        qemu-img check -q -f vhdx a.vhdx
                        qemu-img compare -q -f vhdx -F raw a.vhdx model
                    done
                    """,
                timeout: .seconds(240)
            )
        }
    }

    /// Blocks in any order with gaps between, of any size and state: QEMU reads them as we do, before and after we have written.
    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func permutedBlocks(_ seed: UInt64) throws {
        try withMount { mount in
            var random = SeededGenerator(seed: seed)
            let builder = VHDXBuilder.random(
                .dynamic,
                size: 40 << 20,
                blockSizes: [1 << 20, 2 << 20, 8 << 20],
                logicalSectorSize: 512,
                using: &random
            )
            try mount.scratch.write(builder.build().content, to: "a.vhdx")
            try mount.check(
                mount.vhdxTools + """
                    qemu-img convert -f vhdx -O raw a.vhdx model
                    echo "attach $S/a.vhdx" > "$M/ctl"
                    cmp model "$A/a/disk"
                    for i in $(seq 12); do
                        place=$((RANDOM * 32768 + RANDOM)); place=$((place % 41000000)); count=$((RANDOM * 20))
                        head -c $count /dev/urandom > part
                        dd if=part of="$A/a/disk" bs=64k seek=$place oflag=seek_bytes conv=notrunc status=none 2> message ||
                            grep -q 'No space' message
                        dd if="$A/a/disk" of=model bs=4096 conv=notrunc status=none
                    done
                    echo "detach a" > "$M/ctl"
                    clean a.vhdx
                    qemu-img check -q -f vhdx a.vhdx
                    qemu-img compare -q -f vhdx -F raw a.vhdx model
                    """
            )
        }
    }

    // MARK: Ends

    /// The log is emptied when nothing has been flushed for a while: who is killed then leaves a file that opens everywhere.
    @Test func theLogIsEmptiedWhenIdle() throws {
        try withMount { mount in
            try mount.makeVHDX("a.vhdx")
            try mount.check(
                mount.vhdxTools + """
                    echo "attach $S/a.vhdx" > "$M/ctl"
                    exec 5<> "$A/a/disk"
                    head -c 3000000 /dev/urandom >&5
                    sync -d /dev/fd/5
                    eventually isClean a.vhdx
                    kill -9 $PID
                    exec 5>&- || true
                    qemu-img check -q -f vhdx a.vhdx
                    """
            )
            try mount.kill()
        }
    }

    @Test func whatIsSyncedOutlivesTheDaemon() throws {
        try withMount { mount in
            try mount.makeVHDX("a.vhdx")
            try mount.makeVHDX("b.vhdx", .fixed, fill: 2)
            try mount.python(
                """
                attach(f'{S}/a.vhdx permanent'); attach(f'{S}/b.vhdx permanent')
                SIZE = 8 << 20
                files, models, later = {}, {}, {}
                for name in 'ab':
                    models[name] = bytearray(open(f'{A}/{name}/disk', 'rb').read())
                    files[name] = os.open(f'{A}/{name}/disk', os.O_RDWR)
                def write(name, n, model):
                    o = random.randrange(0, SIZE - n)
                    b = os.urandom(n); os.pwrite(files[name], b, o)
                    if model is not None: model[o:o + n] = b
                    return (o, o + n)
                for name in 'ab':
                    for i in range(80): write(name, random.randrange(1, 60000), models[name])
                    os.fsync(files[name])
                    # Of what comes now nothing is promised: each byte is the old or the new one.
                    later[name] = [write(name, random.randrange(1, 60000), None) for i in range(40)]
                os.kill(int(os.environ['PID']), signal.SIGKILL)
                for name in 'ab':
                    open(f'{S}/{name}.model', 'wb').write(models[name])
                    open(f'{S}/{name}.later', 'w').write('\\n'.join(f'{a} {b}' for a, b in later[name]))
                """
            )
            try mount.kill()
            try mount.mountAgain()
            try mount.python(
                """
                for name in 'ab':
                    model = bytearray(open(f'{name}.model', 'rb').read())
                    disk = bytearray(open(f'{A}/{name}/disk', 'rb').read())
                    for line in open(f'{name}.later'):
                        a, b = map(int, line.split())
                        model[a:b] = disk[a:b]
                    assert model == disk, name
                    with open(f'{A}/{name}/disk', 'r+b') as f: f.write(b'again')
                    detach(name)
                    assert subprocess.call(['qemu-img', 'check', '-q', '-f', 'vhdx', f'{name}.vhdx']) == 0
                    subprocess.check_call(['qemu-img', 'convert', '-f', 'vhdx', '-O', 'raw', f'{name}.vhdx', 'out'])
                    assert open('out', 'rb').read() == b'again' + disk[5:]
                """
            )
        }
    }

    // MARK: Space

    @Test func holesStayHoles() throws {
        try withMount { mount in
            try mount.check(
                mount.vhdxTools + """
                    qemu-img create -q -f vhdx big.vhdx 64T
                    echo "attach $S/big.vhdx" > "$M/ctl"
                    D=$A/big/disk
                    test "$(stat -c %s "$D")" = $((64 << 40))
                    head -c 1048576 /dev/urandom > part
                    dd if=part of="$D" bs=1M seek=40000000 conv=notrunc status=none
                    used() { test $(($(stat -c '%b * 512' "$1"))) -lt $((300 << 20)) || fail "$1 uses $(stat -c %b "$1") blocks"; }
                    used "$D"
                    used big.vhdx
                    python3 - "$D" <<- END
                    import os, sys
                    f = os.open(sys.argv[1], os.O_RDONLY)
                    start, place = 40000000 << 20, os.lseek(f, 0, os.SEEK_DATA)
                    assert start - (256 << 20) < place <= start, place
                    hole = os.lseek(f, start, os.SEEK_HOLE)
                    assert start + (1 << 20) <= hole <= start + (256 << 20), hole
                    try: os.lseek(f, hole, os.SEEK_DATA); assert False
                    except OSError as e: assert e.errno == 6, e
                    END
                    cmp -n 1048576 -i $((40000000 << 20)):0 "$D" part
                    # Given back, and still a hole.
                    fallocate --punch-hole -o $((40000000 << 20)) -l 1048576 "$D"
                    cmp -n 1048576 -i $((40000000 << 20)):0 "$D" /dev/zero
                    echo "detach big" > "$M/ctl"
                    clean big.vhdx
                    """
            )
        }
    }

    @Test func copiesSkipTheHoles() throws {
        try withMount { mount in
            try mount.check(
                """
                qemu-img create -q -f vhdx a.vhdx 1G
                echo "attach $S/a.vhdx" > "$M/ctl"
                head -c 1048576 /dev/urandom > part
                dd if=part of="$A/a/disk" bs=1M seek=700 conv=notrunc status=none
                small() { test $(($(stat -c '%b * 512' "$1"))) -lt $((80 << 20)) || fail "$1 uses $(stat -c %b "$1") blocks"; }
                cp --sparse=auto "$A/a/disk" copy
                small copy
                qemu-img convert -f raw -O vhdx "$A/a/disk" copy.vhdx
                small copy.vhdx
                qemu-img compare -q -f raw -F vhdx "$A/a/disk" copy.vhdx
                qemu-img compare -q -f raw -F raw "$A/a/disk" copy
                """
            )
        }
    }

    @Test func fallocateOnAChildNeverShowsTheParent() throws {
        try withMount { mount in
            let parent = try mount.makeVHDX("parent.vhdx")
            var child = VHDXBuilder(.differencing, size: parent.size, blockSize: 2 << 20)
            child.setParent(parent, file: "parent.vhdx")
            try mount.scratch.write(child.build().content, to: "child.avhdx")
            try mount.check(
                """
                cp parent.vhdx before
                echo "attach $S/child.avhdx" > "$M/ctl"
                D=$A/child/disk
                cp "$D" model
                for range in "1100000 5000" "1200000 3000000" "4194304 2097152" "0 1048577"; do
                    set -- $range
                    fallocate --punch-hole -o $1 -l $2 "$D"; fallocate --punch-hole -o $1 -l $2 model
                    cmp "$D" model
                done
                fallocate --zero-range -o 7000000 -l 9000 "$D"; fallocate --zero-range -o 7000000 -l 9000 model
                echo "detach child" > "$M/ctl"
                echo "attach $S/child.avhdx readonly" > "$M/ctl"
                cmp "$D" model
                cmp before parent.vhdx
                """
            )
        }
    }
}

extension Mount {
    /// Writes an image of 8 MiB in blocks of 1 MiB, the second of which is filled with `fill`.
    @discardableResult
    func makeVHDX(_ name: String, _ subtype: VHDXBuilder.Subtype = .dynamic, fill: UInt8 = 1) throws -> VHDXBuilder {
        var disk = SparseBytes(count: 8 << 20)
        disk.store([UInt8](repeating: fill, count: 1 << 20), at: 1 << 20)
        var builder = VHDXBuilder(subtype, disk: disk, blockSize: 1 << 20)
        builder.dataWriteGUID = [UInt8](repeating: fill, count: 16)
        try scratch.write(builder.build().content, to: name)
        return builder
    }

    /// Functions for scripts: `isClean FILE`, whether the log of a VHDX is empty by both headers; `clean FILE`,
    /// fail if not, or if the file's structures are not sound.
    var vhdxTools: String {
        """
        isClean() {
            for header in 65536 131072; do
                cmp -s -n 16 -i $((header + 48)):0 "$1" /dev/zero || return 1
                test "$(dd if="$1" bs=1 skip=$header count=4 status=none)" = head || return 1
            done
        }
        clean() {
            isClean "$1" || fail "the log of $1 is not empty"
            # QEMU and the builder leave room that nothing uses: status 3.
            "$VHDFS" check "$1" > findings || test $? = 3 || fail "$1: $(cat findings)"
        }

        """
    }
}
