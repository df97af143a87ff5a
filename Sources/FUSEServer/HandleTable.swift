internal import Platform

/// The objects whose numbers the kernel holds as file handles.
///
/// A number is the object's address, so that a request finds its object without a lookup or a lock; the table keeps the object alive from
/// OPEN to RELEASE. The kernel sends no other numbers than those it was given, and none after its RELEASE, which comes
/// when all requests with it have been answered: whoever answers one that is still at work holds its object meanwhile (`object`).
struct HandleTable<Handle: AnyObject & Sendable>: ~Copyable, Sendable {
    private let handles = Locked<[UInt64: Handle]>([:])

    /// Keeps an object; returns its number.
    func insert(_ handle: Handle) -> UInt64 {
        let number = unsafe UInt64(UInt(bitPattern: Unmanaged.passUnretained(handle).toOpaque()))
        handles.withLock { $0[number] = handle }
        return number
    }

    /// Lets go of an object.
    func remove(_ number: UInt64) -> Handle? {
        handles.withLock { $0.removeValue(forKey: number) }
    }

    /// The object of a number, if it is one.
    func object(_ number: UInt64) -> Handle? {
        handles.withLock { $0[number] }
    }

    /// Lets go of every object; returns them.
    func removeAll() -> [Handle] {
        handles.withLock { handles in
            defer { handles = [:] }
            return Array(handles.values)
        }
    }

    /// Lends the object of a number.
    static func with<R>(_ number: UInt64, _ body: (Handle) -> R) -> R? {
        guard let address = unsafe UnsafeRawPointer(bitPattern: UInt(number)) else { return nil }
        return unsafe Unmanaged<Handle>.fromOpaque(address)._withUnsafeGuaranteedRef { body($0) }
    }
}
