/// What `help` answers, and what a reader of `ctl` finds at its end.
public enum Help {
    /// The lines, each at most 100 characters.
    public static let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)

    private static let text = """
        Write one request a line, in words as a shell splits them; write(2) fails if the request does.

        attach PATH [WORD...]      attach an image: attached/NAME appears
            readonly               write-protected (also: ro, read-only); an ISO needs it
            permanent              stays until it is detached, across mounts; else it ends with the
                                   file system, or with your open file if you opened ctl for both
                                   reading and writing
            no-drive-letter        its volumes don't appear below mounts/
            no-local-host          only the whole disk: no partitions, no volumes
            no-security-descriptor only the mounting user has access
            bypass-default-encryption-policy
            flags=0xN              the same flags as a number; words and number are combined
            name=NAME              instead of the file name without its extension
            type=TYPE              auto, vhd, vhdx, vhdset, iso, raw (raw is never guessed)
            parent=PATH            where a parent of a differencing disk is; may be repeated
            sd=SDDL                who has access, as a Windows security descriptor
            owner=UID group=GID mode=0NNN
                                   who has access; by default whoever has access to the image file
            support-compressed-volumes
            support-encrypted-files
                                   attach although the file is compressed or encrypted
            no-lock                attach read/write although the host file system has no locks
            break-children         write to a disk although others have it as their parent, which makes
                                   them worthless; also to a member of a VHD Set
            provider-flags=0 version=1
                                   the other parameters of AttachVirtualDisk; no other values exist
        detach NAME|PATH [force]   everything is on disk when it returns; force: also with files open
        info NAME|PATH             tell about an attachment
        list                       name all attachments
        help                       this text

        Flags have their Windows names too: ATTACH_VIRTUAL_DISK_FLAG_READ_ONLY is readonly.

        For example:
            attach '/srv/images/My Disk.vhdx' readonly name=mine
            detach mine

        Open ctl for reading and writing to read the answers: "ok attach NAME PATH", or
        "error CODE ERROR_NAME TEXT" with the Windows code. Each request has one such line.
        """
}
