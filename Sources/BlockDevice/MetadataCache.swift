internal import Platform

/// The sectors of an image's tables that are in memory: those in use, and those that changed and are not in the file yet.
///
/// Tables are never held whole, so a disk of 64 TiB costs what a small one costs. Unchanged sectors have one possible slot each
/// (at most 4,096 slots, 2 MiB); changed ones stay until they are written back.
public final class MetadataCache: Sendable {
    private struct Changed {
        var sector: MetadataSector
        var version: UInt64
    }

    private struct State {
        var tags: [UInt64] = []
        /// 64 words for each slot, in one row, so that one can look at them without copying a sector.
        var words: [UInt64] = []
        var changed: [UInt64: Changed] = [:]
        /// Counts changes.
        var version: UInt64 = 0
        /// Counts the times when the file itself changed: what a reader has read before may be old.
        var fileVersion: UInt64 = 0
    }

    /// A changed sector as it was when it was asked for.
    public struct Snapshot: Sendable {
        /// The sector's number in the file.
        public let number: UInt64
        /// Its content.
        public let sector: MetadataSector
        fileprivate let version: UInt64
    }

    private static let slotLimit = 4096
    private static let noTag = UInt64.max

    private let file: FailStopFile
    private let state = Locked(State())

    /// Caches the tables of a file.
    public init(_ file: FailStopFile) {
        self.file = file
    }

    /// The number of changed sectors that are not in the file yet.
    public var changedCount: Int {
        state.withLock { $0.changed.count }
    }

    /// The sector at `number × 512` of the file, as changed last.
    public func sector(_ number: UInt64) throws(DiskError) -> MetadataSector {
        while true {
            let fileVersion: UInt64
            switch state.withLock({ Self.find(number, in: $0) }) {
            case .found(let sector): return sector
            case .missing(let now): fileVersion = now
            }
            // Read without the lock: a slow host must not stop those who find their sector in memory.
            let sector = try load(number)
            let current: MetadataSector? = state.withLock { state in
                if let changed = state.changed[number] { return changed.sector }
                guard state.fileVersion == fileVersion else { return nil }
                Self.insert(sector, number, into: &state)
                return sector
            }
            if let current { return current }
        }
    }

    // MARK: Looking, without a copy of the sector

    /// A big-endian 32-bit integer of a sector.
    public func bigEndian32(_ index: Int, ofSector number: UInt64) throws(DiskError) -> UInt32 {
        try look(at: number) { $0.bigEndian32(index) }
    }

    /// A little-endian 64-bit integer of a sector.
    public func littleEndian64(_ index: Int, ofSector number: UInt64) throws(DiskError) -> UInt64 {
        try look(at: number) { $0.littleEndian64(index) }
    }

    /// How far the bits of a sector from `index` on are alike; see `Span.runOfBits`.
    public func runOfBits(
        at index: Int,
        limit: Int,
        ofSector number: UInt64
    ) throws(DiskError) -> (isSet: Bool, count: Int) {
        try look(at: number) { $0.runOfBits(at: index, limit: limit) }
    }

    /// The same for the least significant bit first; see `Span.runOfLowFirstBits`.
    public func runOfLowFirstBits(
        at index: Int,
        limit: Int,
        ofSector number: UInt64
    ) throws(DiskError) -> (isSet: Bool, count: Int) {
        try look(at: number) { $0.runOfLowFirstBits(at: index, limit: limit) }
    }

    /// `body` runs under the cache's lock: it is to be short.
    private func look<R>(at number: UInt64, _ body: (Span<UInt64>) -> R) throws(DiskError) -> R {
        let found: R? = state.withLock { state in
            if !state.changed.isEmpty, let changed = state.changed[number] { return body(changed.sector.words.span) }
            let slot = Self.slot(of: number, in: state)
            guard slot < state.tags.count, state.tags[slot] == number else { return nil }
            return body(state.words.span.extracting(slot * 64..<slot * 64 + 64))
        }
        if let found { return found }
        let sector = try sector(number)
        return body(sector.words.span)
    }

    /// Changes a sector in memory. Changes of one sector must not overlap in time; the caller's allocation lock sees to that.
    public func change(_ number: UInt64, _ body: (inout MetadataSector) -> Void) throws(DiskError) {
        var sector = try sector(number)
        body(&sector)
        replace(number, with: sector)
    }

