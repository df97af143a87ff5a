import ControlLanguage
import Testing
import VirtualDisk

@Suite struct AttachFlagsTests {
    @Test(
        arguments: [
            (.readOnly, 0x01, "readonly", "READ_ONLY"),
            (.noDriveLetter, 0x02, "no-drive-letter", "NO_DRIVE_LETTER"),
            (.permanentLifetime, 0x04, "permanent", "PERMANENT_LIFETIME"),
            (.noLocalHost, 0x08, "no-local-host", "NO_LOCAL_HOST"),
            (.noSecurityDescriptor, 0x10, "no-security-descriptor", "NO_SECURITY_DESCRIPTOR"),
            (
                .bypassDefaultEncryptionPolicy, 0x20, "bypass-default-encryption-policy",
                "BYPASS_DEFAULT_ENCRYPTION_POLICY"
            ),
        ] as [(AttachFlags, UInt32, String, String)]
    )
    func bitsAndNamesAreThoseOfWindows(flag: AttachFlags, bit: UInt32, word: String, name: String) throws {
        #expect(flag.rawValue == bit)
        #expect(flag.words == [word])
        #expect(flag.windowsNames == ["ATTACH_VIRTUAL_DISK_FLAG_" + name])
        #expect(try AttachWords([#require(Word(word))]).flags == bit)
    }

    @Test func namesWhatIsSet() {
        #expect(AttachFlags([.permanentLifetime, .readOnly]).words == ["readonly", "permanent"])
        #expect(AttachFlags(rawValue: 0xFFFF_FFC0).words == [])
        #expect(AttachFlags().windowsNames == [])
    }

    @Test func onlyDocumentedBitsAreValid() {
        #expect(AttachFlags.valid.rawValue == 0x3F)
        #expect(AttachFlags(rawValue: 0x3F).isValid)
        #expect(AttachFlags().isValid)
        for bit in 6..<32 {
            #expect(!AttachFlags(rawValue: 1 << UInt32(bit) | 1).isValid)
        }
    }
}
