internal import Glibc

/// Waiting for the host, announced to whoever needs the thread: a pool that keeps few threads busy must know when one of them is about to
/// wait, so that another can go on.
///
/// Announcing costs nothing where nobody listens. What may wait in `Platform` announces itself: reads of bytes that are not in memory,
/// syncs. Others announce what is theirs.
@safe
public enum Waiting {
    /// Hears of the waits of its thread.
    public final class Listener: Sendable {
        fileprivate let willWait: @Sendable () -> Void
        fileprivate let didWait: @Sendable () -> Void

        /// Makes a listener; both are called on the thread that waits.
        public init(willWait: @escaping @Sendable () -> Void, didWait: @escaping @Sendable () -> Void) {
            self.willWait = willWait
            self.didWait = didWait
        }
    }

    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        unsafe pthread_key_create(&key, nil)
        return key
    }()

    /// Has the calling thread's waits told to `listener` while `body` runs.
    public static func tell<R>(_ listener: Listener, _ body: () -> R) -> R {
        unsafe pthread_setspecific(key, Unmanaged.passUnretained(listener).toOpaque())
        defer { pthread_setspecific(key, nil) }
        return withExtendedLifetime(listener) { body() }
    }

    /// Runs what may wait. One wait inside of another is not told again.
    public static func announce<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        guard let pointer = unsafe pthread_getspecific(key) else { return try body() }
        let listener = unsafe Unmanaged<Listener>.fromOpaque(pointer).takeUnretainedValue()
        pthread_setspecific(key, nil)
        listener.willWait()
        defer {
            listener.didWait()
            unsafe pthread_setspecific(key, pointer)
        }
        return try body()
    }
}
