internal import CPlatform
internal import Glibc

/// Memory that is zero, and that takes no room: all of it is one page of the kernel's.
@safe
public enum ZeroMemory {
    /// The most bytes that can be lent.
    public static let limit = 1 << 20

    private nonisolated(unsafe) static let memory: UnsafeRawPointer? = {
        let memory = unsafe mmap(nil, limit, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        return unsafe memory == platform_map_failed() ? nil : UnsafeRawPointer(memory)
    }()

    /// Lends `count` zeros. False when that is not possible.
    public static func lend(_ count: Int, to body: (RawSpan) -> Void) -> Bool {
        guard count <= limit, let memory = unsafe memory else { return false }
        body(unsafe RawSpan(_unsafeStart: memory, byteCount: count))
        return true
    }
}
