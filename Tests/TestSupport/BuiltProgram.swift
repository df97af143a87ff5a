internal import Glibc

/// The programs that were built with the tests.
public enum BuiltProgram {
    /// `vhdfs` beside the tests, or `VHDFS_BINARY`.
    public static let vhdfs: String = {
        if let path = unsafe getenv("VHDFS_BINARY") { return unsafe String(cString: path) }
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let program = String(decoding: buffer.prefix(max(0, count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
        return program.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } + "/vhdfs"
    }()

    /// Whether it was built with ThreadSanitizer or AddressSanitizer, as the tests are then: such programs need memory of their own.
    public static let watchesItself = ["__tsan_init", "__asan_init"].contains { (name: String) in
        unsafe dlsym(nil, name) != nil
    }
}
