/// What a check of an image has found: a value that formats fill and the command prints.
public struct CheckReport: Sendable {
    /// How bad a finding is.
    public enum Severity: String, Sendable, CaseIterable {
        /// A structure breaks a rule of the format, or contradicts another one.
        case damaged
        /// Space of the file that nothing uses. No byte of the disk is wrong.
        case leak
        /// Legal, and worth to be known.
        case note
    }

    /// One thing that was found.
    public struct Finding: Sendable, Hashable {
        /// How bad it is.
        public let severity: Severity
        /// Which structure, where in the file, what was found and what was expected. Names in it are as the image has them.
        public let text: String
    }

    /// So many findings of a severity are kept; the others are only counted. A damaged table can have millions.
    public static let findingLimit = 100

    /// What was checked, in words.
    public var subject = ""
    /// What was found, in the order in which it was found.
    public private(set) var findings: [Finding] = []
    /// Bytes of the file that nothing uses.
    public private(set) var leakedBytes: UInt64 = 0
    private var counts: [Severity: Int] = [:]

    /// Begins with nothing.
    public init() {}

    /// How many findings of a severity there are, those included that are not kept.
    public func count(_ severity: Severity) -> Int { counts[severity, default: 0] }

    /// A structure breaks a rule.
    public mutating func damage(
        _ structure: @autoclosure () -> String,
        at offset: UInt64,
        _ what: @autoclosure () -> String
    ) {
        add(.damaged, "\(structure()) at offset \(offset): \(what())")
    }

    /// A range of the file is used by nothing.
    public mutating func leak(_ range: Range<UInt64>, _ what: String) {
        leakedBytes += range.upperBound - range.lowerBound
        add(.leak, "file at offset \(range.lowerBound): \(range.upperBound - range.lowerBound) bytes \(what)")
    }

    /// Something legal that is worth to be known.
    public mutating func note(_ text: String) {
        add(.note, text)
    }

    /// Takes what a parser says is wrong. What only says that the image can't be checked is thrown on.
    public mutating func record(_ error: DiskError) throws(DiskError) {
        switch error.kind {
        case .footerMissing, .footerChecksum, .footerCorrupt, .headerChecksum, .headerCorrupt, .allocationTableCorrupt,
            .invalidBlockSize, .bitmapMismatch, .invalidSize, .fileCorrupt, .truncated:
            add(.damaged, error.text)
        case .limit where count(.damaged) > 0:
            // What was found before it stays found.
            note(error.text)
        default: throw error
        }
    }

    private mutating func add(_ severity: Severity, _ text: @autoclosure () -> String) {
        let count = count(severity) + 1
        counts[severity] = count
        if count <= Self.findingLimit { findings.append(Finding(severity: severity, text: text())) }
    }
}

extension CheckReport {
    /// The report as lines of text: a line for each finding, the worst first, and one that sums up.
    public var lines: [String] {
        var lines: [String] = []
        for severity in Severity.allCases {
            lines += findings.filter { $0.severity == severity }.map { "\(severity): \($0.text)" }
            let more = count(severity) - Self.findingLimit
            if more > 0 { lines.append("\(severity): \(more) more that are not shown") }
        }
        return lines + [summary]
    }

    private var summary: String {
        let leaks = count(.leak) == 0 ? "" : ", \(leakedBytes) bytes leaked"
        let verdict =
            if count(.damaged) > 0 {
                "damaged, \(count(.damaged)) finding\(count(.damaged) == 1 ? "" : "s")" + leaks
            } else if count(.leak) > 0 {
                "not damaged" + leaks
            } else {
                "clean"
            }
        return "result: \(verdict); \(subject)"
    }
}

extension CheckReport.Severity: CustomStringConvertible {
    /// The word.
    public var description: String { rawValue }
}
