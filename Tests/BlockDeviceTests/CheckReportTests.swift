import BlockDevice
import Testing

/// What a check says when it can't go on.
struct CheckReportTests {
    @Test func aLimitTakesNothingBackOfWhatWasFound() throws {
        let limit = DiskError(.limit, "too many blocks")
        var report = CheckReport()
        #expect(throws: DiskError.self) { try report.record(limit) }
        report.damage("header 1", at: 65_536, "its checksum is wrong")
        try report.record(limit)
        #expect(report.count(.damaged) == 1)
        #expect(report.findings.last?.text == "too many blocks")
        #expect(report.findings.last?.severity == .note)
    }
}
