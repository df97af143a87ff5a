internal import BlockDevice

/// A promise that was broken. A trap is the other way to fail.
public struct FuzzFailure: Error, CustomStringConvertible {
    /// What was promised, and what happened.
    public let description: String

    init(_ description: String) {
        self.description = description
    }

    /// Breaks off unless a promise is kept.
    static func unless(_ isKept: Bool, _ text: @autoclosure () -> String) throws(FuzzFailure) {
        if !isKept { throw FuzzFailure(text()) }
    }
}

extension DiskError.Kind {
    /// What a file's content can be refused with. Anything else says something about a host that was not there.
    var isAboutContent: Bool {
        switch self {
        case .notRecognized, .unsupportedVersion, .unsupportedHeaderVersion, .unsupportedFeature, .limit, .readOnly:
            true
        default: isDamage
        }
    }

    /// What must be a finding of a check too.
    var isDamage: Bool {
        switch self {
        case .footerMissing, .footerChecksum, .footerCorrupt, .headerChecksum, .headerCorrupt, .allocationTableCorrupt,
            .invalidBlockSize, .bitmapMismatch, .invalidSize, .fileCorrupt, .truncated:
            true
        default: false
        }
    }
}
