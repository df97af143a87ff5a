public import FileSystem

extension Timestamp {
    /// A point in time from its parts in some zone; nil if they are no date.
    ///
    /// - Parameter minutesEast: how far the zone is ahead of UTC.
    public init?(
        year: Int,
        month: Int,
        day: Int,
        hour: Int,
        minute: Int,
        second: Int,
        nanoseconds: Int64 = 0,
        minutesEast: Int = 0
    ) {
        guard (1...9999).contains(year), (1...12).contains(month), (1...31).contains(day), (0...23).contains(hour),
            (0...59).contains(minute), (0...60).contains(second), (0..<1_000_000_000).contains(nanoseconds)
        else { return nil }
        // Days since 1970 in the Gregorian calendar, with years that begin in March.
        let shifted = month > 2 ? year : year - 1
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        let seconds = ((days * 24 + hour) * 60 + minute - minutesEast) * 60 + second
        self.init(seconds: Int64(seconds), nanoseconds: nanoseconds)
    }

    /// Stands where a file system tells no time.
    public static let unknown = Timestamp(seconds: 0)
}
