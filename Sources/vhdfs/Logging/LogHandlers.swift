internal import Logging
internal import Platform

/// Where the log goes: standard error of a daemon in the foreground, the system's log else.
enum LogTarget {
    case standardError
    case system

    /// Has all loggers write there; once, before the first of them is made.
    func install(level: Logger.Level) {
        switch self {
        case .standardError:
            LoggingSystem.bootstrap { _ in
                LineLogHandler(logLevel: level) { text, level in
                    Console.complain("\(level): \(text)")
                }
            }
        case .system:
            SystemLog.open(as: "vhdfs")
            LoggingSystem.bootstrap { _ in
                LineLogHandler(logLevel: level) { text, level in
                    SystemLog.write(Console.oneLine(text), level.priority)
                }
            }
        }
    }
}

/// Writes each message as a line of text, with its metadata behind it.
private struct LineLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    private let write: @Sendable (String, Logger.Level) -> Void

    init(logLevel: Logger.Level, write: @escaping @Sendable (String, Logger.Level) -> Void) {
        self.logLevel = logLevel
        self.write = write
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let facts = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        write((["\(event.message)"] + facts.map { "\($0.key)=\($0.value)" }).joined(separator: " "), event.level)
    }
}

extension Logger.Level {
    fileprivate var priority: SystemLog.Priority {
        switch self {
        case .trace, .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        case .critical: .critical
        }
    }
}
