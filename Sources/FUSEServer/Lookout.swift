internal import Glibc
internal import Platform
internal import Synchronization

/// Looks for workers that have been at one request for long, and has others take their places; in the end it sends away those who wait for
/// them. It sleeps while there is nothing to do.
final class Lookout: Sendable {
    /// The time from look to look.
    private static let interval: UInt32 = 5000
    /// After so many looks at the same request a worker is not counted on any more.
    private static let patience = 20
    /// After so many looks without a request it falls asleep.
    private static let drowsiness = 20
    /// After so many looks it asks who gets on.
    private static let rounds = 100

    /// What stores may have to wait for who stores gigabytes, in one call or on a thread that is none of ours.
    private static let longFactor = 5
    /// How long a request may get nowhere when so many do that others have to wait for them.
    private static let crowdedLimit = Duration.seconds(30)

    /// A worker at the same request as at the last look.
    private struct Sighting {
        var worker: Worker
        var request: UInt
        var looks = 0
        /// Whether its thread gets on.
        var watch = ThreadWatch()
    }

    private let isAsleep = Atomic(true)
    private let alarm = Monitor(0)
    private let hasThread = Atomic(false)
    private let limit: Duration?

    /// - Parameter patience: how long a request may get nowhere.
    init(patience: Duration?) {
        limit = patience
    }

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
        var seen: [ObjectIdentifier: Sighting] = [:]
        var quietLooks = 0
        var looks = 0
        while !pool.isOver {
            usleep(Self.interval)
            seen = look(pool, seen)
            looks += 1
            if looks % Self.rounds == 0 {
                releaseTheKilled(pool, seen)
                sendAway(pool, &seen)
            }
            quietLooks = seen.values.allSatisfy { $0.worker.isLeft } ? quietLooks + 1 : 0
            guard quietLooks > Self.drowsiness else { continue }
            quietLooks = 0
            pool.sendSurplusHome()
            let alarms = alarm.update { $0 }
            isAsleep.store(true, ordering: .sequentiallyConsistent)
            if pool.workers.contains(where: { $0.request != nil && !$0.isLeft }) {
                _ = isAsleep.exchange(false, ordering: .sequentiallyConsistent)
                continue
            }
            while !pool.isOver {
                if alarm.wait(timeout: .seconds(10), until: { $0 > alarms ? true : nil }) != nil { break }
            }
        }
    }

    /// Looks at everybody once. Returns who is at which request, and for how many looks that has been so.
    private func look(_ pool: WorkerPool, _ before: [ObjectIdentifier: Sighting]) -> [ObjectIdentifier: Sighting] {
        var now: [ObjectIdentifier: Sighting] = [:]
        var stuck: [Worker] = []
        var moves = false
        for worker in pool.workers where !worker.isResting.load(ordering: .relaxed) {
            let id = ObjectIdentifier(worker)
            guard let request = worker.request else {
                moves = true
                continue
            }
            var sighting = Sighting(worker: worker, request: request)
            if let last = before[id], last.request == request {
                sighting = last
                sighting.looks += 1
                stuck.append(worker)
            } else {
                moves = true
            }
            now[id] = sighting
            if sighting.looks > Self.patience { pool.leave(worker) }
        }
        // Nobody has moved, and requests wait: the more there are at it, the more are called, so that many that hang are soon worked through.
        if !moves, !stuck.isEmpty, pool.hasPending {
            for worker in stuck { pool.leave(worker) }
            pool.callUp(to: stuck.count)
        }
        return now
    }

    // MARK: Sending away

    /// Whoever has been killed is let go, if it reads. The kernel tells of a first signal only, which may have been a harmless one.
    private func releaseTheKilled(_ pool: WorkerPool, _ seen: [ObjectIdentifier: Sighting]) {
        for sighting in seen.values where sighting.looks > Self.patience && !sighting.worker.isLeft {
            guard let question = sighting.worker.question(sighting.request), question.isRead,
                let caller = try? ThreadState(question.caller), caller.isDying
            else { continue }
            pool.release(sighting.worker, at: sighting.request, question)
        }
    }

    /// Sends away those whose requests have got nowhere for too long.
    private func sendAway(_ pool: WorkerPool, _ seen: inout [ObjectIdentifier: Sighting]) {
        guard let limit else { return }
        var late: [(sighting: Sighting, question: Question, host: UInt64)] = []
        // For how long nothing of a disk has got on that others may have to wait for, such as a sync of gigabytes, or the reading of a large folder.
        var queues: [UInt64: Duration] = [:]
        var crowds: [UInt64: Int] = [:]
        for (id, sighting) in seen where sighting.looks > Self.patience && !sighting.worker.isLeft {
            var sighting = sighting
            sighting.watch.look(at: sighting.worker.threadNumber)
            seen[id] = sighting
            guard let question = sighting.worker.question(sighting.request), question.hasAnswer else { continue }
            let host = pool.host(of: question) ?? 0
            late.append((sighting, question, host))
            crowds[host, default: 0] += 1
            // One that has just come, and one that waits, hold up nobody.
            guard !question.isRead, sighting.watch.hasMoved else { continue }
            queues[host] = min(queues[host] ?? sighting.watch.stillness, sighting.watch.stillness)
        }
        for (sighting, question, host) in late {
            // When as many hang as may wait in the background, others have to wait for them.
            let isCrowded = crowds[host, default: 0] >= WorkerPool.limit / 2
            var patience = isCrowded ? min(limit, Self.crowdedLimit) : limit
            if question.mayBeLong { patience *= Self.longFactor }
            let stillness = min(sighting.watch.stillness, queues[host] ?? sighting.watch.stillness)
            if stillness >= patience { pool.giveUp(sighting.worker, at: sighting.request, question) }
        }
    }
}
