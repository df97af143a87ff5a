/// What `vhdfs --help` says.
enum HelpText {
    static let text = """
        vhdfs - attach disk images (VHD, ISO, raw) and show their disks as files

        USAGE
          vhdfs [IMAGE...] MOUNTPOINT [OPTIONS]     mount, attach the images, return when it is ready
          vhdfs VERB ...                            talk to a vhdfs that is mounted

        A disk appears as MOUNTPOINT/attached/NAME/disk: a plain file with the disk's bytes, for fsck, dd,
        losetup, mount -o loop, qemu-nbd and everything else. 'fusermount3 -u MOUNTPOINT' ends it.

        OPTIONS
          -f, --foreground       stay in the foreground and log to stderr, not to syslog
          -r, --read-only        attach everything read-only; other requests are refused (-o ro is the same)
          -o OPT[,OPT...]        mount options, as in fstab: allow_other, allow_root, auto_unmount, fsname=NAME,
                                 max_read=N; state-dir=DIR, manage-group=GROUP,
                                 inner-permissions, tz=ZONE, passthrough,
                                 host-timeout=SECONDS (120; 0 waits for ever); and the
                                 words of 'attach' below, which then hold for all IMAGEs
          --state-dir DIR        where permanent attachments are recorded; a directory of your own with mode
                                 0700 (root: /var/lib/vhdfs, users: ~/.local/state/vhdfs)
          --manage-group GROUP   its members may attach and detach too (if root mounts)
          --log-level LEVEL      trace, debug, info, notice, warning, error, critical (default: info)
          --version, -h, --help

        VERBS
          attach IMAGE [-r] [WORD...]     attach for as long as it is mounted; prints the disk's folder
          detach NAME|IMAGE [force]       detach; force: also with files open
          list [--json]                   name all attached disks
          info NAME|IMAGE [--json]        tell about a disk, or about an image that is not attached
          unmount MOUNTPOINT              unmount, and wait until the images are closed
          check IMAGE [type=vhd|vhdx]     check the structures of an image, without a mount; changes nothing
          All but check find the file system by --at MOUNTPOINT, else VHDFS_MOUNTPOINT, else it is the only one you
          have mounted. 'vhdfs VERB --help' tells more. A mount point named like a verb is written ./attach.

        WORDS of attach, here and in MOUNTPOINT/ctl
          readonly  permanent  no-drive-letter  no-local-host  no-security-descriptor
          name=NAME  type=auto|vhd|vhdx|iso|raw  parent=PATH  owner=UID group=GID mode=0NNN  sd=SDDL
          support-compressed-volumes  support-encrypted-files  no-lock  break-children  flags=0xN
          Scripts need no verbs: write 'attach PATH [WORD...]' or 'detach NAME' as a line to MOUNTPOINT/ctl,
          and read MOUNTPOINT/ctl for what is attached, what went wrong, and all the words explained.

        EXAMPLES
          vhdfs disk.vhd /mnt/v                     look into a disk, and leave again
          fsck -n /mnt/v/attached/disk/disk
          vhdfs unmount /mnt/v

          vhdfs /mnt/v                              mount once, attach as needed
          vhdfs attach ~/Downloads/setup.iso
          vhdfs attach /srv/data.vhd permanent name=data

          /srv/data.vhd  /mnt/v  fuse.vhdfs  ro,nofail,allow_other  0  0        in /etc/fstab

        EXIT STATUS
          0  fine     1  it failed: 'vhdfs: WHAT: WHY (ERROR_NAME, code)'     64  wrong usage
          check: 0 clean, 1 it can't be checked, 2 damaged, 3 nothing worse than leaked space
        """
}
