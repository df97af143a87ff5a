internal import Glibc
internal import Platform
internal import Synchronization

/// Looks for workers that have been at one request for long, and has others take their places. It sleeps while there is nothing to do.
final class Lookout: Sendable {
    /// The time from look to look.
    private static let interval: UInt32 = 5000
    /// After so many looks at the same request a worker is not counted on any more.
    private static let patience = 20
    /// After so many looks without a request it falls asleep.
    private static let drowsiness = 20

    private let isAsleep = Atomic(true)
    private let alarm = Monitor(0)
    private let hasThread = Atomic(false)

    /// A worker has taken a request.
    func wake(for pool: WorkerPool) {
        guard isAsleep.load(ordering: .sequentiallyConsistent),
            isAsleep.exchange(false, ordering: .sequentiallyConsistent)
        else { return }
        if hasThread.load(ordering: .relaxed) {
            alarm.update { $0 += 1 }
        } else {
            hasThread.store(true, ordering: .relaxed)
            if !startThread("fuse-lookout", { [self] in watch(pool) }) {
                hasThread.store(false, ordering: .relaxed)
                isAsleep.store(true, ordering: .sequentiallyConsistent)
            }
        }
    }

    private func watch(_ pool: WorkerPool) {
        var seen: [ObjectIdentifier: (request: UInt, looks: Int)] = [:]
        var quietLooks = 0
        while !pool.isOver {
            usleep(Self.interval)
            seen = look(pool, seen)
            quietLooks = seen.isEmpty ? quietLooks + 1 : 0
            guard quietLooks > Self.drowsiness else { continue }
            quietLooks = 0
            pool.sendSurplusHome()
            let alarms = alarm.update { $0 }
            isAsleep.store(true, ordering: .sequentiallyConsistent)
            if pool.workers.contains(where: { $0.request != nil }) {
                _ = isAsleep.exchange(false, ordering: .sequentiallyConsistent)
                continue
            }
            while !pool.isOver {
                if alarm.wait(timeout: .seconds(10), until: { $0 > alarms ? true : nil }) != nil { break }
            }
        }
    }

    /// Looks at everybody once. Returns who is at which request, and for how many looks that has been so.
    private func look(
        _ pool: WorkerPool,
        _ before: [ObjectIdentifier: (request: UInt, looks: Int)]
    ) -> [ObjectIdentifier: (request: UInt, looks: Int)] {
        var now: [ObjectIdentifier: (request: UInt, looks: Int)] = [:]
        var stuck: [Worker] = []
        var moves = false
        for worker in pool.workers where !worker.isResting.load(ordering: .relaxed) {
            let id = ObjectIdentifier(worker)
            guard let request = worker.request else {
                moves = true
                continue
            }
            let last = before[id]
            let looks = last?.request == request ? (last?.looks ?? 0) + 1 : 0
            now[id] = (request, looks)
            if looks == 0 { moves = true } else { stuck.append(worker) }
            if looks > Self.patience { pool.leave(worker) }
        }
        // Nobody has moved, and requests wait: the more there are at it, the more are called, so that many that hang are soon worked through.
        if !moves, !stuck.isEmpty, pool.hasPending {
            for worker in stuck { pool.leave(worker) }
            pool.callUp(to: stuck.count)
        }
        return now
    }
}
