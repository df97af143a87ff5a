internal import Glibc

/// Lends a command line as C has it: an array of strings, ended by nil.
func withCommandLine<R>(
    _ arguments: [String],
    _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> R
) -> R {
    var strings = unsafe arguments.map { argument in unsafe strdup(argument) }
    defer { for index in unsafe strings.indices { unsafe free(strings[index]) } }
    unsafe strings.append(nil)
    return unsafe body(&strings)
}
