import TestSupport
import Testing

/// libvhdi reads what we show and what we write, of the kinds that it reads rightly (formats.md §10): fixed and dynamic disks.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct OracleMountTests {
    @Test(arguments: [VHDBuilder.Subtype.fixed, .dynamic], VHDBuilder.Alignment.allCases)
    func libvhdiSeesTheSameDisk(_ subtype: VHDBuilder.Subtype, _ alignment: VHDBuilder.Alignment) throws {
        try withMount { mount in
            var disk = SparseBytes(count: 20 << 20)
            for block in [0, 3, 5, 9] as [UInt64] {
                disk.store((0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ Int(block)) }, at: block << 21)
            }
            var builder = VHDBuilder(subtype, disk: disk)
            builder.alignment = alignment
            // Blocks in their logical order would hide a wrong look-up.
            if subtype == .dynamic { builder.order = [5, 0, 9, 3] }
            try mount.scratch.write(builder.build().content, to: "a.vhd")
            try mount.check(
                """
                mkdir v
                trap 'umount -l v 2> /dev/null || true' EXIT
                same() {
                    echo "attach $S/a.vhd readonly" > "$M/ctl"
                    vhdimount a.vhd v > /dev/null
                    cmp "$A/a/disk" v/vhdi1
                    umount v
                    echo "detach a" > "$M/ctl"
                }
                same
                echo "attach $S/a.vhd" > "$M/ctl"
                for place in 1 777 4096 5000 10240 20000 40959; do
                    head -c 70000 /dev/urandom | dd of="$A/a/disk" bs=512 seek=$place conv=notrunc status=none 2> /dev/null || true
                done
                echo "detach a" > "$M/ctl"
                same
                """
            )
        }
    }
}
