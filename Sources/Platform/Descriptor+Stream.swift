internal import Glibc
public import SystemPackage

// A conversation over a descriptor that has no position.
extension Descriptor {
    /// Sends bytes in one `write(2)`, which is not repeated when it is interrupted: the other side gives that answer too.
    ///
    /// - Returns: how many were taken.
    @discardableResult
    public func send(_ bytes: [UInt8]) throws(Errno) -> Int {
        let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(rawValue, $0.baseAddress, $0.count) }
        guard count >= 0 else { throw lastError() }
        return count
    }

    /// Receives until there is nothing more.
    public func receive() throws(Errno) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = try retrying { unsafe Glibc.read(rawValue, &chunk, chunk.count) }
            if count == 0 { return bytes }
            bytes += chunk.prefix(count)
        }
    }
}
