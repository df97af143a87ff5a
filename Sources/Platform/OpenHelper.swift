internal import CPlatform
internal import Glibc
internal import SystemPackage

/// The process that opens files for others. It has one thread, reads nothing but what the daemon sends, and nothing of it but
/// whole requests: each of those is the business of a process of its own.
enum OpenHelper {
    /// Serves until the daemon's end of the socket is closed.
    static func serve(_ socket: CInt) -> Never {
        guard platform_begin_service(socket) == 0, platform_die_with_parent() == 0 else { _exit(1) }
        unsafe platform_set_thread_name("vhdfs-opener")
        while true {
            var byte: UInt8 = 0
            var connection: CInt = -1
            let count = unsafe platform_receive(socket, &byte, 1, 1, &connection)
            if count == 0 { _exit(0) }
            if count == -1 && errno != EINTR { _exit(1) }
            guard connection >= 0 else { continue }
            switch platform_fork() {
            case 0:
                close(socket)
                answer(connection)
            case -1: send(.refused(.failed(lastError())), over: connection)
            default: break
            }
            close(connection)
        }
    }

    /// Serves one caller's requests, with that caller's rights.
    private static func answer(_ connection: CInt) -> Never {
        guard let request = OpenRequest({ receive($0, over: connection) }),
            // Needs root's right to signal itself later: before its credentials change.
            platform_die_on_hangup(connection) == 0
        else { _exit(0) }
        let credentials = request.credentials
        let groups = credentials.supplementaryGroups
        guard unsafe platform_become(credentials.user, credentials.group, groups, groups.count) == 0 else {
            send(.refused(.failed(lastError())), over: connection)
            _exit(0)
        }
        guard platform_die_with_parent() == 0 else { _exit(1) }
        serve(request, over: connection)
        ShortWait.untilReadable(connection)
        while let next = OpenRequest({ receive($0, over: connection) }), next.credentials == credentials {
            guard platform_watch_hangup(connection, 1) == 0 else { break }
            serve(next, over: connection)
            ShortWait.untilReadable(connection)
        }
        _exit(0)
    }

    /// The kernel's signal would come for the next request too, so it is switched off before the answer.
    private static func serve(_ request: OpenRequest, over connection: CInt) {
        do throws(OpenError) {
            let opened = try request.purpose.open(request.path)
            _ = platform_watch_hangup(connection, 0)
            send(.opened, over: connection, passing: opened.rawValue)
        } catch {
            _ = platform_watch_hangup(connection, 0)
            send(.refused(error), over: connection)
        }
    }

    private static func receive(_ count: Int, over connection: CInt) -> [UInt8]? {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        while bytes.count < count {
            let found = unsafe read(connection, &chunk, min(chunk.count, count - bytes.count))
            if found == -1 && errno == EINTR { continue }
            if found <= 0 { return nil }
            bytes += chunk.prefix(found)
        }
        return bytes
    }

    private static func send(_ answer: OpenAnswer, over connection: CInt, passing descriptor: CInt = -1) {
        let bytes = answer.encoded
        // Whether anyone still listens makes no difference here.
        _ = unsafe platform_send(connection, bytes, bytes.count, descriptor)
    }
}
