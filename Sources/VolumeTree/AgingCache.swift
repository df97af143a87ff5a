/// Keeps what was used lately, up to a weight.
///
/// Two halves: what is used is in the young one; when that is full it becomes the old one, and what was still there is dropped. So whatever has
/// been used since half of the limit went through is kept, at the cost of one dictionary look-up or two.
struct AgingCache<Key: Hashable, Value> {
    private var young: [Key: (value: Value, weight: Int)] = [:]
    private var old: [Key: (value: Value, weight: Int)] = [:]
    private var youngWeight = 0
    private let limit: Int

    /// Keeps values of a weight of at most `limit` in all.
    init(limit: Int) {
        self.limit = limit
    }

    /// The value of a key.
    mutating func value(of key: Key) -> Value? {
        if let found = young[key] { return found.value }
        guard let found = old.removeValue(forKey: key) else { return nil }
        insert(found.value, weight: found.weight, for: key)
        return found.value
    }

    /// Keeps a value, unless it alone is heavier than half of the limit.
    mutating func insert(_ value: Value, weight: Int, for key: Key) {
        guard weight <= limit / 2 else { return }
        if youngWeight + weight > limit / 2 {
            old = young
            young = [:]
            youngWeight = 0
        }
        if let replaced = young.updateValue((value, weight), forKey: key) { youngWeight -= replaced.weight }
        youngWeight += weight
    }

    /// Drops all keys that are meant.
    mutating func removeAll(where isMeant: (Key) -> Bool) {
        old = old.filter { !isMeant($0.key) }
        young = young.filter { !isMeant($0.key) }
        youngWeight = young.values.reduce(0) { $0 + $1.weight }
    }
}
