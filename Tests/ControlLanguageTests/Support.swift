import ControlLanguage

/// The same numbers at each run, so that a failure can be repeated (SplitMix64).
struct RepeatableNumbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// A word that the test knows to be one.
func word(_ text: String) throws -> Word {
    guard let word = Word(text) else { throw RequestError("not a word") }
    return word
}

func parse(_ line: String) throws(RequestError) -> Request? {
    try Request.parse(Array(line.utf8))
}

/// What the attach words of a line mean.
func attachWords(_ line: String) throws(RequestError) -> AttachWords {
    try AttachWords(try ShellWords.split(line.utf8))
}

/// The text of the error that a line's attach words give; nil if they are fine.
func attachError(_ line: String) -> String? {
    do throws(RequestError) {
        _ = try attachWords(line)
        return nil
    } catch {
        return error.text
    }
}
