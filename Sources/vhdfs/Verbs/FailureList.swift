internal import SystemPackage
internal import VirtualDisk

/// The failures that a reader of `ctl` sees, before and after a request: which one is its own?
struct FailureList {
    /// Those that have come since, the oldest first.
    private let new: [AttachError]

    /// - Parameters:
    ///   - earlier: the lines of `ctl` before the request.
    ///   - later: the lines after it. Only the last failures are kept, so the first ones may be gone.
    init(earlier: [String], later: [String]) {
        let earlier = earlier.filter(Self.isFailure)
        let later = later.filter(Self.isFailure)
        let known = (0...min(earlier.count, later.count)).last { earlier.suffix($0) == later.prefix($0) } ?? 0
        // All the same as before: then it is the same failure again.
        let new = known == later.count ? later[...] : later.dropFirst(known)
        self.new = new.compactMap { AttachError(answer: String($0.dropFirst(Self.prefix.count))) }
    }

    private static let prefix = "# "

    private static func isFailure(_ line: String) -> Bool {
        line.hasPrefix(prefix + "error ")
    }

    /// The last failure that fits: it speaks of this file, or at least gives this `errno`.
    func failure(of path: String, errno: Errno) -> AttachError? {
        let fitting = new.filter { $0.error.errno == errno }
        return fitting.last { $0.text.hasPrefix(path + ": ") } ?? fitting.last
    }
}

extension AttachError {
    /// Reads the line that answers a request that has failed: `error 32 ERROR_SHARING_VIOLATION /img/a.vhd: …`.
    init?(answer line: String) {
        let words = line.split(separator: " ", maxSplits: 3)
        guard words.count == 4, words[0] == "error", let code = UInt32(words[1]), let error = Win32Error(code: code)
        else { return nil }
        self.init(error, String(words[3]))
    }
}
