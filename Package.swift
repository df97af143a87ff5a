// swift-tools-version: 6.2

import PackageDescription

let language: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]
let settings = language + [.strictMemorySafety()]

// `make fuzz` (scripts/fuzz) compiles everything anew: the rooms tell libFuzzer which ways they go.
let isFuzzing = Context.environment["VHDFS_FUZZ"] != nil
let fuzzed: [SwiftSetting] = isFuzzing ? [.unsafeFlags(["-sanitize=fuzzer"])] : []

// One room of the house; the arrows of `needs` point downwards only (docs/architecture.md).
func room(_ name: String, needs: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: needs, swiftSettings: settings + fuzzed)
}

func tests(of name: String, needs: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: name + "Tests",
        dependencies: [.target(name: name), "TestSupport"] + needs,
        swiftSettings: settings
    )
}

let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let log = Target.Dependency.product(name: "Logging", package: "swift-log")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "vhdfs",
    products: [
        .executable(name: "vhdfs", targets: ["vhdfs"]),
        .executable(name: "vhdfs-volume", targets: ["vhdfs-volume"]),
        .executable(name: "sample-images", targets: ["sample-images"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.6.0"),
    ],
    targets: [
        .systemLibrary(name: "CFuse", pkgConfig: "fuse3", providers: [.apt(["libfuse3-dev"])]),
        .target(name: "CPlatform"),
        room("Platform", needs: ["CPlatform", system]),
        room("ByteIO"),
        room("BlockDevice", needs: ["ByteIO", "Platform", system]),
        room("VHDFormat", needs: ["BlockDevice", "ByteIO", "Platform"]),
        room("VHDXFormat", needs: ["BlockDevice", "ByteIO", "Platform"]),
        room("ISOFormat", needs: ["BlockDevice", "ByteIO"]),
        room("FileSystem", needs: ["Platform", system]),
        room("PartitionTables", needs: ["BlockDevice", "ByteIO"]),
        room("Volumes", needs: ["BlockDevice", "ByteIO", "FileSystem", "Platform"]),
        room("ISO9660", needs: ["BlockDevice", "ByteIO", "FileSystem", "Volumes"]),
        room("UDF", needs: ["BlockDevice", "ByteIO", "FileSystem", "Volumes"]),
        room("ControlLanguage"),
        room(
            "VirtualDisk",
            needs: [
                "BlockDevice", "ByteIO", "ControlLanguage", "ISOFormat", "PartitionTables", "Platform", "VHDFormat",
                "VHDXFormat", "Volumes", system, log,
            ]
        ),
        room("VolumeProtocol", needs: ["FileSystem", "Volumes"]),
        room(
            "VolumeProcess",
            needs: ["BlockDevice", "ByteIO", "FileSystem", "Platform", "VolumeProtocol", "Volumes", system, log]
        ),
        // C, and the only place that knows libtsk; `unsafe` says nothing there, so Swift is not asked to say it.
        .target(name: "CTSK", linkerSettings: [.linkedLibrary("tsk")]),
        .executableTarget(
            name: "vhdfs-volume",
            dependencies: ["ByteIO", "CTSK", "FileSystem", "VolumeProtocol", "Volumes"],
            swiftSettings: language
        ),
        room(
            "VolumeTree",
            needs: ["BlockDevice", "ByteIO", "FileSystem", "Platform", "Volumes", system, log]
        ),
        room(
            "DiskTree",
            needs: [
                "BlockDevice", "ControlLanguage", "FileSystem", "Platform", "VirtualDisk", "Volumes", "VolumeTree",
                system,
                log,
            ]
        ),
        room("FUSEServer", needs: ["CFuse", "FileSystem", "Platform", system, log]),
        .executableTarget(
            name: "vhdfs",
            dependencies: [
                "BlockDevice", "CPlatform", "ControlLanguage", "DiskTree", "FUSEServer", "FileSystem", "ISO9660",
                "Platform", "UDF", "VirtualDisk", "VolumeProcess", "VolumeTree", "Volumes",
                arguments, log, system,
            ],
            swiftSettings: settings
        ),

        // Builders of images, models, fault-injecting files, scratch folders: for tests only.
        .target(
            name: "TestSupport",
            dependencies: ["BlockDevice", "ByteIO", "Platform"],
            path: "Tests/TestSupport",
            swiftSettings: settings
        ),
        // Makes the images of the README's tour.
        .executableTarget(
            name: "sample-images",
            dependencies: ["TestSupport"],
            path: "Examples/SampleImages",
            swiftSettings: settings
        ),
        // Counts instructions (scripts/count-instructions).
        .executableTarget(
            name: "instructions",
            dependencies: [
                "ByteIO", "DiskTree", "FileSystem", "Platform", "TestSupport", "VirtualDisk", "VolumeTree", "Volumes",
                log,
                system,
            ],
            path: "Benchmarks/Instructions",
            swiftSettings: settings
        ),
        // What the fuzzers do with an input, and the inputs that they begin with; the fuzzers themselves are below.
        .target(
            name: "FuzzSupport",
            dependencies: [
                "BlockDevice", "ByteIO", "ControlLanguage", "FileSystem", "ISO9660", "ISOFormat", "PartitionTables",
                "Platform", "TestSupport", "UDF", "VHDFormat", "VHDXFormat", "VirtualDisk", "VolumeProcess",
                "VolumeProtocol", "Volumes", log, system,
            ],
            path: "Fuzz/Support",
            swiftSettings: settings
        ),
        .testTarget(
            name: "FuzzTests",
            dependencies: ["FuzzSupport", "TestSupport"],
            swiftSettings: settings
        ),
        tests(of: "Platform"),
        tests(of: "ByteIO"),
        tests(of: "BlockDevice"),
        tests(of: "VHDFormat", needs: ["BlockDevice", "ByteIO"]),
        tests(of: "VHDXFormat", needs: ["BlockDevice", "ByteIO"]),
        tests(of: "ISOFormat", needs: ["BlockDevice"]),
        tests(of: "ControlLanguage"),
        tests(of: "VirtualDisk", needs: ["BlockDevice", "ControlLanguage", "Platform"]),
        tests(
            of: "DiskTree",
            needs: ["BlockDevice", "FileSystem", "VirtualDisk", "VolumeTree", "Volumes", system]
        ),
        tests(of: "FUSEServer", needs: ["FileSystem", system]),
        tests(
            of: "VolumeTree",
            needs: ["BlockDevice", "ByteIO", "FileSystem", "Platform", "Volumes", system, log]
        ),
        tests(of: "VolumeProtocol", needs: ["FileSystem", "Volumes"]),
        tests(
            of: "VolumeProcess",
            needs: ["BlockDevice", "ByteIO", "Platform", "Volumes", system, log]
        ),
        tests(of: "ISO9660", needs: ["BlockDevice", "ByteIO", "FileSystem", "Volumes"]),
        tests(of: "UDF", needs: ["BlockDevice", "ByteIO", "FileSystem", "Volumes"]),
        // The whole program but for its command line, mounted, above image files of which every change is recorded.
        .testTarget(
            name: "PowerCutTests",
            dependencies: [
                "BlockDevice", "ByteIO", "DiskTree", "FUSEServer", "Platform", "TestSupport", "VHDFormat", "VHDXFormat",
                "VirtualDisk", "VolumeTree", "Volumes", "vhdfs", log, system,
            ],
            swiftSettings: settings
        ),
        // Drives the built binary on real mounts, and needs none of its modules.
        .testTarget(
            name: "MountTests",
            dependencies: ["TestSupport", "vhdfs", "vhdfs-volume"],
            swiftSettings: settings
        ),
    ]
)

// The fuzzers link only with libFuzzer.
if isFuzzing {
    func fuzzer(_ name: String, _ folder: String, needs: [Target.Dependency]) -> Target {
        .executableTarget(
            name: name,
            dependencies: needs,
            path: "Fuzz/\(folder)",
            swiftSettings: settings,
            // Gold, which would be taken, fails here.
            linkerSettings: [.unsafeFlags(["-use-ld=lld", "-sanitize=fuzzer"])]
        )
    }
    package.targets += [
        .target(name: "CFuzzer", path: "Fuzz/CFuzzer"),
        .target(
            name: "FuzzDriver",
            dependencies: ["CFuzzer", "FuzzSupport"],
            path: "Fuzz/Driver",
            swiftSettings: settings
        ),
        fuzzer("fuzz-vhd", "VHD", needs: ["FuzzDriver"]),
        fuzzer("fuzz-iso", "ISO", needs: ["FuzzDriver"]),
        fuzzer("fuzz-vhdx", "VHDX", needs: ["FuzzDriver"]),
        fuzzer("fuzz-iso9660", "ISO9660", needs: ["FuzzDriver"]),
        fuzzer("fuzz-udf", "UDF", needs: ["FuzzDriver"]),
        fuzzer("fuzz-partitions", "Partitions", needs: ["FuzzDriver"]),
        fuzzer("fuzz-vhdxlog", "VHDXLog", needs: ["FuzzDriver"]),
        fuzzer("fuzz-ctl", "Control", needs: ["FuzzDriver"]),
        fuzzer("fuzz-sddl", "SDDL", needs: ["FuzzDriver"]),
        fuzzer("fuzz-protocol", "Protocol", needs: ["FuzzDriver"]),
    ]
}
