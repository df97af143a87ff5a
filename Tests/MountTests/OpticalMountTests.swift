import TestSupport
import Testing

/// Files of ISO 9660 and UDF images.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct OpticalMountTests {
    @Test(arguments: [
        "genisoimage -quiet -R -J -joliet-long -o x.iso", "genisoimage -quiet -R -D -o x.iso",
        "xorriso -as mkisofs -quiet -R -J -o x.iso", "xorriso -as mkisofs -quiet -R --hardlinks -o x.iso",
        "genisoimage -quiet -R -o x.iso",
    ])
    func rockRidge(_ program: String) throws {
        try withMount("-o", "inner-permissions") { mount in
            try mount.check(
                VolumeScripts.tree + """
                    maketree src
                    \(program) src 2> /dev/null
                    echo "attach $S/x.iso readonly" > "$M/ctl"
                    diff <(sums src) <(sums "$M/mounts/x/p0")
                    # xorriso turns modes of folders, and owners, into its own without --rr; genisoimage keeps them.
                    for format in '%p %y %s %Ts %n' '%p %m %U %G'; do
                        diff <(cd src && find . ! -type d ! -type l -printf "$format\\n" | sort) \\
                            <(cd "$M/mounts/x/p0" && find . ! -type d ! -type l -printf "$format\\n" | sort)
                    done
                    test "$(stat -c %t:%T src/device)" = "$(stat -c %t:%T "$M/mounts/x/p0/device")"
                    test "$(readlink "$M/mounts/x/p0/link")" = Windows/System32
                    test "$(readlink "$M/mounts/x/p0/Windows/absolute")" = ../Windows/System32/config
                    ! ls "$M/mounts/x/p0" | grep -q -i rr_moved
                    diff <(cd src && find . -type d | sort) <(cd "$M/mounts/x/p0" && find . -type d | sort)
                    """
            )
        }
    }

    @Test func jolietAndPlainNames() throws {
        try withMount { mount in
            try mount.check(
                VolumeScripts.tree + """
                    maketree src plain
                    rm -r src/emoji*
                    genisoimage -quiet -input-charset utf-8 -J -joliet-long -D -o j.iso src 2> /dev/null
                    echo "attach $S/j.iso readonly" > "$M/ctl"
                    diff <(sums src) <(sums "$M/mounts/j/p0")
                    mkdir small && echo one > small/FILE.TXT && echo two > small/NOEXT && mkdir small/SUB && echo three > small/SUB/A.B
                    genisoimage -quiet -iso-level 1 -o p.iso small 2> /dev/null
                    echo "attach $S/p.iso readonly" > "$M/ctl"
                    diff <(sums small) <(sums "$M/mounts/p/p0")
                    # Compressed: recognised, and refused.
                    mkzftree src packed 2> /dev/null
                    genisoimage -quiet -R -z -D -o z.iso packed 2> /dev/null
                    echo "attach $S/z.iso readonly" > "$M/ctl"
                    test "$(stat -c %s "$M/mounts/z/p0/Windows/System32/config/SYSTEM")" = 300000
                    message=$(cat "$M/mounts/z/p0/big" 2>&1) || true
                    if [[ $(cmp src/big packed/big 2>&1) ]]; then [[ $message == *'not supported'* ]] || fail "$message"; fi
                    """
            )
        }
    }

    /// As Windows' install media are: UDF, with a README on the ISO 9660 side, or nothing.
    @Test func installMedia() throws {
        try withMount { mount in
            try mount.check(
                VolumeScripts.tree + """
                    maketree src plain
                    # genisoimage cuts names of UDF that are not of the basic plane, or long.
                    rm -r src/emoji* src/aaaa*
                    genisoimage -quiet -input-charset utf-8 -udf -J -joliet-long -D -allow-limited-size -V WIN -o bridge.iso src 2> /dev/null
                    cp bridge.iso udf.iso
                    python3 - udf.iso <<'END'
                    import sys
                    f = open(sys.argv[1], 'r+b'); f.seek(32768); s = f.read(2048 * 32)
                    d = [s[i * 2048:(i + 1) * 2048] for i in range(32)]
                    i = next(k for k in range(32) if d[k][1:6] == b'BEA01')
                    f.seek(32768); f.write(b''.join(d[i:i + 3]) + bytes(2048 * i))
                    END
                    echo "attach $S/udf.iso readonly" > "$M/ctl"
                    test "$(jq -r '.partitions[0].file_system.type' "$A/udf/info.json")" = udf
                    diff <(sums src) <(sums "$M/mounts/udf/p0")
                    7z x -y -o7z udf.iso > /dev/null
                    diff <(sums 7z) <(sums "$M/mounts/udf/p0")
                    diff <(cd src && find . -type f -printf '%p %s %Ts\\n' | sort) \\
                        <(cd "$M/mounts/udf/p0" && find . -type f -printf '%p %s %Ts\\n' | sort)
                    """
            )
        }
    }

    /// Empty file systems of every medium and block size that mkudffs knows.
    @Test func mediaOfUDF() throws {
        try withMount { mount in
            try mount.check(
                """
                count=0
                for medium in hd dvd dvdram dvdrw dvdr cdrw cdr worm mo bdr; do
                    for block in 512 2048 4096; do
                        for revision in 0x0102 0x0150 0x0201; do
                            name=$medium-$block-$revision
                            truncate -s 20M $name.img
                            mkudffs -l Disk --media-type=$medium -b $block -r $revision $name.img > /dev/null 2>&1 || continue
                            echo "attach $S/$name.img readonly type=raw" > "$M/ctl"
                            ls -A "$M/mounts/$name/p0" > names || fail "$name"
                            # The last is where rewritable media have bad packets.
                            grep -v -e lost+found -e 'Non-Allocatable Space' names && fail "$name is not empty"
                            count=$((count + 1))
                            echo "detach $name" > "$M/ctl"
                        done
                    done
                done
                test $count -gt 30 || fail "only $count"
                """
            )
        }
    }
}
