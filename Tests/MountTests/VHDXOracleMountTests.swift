import TestSupport
import Testing

/// Other programs read chains of VHDX as we show them, before and after we have written to the leaf: libvhdi, and dissect.hypervisor.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct VHDXOracleMountTests {
    /// A base and its children in one folder, the leaf `leaf.vhdx`, all of one size: past a parent's end libvhdi gives errors.
    private func makeChain(
        _ mount: Mount,
        sector: UInt32,
        blockSizes: [UInt32],
        hasAllStates: Bool = true,
        seed: UInt64
    ) throws {
        var random = SeededGenerator(seed: seed)
        var below: VHDXBuilder?
        for index in blockSizes.indices {
            var builder = VHDXBuilder.random(
                index > 0 ? .differencing : hasAllStates ? .dynamic : .fixed,
                size: 11 << 20,
                blockSizes: [blockSizes[index]],
                logicalSectorSize: sector,
                using: &random
            )
            if !hasAllStates, index > 0 {
                let present = (0..<builder.sectorsPerBlock).map { $0 % 11 < 5 }
                builder.blocks = builder.blocks.mapValues { block in
                    [.fullyPresent, .partiallyPresent].contains(block.state)
                        ? block : VHDXBuilder.Block(.partiallyPresent, present: present)
                }
            }
            if let below {
                builder.setParent(below, file: "\(index - 1).vhdx")
                // libvhdi takes no digits in upper case.
                let linkage = guidText(below.dataWriteGUID).lowercased()
                builder.parentPairs[0] = VHDXBuilder.Pair("parent_linkage", "{\(linkage)}")
            }
            let isLeaf = index == blockSizes.count - 1
            try mount.scratch.write(builder.build().content, to: isLeaf ? "leaf.vhdx" : "\(index).vhdx")
            below = builder
        }
    }

    /// Compares, writes here and there, and compares again. `same` is a function of the script.
    private func compare(_ mount: Mount, punching: Bool = true, _ same: String) throws {
        try mount.check(
            mount.vhdxTools + same + """

                echo "attach $S/leaf.vhdx readonly" > "$M/ctl"
                same
                echo "detach leaf" > "$M/ctl"
                echo "attach $S/leaf.vhdx" > "$M/ctl"
                for place in 1 777 4096 5000 10240 15000 20000 22015; do
                    head -c $((RANDOM * 3)) /dev/urandom > part
                    dd if=part of="$A/leaf/disk" bs=512 seek=$place conv=notrunc status=none 2> message || grep -q 'No space' message
                done
                ! \(punching) || fallocate --punch-hole -o 3000001 -l 2500000 "$A/leaf/disk"
                echo "detach leaf" > "$M/ctl"
                clean leaf.vhdx
                echo "attach $S/leaf.vhdx readonly" > "$M/ctl"
                same
                """,
            timeout: .seconds(120)
        )
    }

    /// libvhdi reads the start of the file where a block is not present, and the parent where one is zeros by its state: here all blocks are
    /// present, wholly or partially.
    @Test(arguments: [UInt32(512), 4096], 1...3 as ClosedRange<UInt64>)
    func libvhdiSeesTheSameChain(_ sector: UInt32, _ seed: UInt64) throws {
        try withMount { mount in
            try makeChain(
                mount,
                sector: sector,
                blockSizes: [2 << 20, 1 << 20, 4 << 20],
                hasAllStates: false,
                seed: seed
            )
            try compare(
                mount,
                punching: false,
                """
                mkdir v
                trap 'umount -l v 2> /dev/null || true' EXIT
                same() {
                    vhdimount leaf.vhdx v > /dev/null
                    # Each layer has a file: the leaf's is the last.
                    cmp "$A/leaf/disk" "$(ls -v v/vhdi* | tail -n 1)"
                    umount v
                }
                """
            )
        }
    }

    /// Where dissect is; nil when it can't be installed.
    static let dissect: String? = {
        guard let result = try? run("\(TestImages.packageFolder)/scripts/install-dissect", timeout: .seconds(120)),
            result.succeeded
        else { return nil }
        return result.output.split(separator: "\n").last.map(String.init)
    }()

    /// dissect reads wrongly what does not begin with a block: so it is asked for one at a time, the layers' blocks are of one size, and no
    /// parent has partial blocks.
    @Test(
        .enabled(if: dissect != nil, "dissect.hypervisor can't be installed (scripts/install-dissect)"),
        arguments: [UInt32(512), 4096],
        1...3 as ClosedRange<UInt64>
    )
    func dissectSeesTheSameChain(_ sector: UInt32, _ seed: UInt64) throws {
        let python = try #require(Self.dissect)
        try withMount { mount in
            try makeChain(mount, sector: sector, blockSizes: [1 << 20, 1 << 20], seed: seed)
            let script = """
                import pathlib, sys
                from dissect.hypervisor.disk.vhdx import VHDX
                theirs, ours = VHDX(pathlib.Path('leaf.vhdx').absolute()), open(sys.argv[1], 'rb')
                count = theirs.block_size // theirs.sector_size
                for block in range(-(-theirs.size // theirs.block_size)):
                    mine = ours.read(theirs.block_size)
                    assert mine == theirs.read_sectors(block * count, count)[:len(mine)], block
                assert ours.tell() == theirs.size
                """
            try mount.scratch.write(Array(script.utf8), to: "compare.py")
            try compare(mount, "same() { '\(python)' compare.py \"$A/leaf/disk\"; }")
        }
    }
}
