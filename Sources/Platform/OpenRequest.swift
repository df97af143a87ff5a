internal import SystemPackage

// What the daemon and the process that opens files for it say to each other, in 32-bit little-endian words.

/// A request: a header of five words (length of the path, number of groups, purpose, user, group), the groups, the path's bytes.
struct OpenRequest: Equatable {
    static let headerCount = 20

    var path: FilePath
    var purpose: OpenPurpose
    var credentials: Credentials

    /// The request's bytes; throws when it has more path or groups than any host takes.
    func encoded() throws(OpenError) -> [UInt8] {
        let path = path.bytes
        let groups = credentials.supplementaryGroups
        guard path.count <= 65536 else { throw .failed(.fileNameTooLong) }
        guard groups.count <= 65536 else { throw .failed(.invalidArgument) }
        let purpose = OpenPurpose.all.firstIndex(of: purpose) ?? 0
        let header = [
            UInt32(path.count), UInt32(groups.count), UInt32(purpose), credentials.user, credentials.group,
        ]
        return littleEndian(header) + littleEndian(groups) + path
    }

    /// Reads a request piece by piece.
    ///
    /// - Parameter next: gives exactly that many next bytes, or nil.
    init?(_ next: (Int) -> [UInt8]?) {
        guard let header = next(Self.headerCount).map(words), header.count == 5,
            OpenPurpose.all.indices.contains(Int(header[2])),
            let groups = next(Int(header[1]) * 4),
            let path = next(Int(header[0]))
        else { return nil }
        self.init(
            path: FilePath(bytes: path),
            purpose: OpenPurpose.all[Int(header[2])],
            credentials: Credentials(user: header[3], group: header[4], supplementaryGroups: words(groups))
        )
    }

    init(path: FilePath, purpose: OpenPurpose, credentials: Credentials) {
        self.path = path
        self.purpose = purpose
        self.credentials = credentials
    }
}

/// An answer: what happened, and a detail of it. The descriptor of an opened file comes with it.
enum OpenAnswer: Equatable {
    static let count = 8

    case opened
    case refused(OpenError)

    var encoded: [UInt8] {
        switch self {
        case .opened: littleEndian([0, 0])
        case .refused(.fileNotFound): littleEndian([1, 0])
        case .refused(.pathNotFound): littleEndian([2, 0])
        case .refused(.wrongKind(let kind)): littleEndian([3, UInt32(FileKind.allCases.firstIndex(of: kind) ?? 0)])
        case .refused(let error): littleEndian([4, UInt32(bitPattern: error.errno.rawValue)])
        }
    }

    init?(_ bytes: [UInt8]) {
        let words = words(bytes)
        guard words.count == 2 else { return nil }
        switch words[0] {
        case 0: self = .opened
        case 1: self = .refused(.fileNotFound)
        case 2: self = .refused(.pathNotFound)
        case 3:
            guard FileKind.allCases.indices.contains(Int(words[1])) else { return nil }
            self = .refused(.wrongKind(FileKind.allCases[Int(words[1])]))
        case 4: self = .refused(.failed(Errno(rawValue: Int32(bitPattern: words[1]))))
        default: return nil
        }
    }
}

extension OpenPurpose {
    fileprivate static let all: [OpenPurpose] = [
        .reading(allowBlockDevice: false), .reading(allowBlockDevice: true),
        .readingAndWriting(allowBlockDevice: false), .readingAndWriting(allowBlockDevice: true),
        .listing,
    ]
}

private func littleEndian(_ words: [UInt32]) -> [UInt8] {
    words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
}

private func words(_ bytes: [UInt8]) -> [UInt32] {
    stride(from: 0, to: bytes.count & ~3, by: 4).map { start in
        (0..<4).reduce(0) { $0 | UInt32(bytes[start + $1]) << (8 * UInt32($1)) }
    }
}
