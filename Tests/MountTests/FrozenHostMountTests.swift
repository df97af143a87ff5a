import TestSupport
import Testing

/// Images on a host that can be read from, and hangs whoever writes: a file system that is frozen (`fsfreeze`).
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct FrozenHostMountTests {
    private func check(_ script: String) throws {
        try withMount("-o", "host-timeout=2") { mount in
            try mount.python(
                #"""
                def sh(command): subprocess.check_call(command, shell=True)
                sh('truncate -s 256M host.img; mkfs.ext4 -q host.img; mkdir host; mount -o loop host.img host')
                # However the test ends, the host does not stay frozen: nobody could be ended who waits for it.
                watchdog = subprocess.Popen(['sh', '-c', 'sleep 100; fsfreeze -u host'], stderr=subprocess.DEVNULL)
                root = os.open('host', os.O_RDONLY)
                # FIFREEZE and FITHAW, not by a child: its copies of open files would be flushed as it begins.
                def frozen(on): fcntl.ioctl(root, 0xC0045877 if on else 0xC0045878, 0)
                def attempt(body):
                    try: body(); return 0
                    except OSError as e: return e.errno
                def eventually(body):
                    end = time.monotonic() + 20
                    while not body():
                        assert time.monotonic() < end
                        time.sleep(0.05)

                """# + "try:\n"
                    + script.split(separator: "\n", omittingEmptySubsequences: false).map { "    \($0)\n" }
                    .joined() + #"""

                        finally:
                            subprocess.call('fsfreeze -u host 2> /dev/null', shell=True)
                            watchdog.kill(); watchdog.wait(); os.close(root)
                            for name in os.listdir(A): ctl(f'detach {name} force')
                            end = time.monotonic() + 20
                            while subprocess.call('umount host 2> /dev/null', shell=True) != 0 and time.monotonic() < end: time.sleep(0.1)
                        """#,
                timeout: .seconds(140)
            )
        }
    }

    /// A write of which its writer has been told that it failed comes through after all; what was read in between is not kept.
    @Test func aWriteThatComesLateIsSeen() throws {
        try check(
            #"""
            open('host/v', 'wb').write(b'o' * (16 << 20)); sh('sync -f host')
            attach(f'{S}/host/v type=raw')
            d = os.open(A + '/v/disk', os.O_RDWR)
            os.pwrite(d, b'O' * 4096, 1 << 20); os.fsync(d)
            frozen(True)
            start = time.monotonic()
            assert attempt(lambda: os.pwrite(d, b'n' * 4096, 0)) == errno.ETIMEDOUT and time.monotonic() - start < 40
            # Reading goes on; writing to another place does not, as long as the first write may still come.
            assert os.pread(d, 4096, 0) in (b'o' * 4096, b'n' * 4096) and os.pread(d, 4096, 8 << 20) == b'o' * 4096
            start = time.monotonic()
            assert attempt(lambda: os.pwrite(d, b'x' * 4096, 12 << 20)) == errno.ETIMEDOUT and time.monotonic() - start < 1
            frozen(False)
            eventually(lambda: open('host/v', 'rb').read(4096) == b'n' * 4096)
            eventually(lambda: 'does not answer' not in open(A + '/v/info').read())
            direct = os.open(A + '/v/disk', os.O_RDONLY | os.O_DIRECT); b = mmap.mmap(-1, 4096); os.preadv(direct, [b], 0)
            assert b[:] == os.pread(d, 4096, 0) == b'n' * 4096
            os.pwrite(d, b'l' * 4096, 0); os.fsync(d)
            assert open('host/v', 'rb').read(4096) == os.pread(d, 4096, 0) == b'l' * 4096
            os.close(d); os.close(direct)
            """#
        )
    }

    /// Whoever ends a disk by force gets its image free only when nothing of it can be written any more.
    @Test(arguments: ["vhdx", "vpc"])
    func locksStayAsLongAsSomethingMayBeWritten(_ format: String) throws {
        try check(
            "FORMAT = '\(format)'\n" + #"""
                sh(f'qemu-img create -q -f {FORMAT} host/v 64M; sync -f host')
                attach(f'{S}/host/v name=v')
                def locked():
                    g = os.open('host/v', os.O_RDONLY)
                    try: fcntl.flock(g, fcntl.LOCK_EX | fcntl.LOCK_NB); return False
                    except OSError: return True
                    finally: os.close(g)
                d = os.open(A + '/v/disk', os.O_RDWR)
                os.pwrite(d, b'1' * 4096, 0)
                frozen(True)
                assert attempt(lambda: os.fsync(d)) == errno.ETIMEDOUT
                start = time.monotonic()
                ctl('detach v force')
                assert time.monotonic() - start < 60
                pid = os.environ['PID']
                def writes():
                    calls = []
                    for t in os.listdir(f'/proc/{pid}/task'):
                        try: calls.append(int(open(f'/proc/{pid}/task/{t}/syscall').read().split()[0]))
                        except (OSError, ValueError): pass
                    # pwrite64, fdatasync, ftruncate, pwritev2
                    return [c for c in calls if c in (18, 75, 77, 328)]
                hung = writes()
                print(FORMAT, hung, locked())
                assert locked() or not hung
                frozen(False)
                eventually(lambda: not writes() and not locked())
                attempt(lambda: os.close(d))
                attach(f'{S}/host/v name=again'); assert open(A + '/again/disk', 'rb').read(4096) in (b'1' * 4096, bytes(4096)); detach('again')
                sh(f'qemu-img check -q -f {FORMAT} host/v || test $? = 63')
                """#
        )
    }
}