    /// Gives a sector new content in memory.
    public func replace(_ number: UInt64, with sector: MetadataSector) {
        state.withLock { state in
            state.version += 1
            state.changed[number] = Changed(sector: sector, version: state.version)
        }
    }

    /// Forgets what is known of sectors that were written behind the cache's back.
    public func forget(_ numbers: Range<UInt64>) {
        state.withLock { state in
            state.fileVersion += 1
            for number in numbers {
                state.changed[number] = nil
                let slot = Self.slot(of: number, in: state)
                if slot < state.tags.count, state.tags[slot] == number { state.tags[slot] = Self.noTag }
            }
        }
    }

    /// The changed sectors as they are now, in the order of the file.
    public func changes() -> [Snapshot] {
        state.withLock { state in
            state.changed
                .map { Snapshot(number: $0.key, sector: $0.value.sector, version: $0.value.version) }
                .sorted { $0.number < $1.number }
        }
    }

    /// Writes sectors to the file. One that has changed again since the snapshot stays changed; one that was forgotten is left out,
    /// so `forget` must not run meanwhile.
    public func writeBack(_ snapshots: [Snapshot]) throws(DiskError) {
        for snapshot in snapshots {
            guard state.withLock({ $0.changed[snapshot.number] != nil }) else { continue }
            let offset = snapshot.number * UInt64(MetadataSector.byteCount)
            try snapshot.sector.withBytes { (bytes) throws(DiskError) in try file.write(bytes, at: offset) }
            state.withLock { state in
                state.fileVersion += 1
                guard state.changed[snapshot.number]?.version == snapshot.version else { return }
                state.changed[snapshot.number] = nil
                Self.insert(snapshot.sector, snapshot.number, into: &state)
            }
        }
    }

    // MARK: Slots

    private enum Lookup {
        case found(MetadataSector)
        case missing(fileVersion: UInt64)
    }

    private static func find(_ number: UInt64, in state: State) -> Lookup {
        if !state.changed.isEmpty, let changed = state.changed[number] { return .found(changed.sector) }
        let slot = slot(of: number, in: state)
        if slot < state.tags.count, state.tags[slot] == number {
            return .found(MetadataSector(state.words, from: slot * 64))
        }
        return .missing(fileVersion: state.fileVersion)
    }

    private static func slot(of number: UInt64, in state: State) -> Int {
        // Bitmaps stand one block (4,097 sectors by default) apart: mix, so that they don't share a slot.
        Int(truncatingIfNeeded: (number &* 0x9E37_79B9_7F4A_7C15) >> 32) & (max(state.tags.count, 1) - 1)
    }

    private static func insert(_ sector: MetadataSector, _ number: UInt64, into state: inout State) {
        if state.tags.isEmpty { resize(&state, to: 8) }
        while true {
            let slot = slot(of: number, in: state)
            if [noTag, number].contains(state.tags[slot]) || state.tags.count >= slotLimit {
                state.tags[slot] = number
                store(sector, in: slot, of: &state)
                return
            }
            resize(&state, to: state.tags.count * 2)
        }
    }

    private static func resize(_ state: inout State, to count: Int) {
        let old = state.tags.indices.filter { state.tags[$0] != noTag }
            .map { (state.tags[$0], MetadataSector(state.words, from: $0 * 64)) }
        state.tags = Array(repeating: noTag, count: count)
        state.words = Array(repeating: 0, count: count * 64)
        for (tag, sector) in old {
            let slot = slot(of: tag, in: state)
            state.tags[slot] = tag
            store(sector, in: slot, of: &state)
        }
    }

    private static func store(_ sector: MetadataSector, in slot: Int, of state: inout State) {
        for index in sector.words.indices { state.words[slot * 64 + index] = sector.words[index] }
    }

    private func load(_ number: UInt64) throws(DiskError) -> MetadataSector {
        var sector = MetadataSector()
        let offset = number * UInt64(MetadataSector.byteCount)
        try sector.withMutableBytes { (bytes) throws(DiskError) in try file.readAll(into: &bytes, at: offset) }
        return sector
    }
}
