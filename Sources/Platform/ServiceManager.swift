internal import CPlatform

/// The service manager that has started this process, if one has: systemd waits until a service says that it is ready (`sd_notify(3)`).
public struct ServiceManager: Sendable {
    /// What a service has to say.
    public enum News: String, Sendable {
        /// It can be used now.
        case ready = "READY=1"
        /// It is about to end.
        case stopping = "STOPPING=1"
    }

    private let address: String?

    /// Finds out whether there is one. For a process without threads.
    public init() {
        address = Surroundings.variable("NOTIFY_SOCKET")
    }

    /// Says something; nothing happens where nobody listens.
    public func tell(_ news: News) {
        guard let address else { return }
        _ = unsafe platform_notify(address, news.rawValue)
    }
}
