import Glibc
import SystemPackage
import Testing

@testable import Platform

@Suite struct CredentialsTests {
    @Test func usesTheIdsForFileAccesses() {
        let status = "Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nFDSize:\t64\nGroups:\t9 4294967294 \n"
        let expected = Credentials(user: 4, group: 8, supplementaryGroups: [9, 4_294_967_294])
        #expect(Credentials(processStatus: status) == expected)
    }

    @Test(arguments: [
        "", "Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n", "Uid:\t1\t2\t3\nGid:\t5\t6\t7\t8\nGroups:\n",
        "Uid:\t1\t2\t3\t-4\nGid:\t5\t6\t7\t8\nGroups:\n", "Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t99999999999\n",
    ])
    func refusesWhatItDoesNotUnderstand(status: String) {
        #expect(Credentials(processStatus: status) == nil)
    }

    @Test func ownThreadHasOwnCredentials() throws {
        let own = try Credentials.current
        let read = try Credentials.ofThread(getpid())
        #expect(read.user == own.user && read.group == own.group)
        #expect(Set(read.supplementaryGroups) == Set(own.supplementaryGroups))
    }

    @Test(.enabled(if: geteuid() == 0, "only root can start processes of other users"))
    func readsThoseOfAnotherProcess() throws {
        let child = try ChildProcess("setpriv", "--reuid=1234", "--regid=1235", "--groups=77,78", "cat")
        child.send("x\n")
        #expect(try child.readLine() == "x")
        let expected = Credentials(user: 1234, group: 1235, supplementaryGroups: [77, 78])
        #expect(try Credentials.ofThread(child.id) == expected)
    }

    @Test(arguments: [0, -1, Int32.max])
    func noSuchThread(thread: Int32) {
        #expect(throws: Errno.noSuchProcess) { try Credentials.ofThread(thread) }
        #expect(CallerContext.workingDirectory(ofThread: thread) == nil)
    }
}

@Suite struct CallerContextTests {
    let scratch: ScratchFolder

    init() throws {
        scratch = try ScratchFolder()
        let made = unsafe mkdir(scratch("in").string, 0o700)
        try #require(made == 0)
    }

    private func waiting(_ child: ChildProcess) throws -> Int32 {
        child.send("x\n")
        #expect(try child.readLine() == "x")
        return child.id
    }

    @Test func findsTheWorkingDirectory() throws {
        let child = try ChildProcess("cat", in: scratch("in"))
        #expect(try CallerContext.workingDirectory(ofThread: waiting(child)) == scratch("in").resolved())
    }

    @Test func aDeletedDirectoryIsNone() throws {
        let child = try ChildProcess("cat", in: scratch("in"))
        let thread = try waiting(child)
        unsafe rmdir(scratch("in").string)
        #expect(CallerContext.workingDirectory(ofThread: thread) == nil)
        // Something that bears the kernel's words for it is not it.
        unsafe mkdir(scratch("in (deleted)").string, 0o700)
        #expect(CallerContext.workingDirectory(ofThread: thread) == nil)
    }

    @Test(.enabled(if: geteuid() == 0, "only root can make mount namespaces"))
    func anotherMountNamespaceIsNone() throws {
        let child = try ChildProcess("unshare", "-m", "cat", in: scratch("in"))
        #expect(try CallerContext.workingDirectory(ofThread: waiting(child)) == nil)
    }
}
