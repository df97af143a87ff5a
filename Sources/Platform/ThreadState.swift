internal import CPlatform
internal import Glibc
public import SystemPackage

/// What the kernel tells about a thread, as `/proc/TID/status` has it.
public struct ThreadState: Sendable, Hashable {
    /// It computes, or would if there was a processor.
    public var isRunning: Bool
    /// How often it has given up its processor. A thread that hangs in one call of the kernel never does.
    public var switches: UInt64
    /// It has been killed: it ends when it next comes out of the kernel.
    public var isDying: Bool

    /// The thread with this id.
    ///
    /// - Throws: `ESRCH` when there is no such thread.
    public init(_ thread: Int32) throws(Errno) {
        guard let state = ThreadState(processStatus: try Self.text(thread)) else { throw .noSuchProcess }
        self = state
    }

    /// The text of `/proc/TID/status`; `ESRCH` when there is no such thread.
    static func text(_ thread: Int32) throws(Errno) -> String {
        guard thread > 0 else { throw .noSuchProcess }
        do {
            return String(decoding: try FilePath("/proc/\(thread)/status").contents(limit: 1 << 20), as: UTF8.self)
        } catch .noSuchFileOrDirectory {
            throw .noSuchProcess
        }
    }

    /// The signals that end a process which has not said otherwise.
    private static let fatal: UInt64 =
        [SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH].reduce(.max) {
            $0 & ~(1 << UInt64($1 - 1))
        }

    /// Reads the text of `/proc/TID/status`.
    init?(processStatus text: String) {
        var fields: [Substring: Substring] = [:]
        for line in text.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon]] = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
        }
        func signals(_ name: Substring) -> UInt64? { fields[name].flatMap { UInt64($0, radix: 16) } }
        guard let state = fields["State"]?.first, let pending = signals("SigPnd"), let shared = signals("ShdPnd"),
            let blocked = signals("SigBlk"), let ignored = signals("SigIgn"), let caught = signals("SigCgt"),
            let own = fields["voluntary_ctxt_switches"].flatMap({ UInt64($0) }),
            let forced = fields["nonvoluntary_ctxt_switches"].flatMap({ UInt64($0) })
        else { return nil }
        isRunning = state == "R"
        switches = own &+ forced
        isDying = (pending | shared) & ~blocked & ~ignored & ~caught & Self.fatal != 0
    }

    /// The number of the calling thread, as `/proc` has it.
    public static var ownThread: Int32 { platform_thread() }
}
