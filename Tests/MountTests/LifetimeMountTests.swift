import TestSupport
import Testing

/// Ends of attachments and of the file system (CONTRACT.md §3.3).
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct LifetimeMountTests {
    @Test func aBusyDiskNamesItsHolder() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            try mount.check(
                """
                echo "attach $S/a.vhd" > "$M/ctl"
                exec 5< "$A/a/disk"
                sleep 300 <&5 &
                holder=$!
                exec 5<&-
                if (echo "detach a" > "$M/ctl") 2> message; then fail "detached a busy disk"; fi
                grep -q 'Device or resource busy' message
                grep -q "^# error 32 ERROR_SHARING_VIOLATION .*sleep (pid $holder)" "$M/ctl"
                cmp -n 10 "$A/a/disk" /dev/zero
                kill -9 $holder
                wait $holder || true
                echo "detach a" > "$M/ctl"
                """
            )
        }
    }

    /// The kernel tells of the last close of a handle after that has returned.
    @Test func whoAttachesAfterAHandleFindsItGone() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            try mount.python(
                """
                for k in range(300):
                    handle = os.open(M + '/ctl', os.O_RDWR)
                    os.write(handle, f'attach {S}/a.vhd{" name=q" if k % 2 else ""}\\n'.encode())
                    answer = os.read(handle, 4096).decode()
                    assert answer == f'ok attach {"q" if k % 2 else "a"} {A}/{"q" if k % 2 else "a"}\\n', (k, answer)
                    if k % 3 == 0: time.sleep(random.random() / 1000)
                    os.close(handle)
                """
            )
        }
    }

    @Test func forceEndsOpenFilesAndMappings() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            try mount.python(
                """
                attach(f'{S}/a.vhd')
                f = os.open(A + '/a/disk', os.O_RDWR)
                os.pwrite(f, b'last', 0)
                assert os.pread(f, 4096, 65536) == b'\\1' * 4096
                m = mmap.mmap(f, 0, prot=mmap.PROT_READ)
                assert m[65536] == 1
                child = os.fork()
                if child == 0:
                    # A page that was read before must be gone from the mapping.
                    while True: m[65536]; time.sleep(0.01)
                time.sleep(0.1)
                detach('a force')
                fails(errno.ENXIO, os.pread, f, 4096, 65536)
                fails(errno.ENXIO, os.pwrite, f, b'x', 0)
                fails(errno.ENXIO, os.fsync, f)
                _, status = os.waitpid(child, 0)
                assert os.waitstatus_to_exitcode(status) == -signal.SIGBUS, status
                # The image is free and complete while the dead file is still open.
                attach(f'{S}/a.vhd')
                assert open(A + '/a/disk', 'rb').read(4) == b'last'
                os.close(f)
                """
            )
        }
    }

    /// Whatever a read is at when the end comes, it is given its bytes or told that the disk is gone.
    @Test func readsThatMeetAForcedEndAreToldThatItIsGone() throws {
        try withMount { mount in
            try mount.python(
                """
                import threading
                subprocess.check_call('head -c 16M /dev/urandom > raw; qemu-img convert -f raw -O vpc -o force_size=on raw a.vhd; sync', shell=True)
                model, errors = open('raw', 'rb').read(), set()
                for _ in range(60):
                    i = os.open('a.vhd', os.O_RDONLY); os.posix_fadvise(i, 0, 0, os.POSIX_FADV_DONTNEED); os.close(i)
                    attach(f'{S}/a.vhd readonly')
                    def read(k):
                        f, b = os.open(A + '/a/disk', os.O_RDONLY | os.O_DIRECT), mmap.mmap(-1, 1 << 20)
                        ready.wait()
                        try:
                            for at in range(k << 20, 16 << 20, 4 << 20): assert os.preadv(f, [b], at) == 1 << 20 and b[:] == model[at:at + (1 << 20)]
                            os.fsync(f)
                        except OSError as e: errors.add(e.errno)
                        os.close(f)
                    ready = threading.Barrier(5)
                    readers = [threading.Thread(target=read, args=(k,)) for k in range(4)]
                    for each in readers: each.start()
                    ready.wait(); time.sleep(random.random() / 300)
                    detach('a force')
                    for each in readers: each.join()
                assert errors <= {errno.ENXIO}, errors
                """
            )
            #expect(!mount.log.contains("Bad file descriptor"), "\(mount.log)")
        }
    }

    /// An answered detach has closed the image: what it is stored on can be unmounted at once.
    @Test func afterADetachTheHostsFileSystemIsFree() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            try mount.check(
                """
                mkdir small
                trap 'umount -l "$S/small" 2> /dev/null || true' EXIT
                for how in '' '' '' '' '' force; do
                    mount -t tmpfs tmpfs small
                    cp a.vhd small
                    echo "attach $S/small/a.vhd" > "$M/ctl"
                    head -c 100000 /dev/urandom | dd of="$A/a/disk" conv=notrunc status=none
                    cat "$A/a/info" > /dev/null
                    test -z "$how" || exec 7< "$A/a/disk"
                    echo "detach a $how" > "$M/ctl"
                    umount small || fail "busy after detach $how"
                done
                """
            )
        }
    }

    @Test func noStaleByteOfAnEarlierDisk() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd", fill: 1)
            try mount.makeVHD("b.vhd", fill: 2)
            try mount.python(
                """
                for i in range(30):
                    name, fill = ('a', 1) if i % 2 else ('b', 2)
                    attach(f'{S}/{name}.vhd name=x')
                    with open(A + '/x/disk', 'rb') as f:
                        assert f.read()[65536:131072] == bytes([fill]) * 65536, i
                        m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
                        assert m[65536:131072] == bytes([fill]) * 65536, i
                        m.close()
                    assert os.readlink(A + '/x/image').endswith(name + '.vhd')
                    for _ in range(500):
                        if ctl('detach x') == 0: break
                        time.sleep(0.02)
                    assert not os.path.exists(A + '/x')
                # Also while the old one is still open.
                attach(f'{S}/a.vhd name=x')
                f = open(A + '/x/disk', 'rb')
                f.read(100)
                detach('x force')
                attach(f'{S}/b.vhd name=x')
                assert open(A + '/x/disk', 'rb').read()[65536:65538] == b'\\2\\2'
                fails(errno.ENXIO, os.pread, f.fileno(), 10, 65536)
                """
            )
        }
    }

    @Test func openFilesReadOnWhenTheirHandleIsGone() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            try mount.python(
                """
                handle = os.open(M + '/ctl', os.O_RDWR)
                os.write(handle, f'attach {S}/a.vhd\\n'.encode())
                f = os.open(A + '/a/disk', os.O_RDWR)
                os.pwrite(f, b'mine', 0)
                os.close(handle)
                for _ in range(500):
                    if not os.path.exists(A + '/a'): break
                    time.sleep(0.02)
                assert os.listdir(A) == []
                assert os.pread(f, 4, 0) == b'mine' and os.pread(f, 4, 65536) == b'\\1' * 4
                assert os.pread(f, 4, 1000000) == bytes(4)
                fails(errno.ENXIO, os.pwrite, f, b'x', 0)
                # Shared by now: readers may come, writers when it is closed.
                for _ in range(500):
                    if ctl(f'attach {S}/a.vhd readonly') == 0: break
                    time.sleep(0.02)
                detach('a')
                assert ctl(f'attach {S}/a.vhd') == errno.EBUSY
                os.close(f)
                for _ in range(500):
                    if ctl(f'attach {S}/a.vhd') == 0: break
                    time.sleep(0.02)
                assert os.listdir(A) == ['a']
                assert open(A + '/a/disk', 'rb').read(4) == b'mine'
                """
            )
        }
    }

    @Test func permanentOnesComeBackAfterAnUnmountAndAfterACrash() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            try mount.makeVHD("b.vhd", fill: 2)
            let present = """
                test -e "$A/x/disk" || fail "not there: $(cat "$M/ctl")"
                jq -e '.lifetime == "permanent" and .read_only and (.flags | index("no-drive-letter"))' "$A/x/info.json"
                cmp -n 4096 -i 65536:0 "$A/x/disk" <(head -c 4096 /dev/zero | tr '\\0' '\\1')
                """
            try mount.check(
                """
                echo "attach $S/a.vhd permanent readonly no-drive-letter name=x" > "$M/ctl"
                echo "attach $S/b.vhd" > "$M/ctl"
                """ + "\n" + present
            )
            try mount.unmount()
            try mount.mountAgain()
            try mount.check(present + "\ngone \"$A/b\"")
            try mount.kill()
            try mount.mountAgain()
            try mount.check(present)
            _ = mount.terminate()
            // Another image in its place is not attached; the record stays until it is detached.
            try mount.check("mv a.vhd kept.vhd; cp b.vhd a.vhd")
            try mount.mountAgain()
            try mount.check(
                """
                gone "$A/x"
                grep -q '^# not attached again: x .*another image' "$M/ctl"
                """
            )
            try mount.unmount()
            try mount.check("mv kept.vhd a.vhd")
            try mount.mountAgain()
            try mount.check(present + "\necho 'detach x' > \"$M/ctl\"")
            try mount.kill()
            try mount.mountAgain()
            try mount.check("gone \"$A/x\"; ! grep -q 'not attached' \"$M/ctl\"")
        }
    }

    @Test func aSignalEndsItCleanlyWithFilesOpen() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            let holder = try RunningCommand(
                [
                    "bash", "-c",
                    """
                    echo "attach \(mount.scratch.path("a.vhd"))" > "\(mount.path)/ctl"
                    exec 5<> "\(mount.path)/attached/a/disk"
                    echo -n written >&5
                    echo ready
                    sleep 300
                    """,
                ]
            )
            defer { holder.stop() }
            #expect(holder.waitForOutput("ready"))
            let result = mount.terminate()
            #expect(result.succeeded, "\(result.status) \(result.errorOutput)")
            try mount.check(
                """
                ! mountpoint -q "$M"
                qemu-img convert -f vpc -O raw a.vhd out
                test "$(head -c 7 out)" = written
                """
            )
        }
    }
}
