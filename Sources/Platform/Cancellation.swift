internal import CPlatform
internal import Glibc
internal import Synchronization
public import SystemPackage

/// Ends another thread's wait for a slow file server.
///
/// Once cancelled it stays cancelled; any number of waits may share it.
public final class Cancellation: Sendable {
    private let event: Event
    private let flag = Atomic(false)

    /// Whether it has happened.
    public var isCancelled: Bool { flag.load(ordering: .acquiring) }

    /// Makes a cancellation that has not happened.
    public init() throws(Errno) {
        event = try Event()
    }

    /// Ends the waits of now and of later. Never blocks.
    public func cancel() {
        flag.store(true, ordering: .releasing)
        event.raise()
    }

    /// Waits until a descriptor is ready, or the wait is cancelled.
    ///
    /// - Parameter events: `POLL…`; ends and errors of the other side count as ready.
    static func wait(for descriptor: Descriptor, _ events: CInt, or cancellation: Cancellation?) throws(OpenError) {
        var watched = [
            pollfd(fd: descriptor.rawValue, events: Int16(events), revents: 0),
            // Negative numbers are passed over.
            pollfd(fd: cancellation?.event.descriptor.rawValue ?? -1, events: Int16(POLLIN), revents: 0),
        ]
        do {
            _ = try retrying { unsafe poll(&watched, nfds_t(watched.count), -1) }
        } catch {
            throw .failed(error)
        }
        if watched[1].revents != 0 { throw .cancelled }
    }
}

/// Something that happens once, as a descriptor that is readable from then on.
final class Event: Sendable {
    let descriptor: Descriptor

    init() throws(Errno) {
        descriptor = Descriptor(owning: try retrying { platform_event() })
    }

    func raise() {
        var one: UInt64 = 1
        _ = unsafe write(descriptor.rawValue, &one, MemoryLayout.size(ofValue: one))
    }
}
