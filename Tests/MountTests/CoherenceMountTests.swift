import TestSupport
import Testing

/// Several programs at the same bytes, through mappings, the kernel's pages, past them, and through partitions: what the one has written the
/// others see, and nobody's bytes are lost.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct CoherenceMountTests {
    /// An attached raw disk `v` of 16 MiB with one partition from sector 63 on, so that its pages are not those of the disk.
    private func check(_ script: String) throws {
        try withMount { mount in
            try mount.python(
                #"""
                import struct, threading
                with open('v', 'wb') as v:
                    v.truncate(16 << 20); v.seek(446)
                    v.write(struct.pack('<B3sB3sII', 0, b'\1\1\0', 0x83, b'\1\1\0', 63, (16 << 11) - 63) + bytes(48) + b'\x55\xaa')
                attach(f'{S}/v type=raw')
                DISK, PART = A + '/v/disk', A + '/v/p1'
                def beside(body):
                    # Another process, as it shares no lock of Python's with this one; it ends with this one.
                    here, child = os.getpid(), os.fork()
                    if child == 0:
                        try: body(lambda: os.getppid() == here)
                        finally: os._exit(0)
                    return child
                def end(child): os.kill(child, signal.SIGKILL); os.waitpid(child, 0)

                """# + script,
                timeout: .seconds(120)
            )
        }
    }

    /// Who can't read writes past the kernel's pages. Others see it at once, and lose nothing of what they have stored through a mapping.
    @Test func whoOnlyWritesIsSeenByThoseWhoRead() throws {
        try withMount { mount in
            try mount.makeVHDX("a.vhdx")
            try mount.python(
                """
                attach(f'{S}/a.vhdx')
                w = os.open(A + '/a/disk', os.O_WRONLY)
                f = os.open(A + '/a/disk', os.O_RDWR)
                r = os.open(A + '/a/disk', os.O_RDONLY)
                m = mmap.mmap(f, 0)
                n = mmap.mmap(r, 0, prot=mmap.PROT_READ)
                assert len(os.pread(r, 1 << 20, 0)) == 1 << 20
                for page in range(0, 100):
                    at = page * 4096
                    m[at:at + 4] = b'mine'
                    assert os.pwrite(w, b'yours', at + 100) == 5
                    assert m[at:at + 4] == n[at:at + 4] == os.pread(r, 4, at) == b'mine'
                    assert m[at + 100:at + 105] == n[at + 100:at + 105] == os.pread(r, 5, at + 100) == b'yours'
                # More than a request holds, from the middle of a page on.
                large = os.urandom(3 << 20)
                assert os.pwrite(w, large, 500001) == len(large)
                assert n[500001:500001 + len(large)] == large
                m.close(); n.close()
                for each in (f, r, w): os.close(each)
                for _ in range(500):
                    if ctl('detach a') == 0: break
                    time.sleep(0.02)
                attach(f'{S}/a.vhdx readonly')
                d = open(A + '/a/disk', 'rb').read()
                assert all(d[p * 4096:p * 4096 + 4] == b'mine' and d[p * 4096 + 100:p * 4096 + 105] == b'yours' for p in range(100))
                assert d[500001:500001 + len(large)] == large
                """
            )
        }
    }

    /// A mapping that is stored to all the time, and one who opened for writing only, in other bytes of the same page.
    @Test func storesThroughAMappingDoNotUndoWrites() throws {
        try check(
            #"""
            f = os.open(DISK, os.O_RDWR)
            def store(goes):
                m = mmap.mmap(f, 1 << 20); k = 0
                while goes(): k += 1; m[0:8] = struct.pack('Q', k); time.sleep(50e-6)
            child = beside(store)
            w, r = os.open(DISK, os.O_WRONLY), os.open(DISK, os.O_RDONLY)
            end_at = time.monotonic() + 3
            k = 0
            while time.monotonic() < end_at or k < 500:
                k += 1
                assert os.pwrite(w, struct.pack('Q', k), 2048) == 8
                found = struct.unpack('Q', os.pread(r, 8, 2048))[0]
                assert found == k, (found, k)
            end(child)
            """#
        )
    }

    /// `io_submit` past the pages (QEMU's aio=native), and one who reads through them.
    @Test func asynchronousDirectWritesAreSeen() throws {
        try check(
            #"""
            import ctypes, platform
            call = ctypes.CDLL(None, use_errno=True).syscall
            setup, submit, getevents = (206, 209, 208) if platform.machine() == 'x86_64' else (0, 2, 4)
            r = os.open(DISK, os.O_RDONLY)
            def read(goes):
                while goes(): os.pread(r, 4096, 8192)
            child = beside(read)
            w = os.open(DISK, os.O_RDWR | os.O_DIRECT)
            context = ctypes.c_ulong(0)
            assert call(setup, 4, ctypes.byref(context)) == 0
            memory = mmap.mmap(-1, 4096); address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
            block = ctypes.create_string_buffer(struct.pack('=QIIHhIQQqQII', 1, 0, 0, 1, 0, w, address, 4096, 8192, 0, 0, 0))
            pointer, event = ctypes.c_void_p(ctypes.addressof(block)), ctypes.create_string_buffer(32)
            for k in range(3000):
                memory[:] = struct.pack('Q', k) * 512
                assert call(submit, context, 1, ctypes.byref(pointer)) == 1
                assert call(getevents, context, 1, 1, event, None) == 1
                assert struct.unpack_from('qqqq', event)[2] == 4096
                found = struct.unpack('Q', os.pread(r, 4096, 8192)[:8])[0]
                assert found == k, (found, k)
            end(child)
            """#
        )
    }

    /// What the host had no room for is not shown as if it were on the disk.
    @Test func whatAMappingCouldNotStoreIsNotShown() throws {
        try withMount { mount in
            try mount.python(
                #"""
                subprocess.check_call('qemu-img create -q -f vpc -o force_size=on a.vhd 8M', shell=True)
                attach(f'{S}/a.vhd')
                f = os.open(A + '/a/disk', os.O_RDWR)
                os.pwrite(f, b'there' * 1000, 0)
                m = mmap.mmap(f, 8 << 20)
                subprocess.check_call(['prlimit', '--pid', os.environ['PID'], f'--fsize={os.stat("a.vhd").st_size}:'])
                m[4 << 20:(4 << 20) + 300000] = b'm' * 300000
                fails(errno.ENOSPC, m.flush)
                def shown():
                    g = os.open(A + '/a/disk', os.O_RDONLY)
                    try: return os.pread(g, 300000, 4 << 20)
                    finally: os.close(g)
                for _ in range(500):
                    if shown() == bytes(300000): break
                    time.sleep(0.01)
                assert shown() == bytes(300000) == bytes(m[4 << 20:(4 << 20) + 300000])
                assert os.pread(f, 5000, 0) == b'there' * 1000
                subprocess.check_call(['prlimit', '--pid', os.environ['PID'], '--fsize=unlimited:'])
                m[4 << 20:(4 << 20) + 5] = b'again'; m.flush(); m.close(); os.close(f)
                assert shown()[:5] == b'again'
                """#
            )
        }
    }

    /// Dirty pages of a mapping, or two who write into one page of both files: each waits for the other, so one must be let go at once.
    @Test(arguments: ["mapping", "two writers"])
    func nobodyWaitsForHimself(_ scene: String) throws {
        try check(
            "SCENE = '\(scene)'\n" + #"""
                p, f = os.open(PART, os.O_RDWR), os.open(DISK, os.O_RDWR)
                # Sector 64 of the disk is sector 1 of the partition, and both are in one page of each.
                os.pread(p, 4096, 0); os.pread(f, 4096, 32768)
                def other(goes):
                    k = 0
                    if SCENE == 'mapping':
                        m = mmap.mmap(f, 1 << 20)
                        while goes(): k += 1; m[33000:33008] = struct.pack('Q', k); time.sleep(50e-6)
                    else:
                        while goes(): k += 1; os.pwrite(f, struct.pack('Q', k), 33000)
                child = beside(other)
                start = time.monotonic()
                for k in range(40):
                    assert os.pwrite(p, struct.pack('Q', k) * 64, 1024) == 512
                    if SCENE == 'mapping': os.fsync(f)
                took = time.monotonic() - start
                end(child)
                # If each waited for its patience to end, a second each.
                assert took < 20, took
                """#
        )
    }
}
