internal import Glibc
internal import SystemPackage

/// Runs a system call again for as long as signals interrupt it.
@inline(__always)
func retrying<Result: SignedInteger>(_ call: () -> Result) throws(Errno) -> Result {
    while true {
        let result = call()
        if result != -1 { return result }
        let error = lastError()
        if error != .interrupted { throw error }
    }
}

/// The calling thread's `errno`.
@inline(__always)
func lastError() -> Errno {
    Errno(rawValue: errno)
}
