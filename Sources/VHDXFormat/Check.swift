public import BlockDevice
internal import ByteIO

extension VHDXImage {
    /// Checks all structures of a file, as they are once the log is replayed (in memory), and changes nothing. Throws where there is
    /// nothing that could be checked.
    public static func check(_ file: any HostFile) throws(DiskError) -> CheckReport {
        var check = VHDXCheck(file)
        try check.run()
        return check.report
    }
}

/// A check of one VHDX file: goes on behind what is damaged, as far as that tells where to look next.
struct VHDXCheck {
    /// The file, and from when on the log is known, the file with the log laid over it.
    var file: any HostFile
    var report = CheckReport()
    /// What takes which part of the file.
    var used: Occupancy
    /// Behind the headers and the log.
    private(set) var structuresEnd: UInt64 = 1 << 20

    init(_ file: any HostFile) {
        self.file = file
        used = Occupancy(path: file.path)
    }

    mutating func run() throws(DiskError) {
        report.subject = "VHDX"
        let hasIdentifier = try VHDXImage.recognize(file)
        do throws(DiskError) {
            let choice = try HeaderChoice(in: file)
            if !hasIdentifier { report.damage("file identifier", at: 0, "the signature 'vhdxfile' is missing") }
            try checkHeaders(choice)
            guard try checkLog(choice.header) else { return }
            let regions = try checkedRegions()
            try checkTable(checkedMetadata(regions), regions)
        } catch {
            guard hasIdentifier || report.count(.damaged) > 0 else {
                throw DiskError(.notRecognized, "no file identifier and no header of a VHDX", path: file.path)
            }
            try report.record(error)
        }
    }

    // MARK: Headers

    private mutating func checkHeaders(_ choice: HeaderChoice) throws(DiskError) {
        try used.add("file identifier and headers", 0..<1 << 20)
        let (name, offset) = ("header \(2 - choice.slot)", Header.offsets[1 - choice.slot])
        if let fault = try checksumFault(of: name, at: offset, "head", Header.byteCount) {
            // A power cut may leave the header that does not count half written: that is why there are two.
            report.note("\(name) at offset \(offset): \(fault); the next session that writes restores it")
        }
        let number = choice.header.sequenceNumber
        if number > .max - LogWriter.sequenceReserve {
            report.note("the header's sequence number \(number) is near its maximum: it is attached readonly only")
        }
    }

    /// What is wrong with a structure of which there is another, good copy.
    private func checksumFault(
        of name: String,
        at offset: UInt64,
        _ signature: String,
        _ count: Int
    ) throws(DiskError) -> String? {
        guard try file.size() >= offset + UInt64(count) else { return "it is behind the end of the file" }
        let bytes = try file.readBytes(name, at: offset, count: count)
        guard bytes.starts(with: Array(signature.utf8)), let found = try? bytes.load(UInt32.self, at: 4, .little) else {
            return "the signature '\(signature)' is missing"
        }
        let expected = bytes.crc32c(checksumAt: 4)
        return found == expected ? nil : "its checksum is \(hex(found)), expected \(hex(expected))"
    }

    // MARK: The log

    /// Lays the log over the file; false when what is behind it can't be known.
    private mutating func checkLog(_ header: Header) throws(DiskError) -> Bool {
        let isEmpty = header.logGUID == .zero
        let log: LogPlace?
        do throws(DiskError) {
            log = try LogPlace(header, fileSize: file.size(), path: file.path, isWritable: true)
        } catch {
            // Where an empty log is matters only to who writes.
            guard isEmpty else { throw error }
            if error.kind == .limit { report.note(error.text) } else { try report.record(error) }
            return true
        }
        guard let log else { return true }
        try used.add("log", log.range)
        structuresEnd = max(structuresEnd, log.range.upperBound)
        guard !isEmpty else { return true }
        let size = try file.size()
        do throws(DiskError) {
            let replay = try LogReplay(log, header, in: file)
            report.note(
                "the log has \(replay.entryCount) entries to be replayed, as if the last program that wrote was killed; "
                    + "everything else was checked as it is then"
            )
            if replay.fileSize > size {
                report.note("the log makes the file \(replay.fileSize - size) bytes longer")
            }
            file = ReplayedFile(file, replay)
            return true
        } catch {
            try report.record(error)
            report.note("what the log protects (regions, metadata, tables) could not be checked")
            return false
        }
    }

    // MARK: Regions and metadata

    private mutating func checkedRegions() throws(DiskError) -> RegionTable {
        let regions = try RegionTable(in: file)
        if let repair = regions.repair {
            let (name, offset) = ("region table \(repair.copy + 1)", RegionTable.offsets[repair.copy])
            let fault = try checksumFault(of: name, at: offset, "regi", RegionTable.byteCount)
            report.damage(name, at: offset, fault ?? "it differs from the other one")
        }
        for range in regions.ranges {
            let name =
                switch range {
                case regions.tableRange: "block allocation table"
                case regions.metadataRange: "metadata"
                default: "region"
                }
            try used.add(name, range)
        }
        return regions
    }

    private mutating func checkedMetadata(_ regions: RegionTable) throws(DiskError) -> DiskMetadata {
        let metadata = try DiskMetadata(in: regions.metadataRange, of: file, isWritable: false)
        let type = metadata.hasParent ? "differencing" : metadata.leavesBlocksAllocated ? "fixed" : "dynamic"
        report.subject = "VHDX, \(type) disk of \(metadata.size) bytes"
        for warning in metadata.warnings { report.note(warning) }
        guard let parent = metadata.parent else { return metadata }
        if parent.linkages.isEmpty {
            report.damage(
                "metadata",
                at: regions.metadataRange.lowerBound,
                "the parent locator has no 'parent_linkage'"
            )
        }
        let paths = parent.paths.text
        report.note(
            "its parent, which is not checked here, has the DataWriteGuid "
                + parent.linkages.map(\.windowsText).joined(separator: " or ") + " and is "
                + (paths.isEmpty ? "named nowhere" : "said to be \(paths)")
        )
        return metadata
    }
}

/// A number as the specification prints it.
func hex(_ value: some BinaryInteger) -> String {
    "0x" + String(value, radix: 16, uppercase: true)
}
