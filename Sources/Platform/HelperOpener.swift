internal import CPlatform
internal import Glibc
public import SystemPackage

/// Opens files with the rights of those who ask for it: for root's daemon.
///
/// A thread can't take on a user's rights for itself alone, and should not lend root's. So a second process, started before the
/// daemon has threads, forks one for each request, which takes on the caller's user, group and groups, drops every capability
/// (a caller who is root keeps root's rights), opens, and hands the descriptor over. A file server that hangs stops only that one,
/// and it is killed when its caller waits no longer. It stays ready for the same caller until `rest`, because a fork costs more than all the
/// rest of opening a file, and chains have many.
public final class HelperOpener: FileOpener {
    private let requests: Descriptor
    /// Processes that have taken on a caller's rights, and wait.
    private let ready = Locked<[(credentials: Credentials, connection: Descriptor)]>([])
    /// The process that opens.
    public let processID: Int32

    /// Starts the second process.
    ///
    /// It ends with this object, and with the calling thread: call it from the main one, after daemonizing and before the first
    /// other thread.
    public static func start() throws(Errno) -> HelperOpener {
        let (ours, theirs) = try socketPair(SOCK_SEQPACKET)
        let process = platform_fork()
        if process == 0 { OpenHelper.serve(theirs.rawValue) }
        if process == -1 { throw lastError() }
        return HelperOpener(requests: ours, processID: process)
    }

    private init(requests: Descriptor, processID: Int32) {
        self.requests = requests
        self.processID = processID
    }

    deinit {
        shutdown(requests.rawValue, CInt(SHUT_RDWR))
        var status: CInt = 0
        while unsafe waitpid(processID, &status, 0) == -1 && errno == EINTR {}
    }

    /// Opens a file with a caller's rights.
    public func open(
        _ path: FilePath,
        _ purpose: OpenPurpose,
        as credentials: Credentials,
        cancellation: Cancellation? = nil
    ) throws(OpenError) -> Descriptor {
        let request = try OpenRequest(path: path, purpose: purpose, credentials: credentials).encoded()
        let known = ready.withLock { ready in
            ready.firstIndex { $0.credentials == credentials }.map { ready.remove(at: $0).connection }
        }
        if let known {
            do throws(OpenError) {
                try send(request, over: known, passing: nil, cancellation)
                return try receiveAnswer(over: known, from: credentials, cancellation)
            } catch .helperEnded {
                // It has ended meanwhile, for whatever reason: another does it.
            }
        }
        return try receiveAnswer(over: connect(sending: request, cancellation), from: credentials, cancellation)
    }

    public func rest() {
        let idle = ready.withLock { ready in
            defer { ready = [] }
            return ready
        }
        // Closed here, not under the lock.
        _ = consume idle
    }

    /// Gets a process of its own for a request.
    private func connect(sending request: [UInt8], _ cancellation: Cancellation?) throws(OpenError) -> Descriptor {
        do {
            let (ours, theirs) = try socketPair(SOCK_STREAM)
            // All of it has been sent before anybody can read it. A process that had read it a moment too early would get the kernel's
            // signal for it, and take that for our hanging up.
            try ours.setSendBuffer(2 * request.count)
            try send(request, over: ours, passing: nil, cancellation)
            try send([0], over: requests, passing: theirs, cancellation)
            return ours
        } catch let error as Errno {
            throw .failed(error)
        } catch let error as OpenError {
            throw error
        } catch {
            throw .helperEnded
        }
    }

    private func send(
        _ bytes: [UInt8],
        over socket: Descriptor,
        passing descriptor: Descriptor?,
        _ cancellation: Cancellation?
    ) throws(OpenError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            do {
                let count = try retrying {
                    unsafe rest.withUnsafeBytes {
                        unsafe platform_send(socket.rawValue, $0.baseAddress, $0.count, descriptor?.rawValue ?? -1)
                    }
                }
                rest = rest.dropFirst(count)
            } catch .wouldBlock, .resourceTemporarilyUnavailable {
                try Cancellation.wait(for: socket, POLLOUT, or: cancellation)
            } catch .brokenPipe, .connectionReset {
                throw .helperEnded
            } catch {
                throw .failed(error)
            }
        }
    }

    /// Waits for the answer; then the process is ready for its caller's next request. Whoever waits in vain leaves it to its end.
    private func receiveAnswer(
        over connection: Descriptor,
        from credentials: Credentials,
        _ cancellation: Cancellation?
    ) throws(OpenError) -> Descriptor {
        ShortWait.untilReadable(connection.rawValue)
        try Cancellation.wait(for: connection, POLLIN, or: cancellation)
        var bytes = [UInt8](repeating: 0, count: OpenAnswer.count)
        var number: CInt = -1
        let count = try? retrying {
            unsafe platform_receive(connection.rawValue, &bytes, bytes.count, 0, &number)
        }
        let opened = number >= 0 ? Descriptor(owning: number) : nil
        guard count == bytes.count, let answer = OpenAnswer(bytes) else { throw .helperEnded }
        ready.withLock { $0.append((credentials, connection)) }
        switch answer {
        case .refused(let error): throw error
        case .opened:
            // The daemon has no number free for it.
            guard let opened else { throw .failed(.tooManyOpenFiles) }
            return opened
        }
    }
}

extension Descriptor {
    /// Makes room for what is sent and not yet received; the system's default is enough for most.
    fileprivate func setSendBuffer(_ count: Int) throws(Errno) {
        guard count > 65536 else { return }
        var size = CInt(clamping: count)
        _ = try retrying {
            unsafe setsockopt(rawValue, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout.size(ofValue: size)))
        }
    }
}

private func socketPair(_ kind: __socket_type) throws(Errno) -> (Descriptor, Descriptor) {
    var ends: [CInt] = [-1, -1]
    _ = try retrying {
        unsafe socketpair(AF_UNIX, CInt(kind.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends)
    }
    return (Descriptor(owning: ends[0]), Descriptor(owning: ends[1]))
}
