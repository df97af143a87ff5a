/// Pieces of scripts that make trees of files and compare them.
enum VolumeScripts {
    /// `maketree FOLDER [plain]`: names of all kinds, sizes of all kinds, deep folders; links, devices and modes unless `plain`.
    /// `sums FOLDER`: the hash of every regular file. `facts FOLDER FORMAT`: a line for each object, as `find -printf` writes it.
    static let tree = #"""
        maketree() {
            python3 - "$@" <<'END'
        import os, random, sys
        root, plain = sys.argv[1], len(sys.argv) > 2
        random.seed(7)
        os.makedirs(root, exist_ok=True)
        os.chdir(root)
        def write(path, data):
            with open(path, 'wb') as f: f.write(data)
        for folder in ['Windows/System32/config', 'many', 'empty folder', '/'.join('d%d' % i for i in range(14))]:
            os.makedirs(folder, exist_ok=True)
        write('Windows/System32/config/SYSTEM', random.randbytes(300000))
        write('empty', b'')
        write('/'.join('d%d' % i for i in range(14)) + '/bottom', b'deep')
        for name in ['длинное имя', '漢字ファイル', 'emoji 😀', 'a' * 100, 'two  blanks', "quo'te", 'x.tar.gz']:
            write(name, name.encode() * 100)
        for i in range(1500): write('many/file number %d.txt' % i, str(i).encode() * (i % 60))
        write('big', random.randbytes(5 << 20))
        if not plain:
            with open('sparse', 'wb') as f:
                f.seek(40 << 20)
                f.write(b'end')
            os.link('big', 'hard link')
            os.symlink('Windows/System32', 'link')
            os.symlink('/Windows/System32/config', 'Windows/absolute')
            os.symlink('../../../../../../etc', 'Windows/System32/out')
            os.mkfifo('fifo')
            os.mknod('device', 0o020640, os.makedev(4, 300))
            os.chmod('empty', 0o4755)
            os.chmod('Windows/System32/config/SYSTEM', 0o600)
            os.chown('x.tar.gz', 1234, 70000)
        for i, (folder, _, files) in enumerate(os.walk('.', topdown=False)):
            for name in files:
                path = os.path.join(folder, name)
                os.utime(path, ns=(10**18 + i * 2 * 10**9, 1234567890123456789 + i * 10**9), follow_symlinks=False)
        END
        }
        sums() { (cd "$1" && find . -name 'lost+found' -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum); }
        facts() { (cd "$1" && find . -mindepth 1 -name 'lost+found' -prune -o -mindepth 1 -printf "$2\n" | LC_ALL=C sort); }

        """#
}
