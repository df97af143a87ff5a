import CTSK
import Glibc

// The process that reads one volume for the daemon. It speaks on descriptor 0 and has nothing else.
//
// Swift's runtime and libtsk's tables are in memory before the walls go up; behind them no file can be opened.
setenv("TZ", CommandLine.arguments.dropFirst().first ?? "UTC", 1)
tzset()
let step = ctsk_enter_sandbox(1 << 30, 3600)
guard step == 0 else {
    let words = Array("vhdfs-volume: can't lock itself in (step \(step))\n".utf8)
    _ = write(2, words, words.count)
    exit(70)
}
Service().run()
