internal import Glibc

/// The log of the system (syslog, and so the journal).
public enum SystemLog {
    /// How bad something is, as syslog counts it.
    public enum Priority: Sendable, CaseIterable {
        case critical
        case error
        case warning
        case notice
        case info
        case debug

        fileprivate var number: CInt {
            switch self {
            case .critical: LOG_CRIT
            case .error: LOG_ERR
            case .warning: LOG_WARNING
            case .notice: LOG_NOTICE
            case .info: LOG_INFO
            case .debug: LOG_DEBUG
            }
        }
    }

    /// Sets the name that this process's lines have; once.
    public static func open(as name: String) {
        // The library keeps the pointer, so the copy is never freed.
        unsafe openlog(strdup(name), LOG_PID, LOG_DAEMON)
    }

    /// Writes one line.
    public static func write(_ text: String, _ priority: Priority) {
        unsafe text.withCString { text in
            unsafe withVaList([text]) { unsafe vsyslog(priority.number, "%s", $0) }
        }
    }
}
