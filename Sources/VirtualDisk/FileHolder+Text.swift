internal import Platform

extension FileHolder {
    /// For messages: who it is, and the number to look it up by.
    var text: String { "\(name) (pid \(processID))" }
}
