import Platform
import SystemPackage

/// A door that requests wait behind.
final class Gate: Sendable {
    private let state = Monitor((isOpen: false, waiting: 0))

    func pass() throws(Errno) {
        state.update { $0.waiting += 1 }
        defer { state.update { $0.waiting -= 1 } }
        if state.wait(timeout: .seconds(30), until: { $0.isOpen ? true : nil }) == nil {
            // So that a test that fails ends soon.
            open()
            throw .timedOut
        }
    }

    func open() { state.update { $0.isOpen = true } }

    func waitForVisitors(_ count: Int) -> Bool {
        state.wait(timeout: .seconds(20)) { $0.waiting >= count ? true : nil } ?? false
    }
}
