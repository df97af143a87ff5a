import Glibc
import TestSupport
import Testing

/// 64 images of all kinds under 32 clients that read, write, attach, detach, are interrupted and killed (`scripts/soak`).
///
/// Ten seconds of it among the tests; `make soak` runs an hour.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(24 * 60)))
struct LoadMountTests {
    private static let seconds: Int = {
        guard let text = unsafe getenv("VHDFS_SOAK_SECONDS") else { return 10 }
        return unsafe Int(String(cString: text)) ?? 10
    }()

    @Test func everyDiskIsItsModelUnderLoad() throws {
        try withMount { mount in
            try makeImages(mount)
            let soak = [
                "\(TestImages.packageFolder)/scripts/soak", mount.path, mount.scratch.path, "\(mount.processID)",
            ]
            let result = try run(
                soak + ["\(Self.seconds)"],
                // In MiB. Sanitizers keep what has been freed.
                environment: ["VHDFS": Mount.binary, "MEMORY_LIMIT": BuiltProgram.watchesItself ? "1024" : "256"],
                timeout: .seconds(Self.seconds + 600)
            )
            let isGood = result.succeeded
            #expect(isGood, "\(result.errorOutput)\nlog: \(mount.log.suffix(4000))")
            if Self.seconds > 10 { print(result.errorOutput) }
        }
    }

    private func makeImages(_ mount: Mount) throws {
        try mount.scratch.makeFolder("images")
        try mount.scratch.makeFolder("models")
        // A folder for each, so that the search for children before each first write is short.
        func place(_ name: String) throws -> String {
            try mount.scratch.makeFolder("images/\(name).folder")
            return "images/\(name).folder/\(name)"
        }
        func model(_ disk: SparseBytes, _ name: String) throws { try mount.scratch.write(disk, to: "models/\(name)") }
        for number in 0..<24 {
            let name = "\(number).vhd"
            let builder = try mount.makeVHD(
                place(name),
                number % 3 == 0 ? .fixed : .dynamic,
                fill: UInt8(1 + number)
            )
            try model(builder.shown(), name)
        }
        for number in 0..<12 {
            let builder = try mount.makeVHDX(
                place("\(number).vhdx"),
                number % 4 == 0 ? .fixed : .dynamic,
                fill: UInt8(1 + number)
            )
            try model(builder.shown(), "\(number).vhdx")
        }
        for number in 0..<16 { try makeChain(number, mount) }
        for number in 0..<12 {
            var builder = ISOBuilder.iso9660(size: 1 << 20)
            builder.put([UInt8](repeating: UInt8(1 + number), count: 300_000), at: 500_000)
            let name = number % 2 == 0 ? "\(number).iso" : "\(number).raw"
            try mount.scratch.write(builder.content, to: place(name))
            try model(builder.content, name)
        }
    }

    /// A parent, and a child that the clients use.
    private func makeChain(_ number: Int, _ mount: Mount) throws {
        let fill = UInt8(100 + number)
        let folder = "images/chain\(number).folder"
        try mount.scratch.makeFolder(folder)
        if number % 2 == 0 {
            let parent = try mount.makeVHD("\(folder)/parent\(number).vhd", fill: fill)
            var child = VHDBuilder(.differencing, size: 1 << 20)
            child.blockSize = 65_536
            child.uniqueID = [UInt8](repeating: fill, count: 15) + [1]
            child.setParent(parent, file: "parent\(number).vhd")
            try mount.scratch.write(child.build().content, to: "\(folder)/child\(number).vhd")
            try mount.scratch.write(child.shown(over: parent.shown()), to: "models/child\(number).vhd")
        } else {
            let parent = try mount.makeVHDX("\(folder)/parent\(number).vhdx", fill: fill)
            var child = VHDXBuilder(.differencing, disk: SparseBytes(count: 8 << 20), blockSize: 1 << 20)
            child.dataWriteGUID = [UInt8](repeating: fill, count: 15) + [1]
            child.setParent(parent, file: "parent\(number).vhdx")
            try mount.scratch.write(child.build().content, to: "\(folder)/child\(number).vhdx")
            try mount.scratch.write(child.shown(over: parent.shown()), to: "models/child\(number).vhdx")
        }
    }
}
