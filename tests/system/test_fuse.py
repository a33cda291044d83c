# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""`cairn mount --backend fuse`: what it shows is what the kernel shows, and no wrong byte gets through."""

import errno
import hashlib
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import mounting  # noqa: E402
import refdump  # noqa: E402
import refimage  # noqa: E402
from programs import BUILD, GOLDEN, SOURCE, output, program, run  # noqa: E402

NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder to work in, a mount namespace, and a /dev/fuse that everyone may open."""
    if os.geteuid() != 0:
        pytest.skip('not root')
    if not os.path.exists('/dev/fuse'):
        pytest.skip('no /dev/fuse')
    monkeypatch.chdir(tmp_path)
    for folder in tmp_path, *tmp_path.parents:
        if os.stat(folder).st_mode & 0o1001 == 0:  # ordinary users must get here, to our own folders
            os.chmod(folder, 0o711)
    shutil.copy(program('cairn'), 'cairn')
    mounting.private_namespace()
    os.mknod('fuse', 0o20666, os.makedev(10, 229))
    os.chmod('fuse', 0o666)
    subprocess.run(['mount', '--bind', 'fuse', '/dev/fuse'], check=True)
    for name in 'mnt', 'kernel':
        os.mkdir(name)
    yield tmp_path
    for name in 'mnt', 'kernel', '/dev/fuse':
        subprocess.run(['umount', '-l', name], check=False, stderr=subprocess.DEVNULL)


def mounted():
    """The flags of the mount on mnt; None: there is none."""
    target = os.path.realpath('mnt')
    return next((line[5].split(',') for line in mounting.mountinfo() if line[4] == target), None)


# What another user sees, printed.
LOOK = f'import sys; sys.path.insert(0, "{os.path.dirname(mounting.__file__)}")\nimport mounting as m\nprint(%s)'


class Fuse:
    """with Fuse('image', …) as row: … mounted on mnt; unmounted at the end."""

    def __init__(self, image='image', *options, user=(), target='mnt'):
        self.command = [*user, './cairn', 'mount', '--backend', 'fuse', '--json', image, target,
                        *options]
        self.user, self.target = user, target

    def __enter__(self):
        done = subprocess.run(self.command, capture_output=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, b''), done
        self.row = json.loads(done.stdout)
        return self.row

    def __exit__(self, *error):
        done = subprocess.run([*self.user, './cairn', 'umount', self.target],
                              capture_output=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, b''), done
        wait_for(lambda: not os.path.exists(f'/proc/{self.row["pid"]}'))


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'waited too long'
        time.sleep(0.01)


def compare(image, *stores):
    """The two mounts of an image show the same. Gives what they show."""
    os.makedirs('empty/objects', exist_ok=True)
    stores = stores or ['empty']
    options = [word for store in stores for word in ('-s', store)]
    bases = [os.path.join(store, 'objects') for store in stores]
    with mounting.Mount(image, 'kernel', bases=bases), Fuse(image, '--no-check', *options):
        kernel, fuse = mounting.listing('kernel'), mounting.listing('mnt')
        assert kernel == fuse
        assert os.stat('kernel').st_mode == os.stat('mnt').st_mode
        if stores != ['empty']:
            subprocess.run(['diff', '-r', '--no-dereference', '-x', 'fifo', '-x', 'device', 'kernel',
                            'mnt'], check=True)
    return fuse


def build(tree='tree', image='image', store='store'):
    output('cairn', 'build', '-q', tree, '-o', image, '--store', store)


# --- what it shows ------------------------------------------------------------------------------------

@pytest.mark.parametrize('version', (0, 1, 2))
def test_like_the_kernel(version):
    mounting.write_image('image', version, acl=version != 2)
    mounting.write_store('store/objects')
    names, attrs = compare('image', 'store')
    assert len(names) == 7 and any(b'user.root' in part for part in attrs)


@pytest.mark.parametrize('name', ('02-inline-one', '05-hardlink', '07-whiteout', '08-acl', '09-symlinks',
                                  '10-inline-sizes', '13-compact-extended', '15-devices', '16-dirs',
                                  '18-xattr-prefixes', '20-xattr-shared-limit', '21-overlay-escape',
                                  '23-root-hex-names', '25-names', '26-modes'))
def test_golden(name):
    with open(os.path.join(GOLDEN, name + '.dump'), 'rb') as f:
        image = refimage.write(refdump.parse(f.read()), 1)
    with open('image', 'wb') as f:
        f.write(image)
    compare('image')


def test_facts_of_a_directory_tree():
    os.mkdir('tree')
    for i in range(1500):
        with open(f'tree/name-{i:05}-{"x" * (i % 50)}', 'wb') as f:
            f.write(b'%d' % i * (i % 100))
    os.mkfifo('tree/fifo')
    os.mknod('tree/device', 0o20600, os.makedev(300, 70000))
    os.link('tree/name-00001-x', 'tree/link')
    os.setxattr('tree/fifo', 'trusted.t', b'1')
    build()
    compare('image', 'store')
    with Fuse('image', '-s', 'store'):
        assert os.stat('mnt/name-00001-x').st_ino == os.stat('mnt/link').st_ino
        assert os.stat('mnt/device').st_rdev == os.makedev(300, 70000)
        large = os.stat('mnt/name-00099-' + 'x' * 49)
        assert (large.st_blocks, large.st_blksize) == (8, 4096)
        assert not os.path.exists('mnt/00') and not os.path.exists('mnt/nothing')
        store, shown = os.statvfs('store'), os.statvfs('mnt')
        assert (shown.f_blocks, shown.f_frsize) == (store.f_blocks, store.f_frsize)
        # Not to be written, by anyone.
        with pytest.raises(OSError) as error:
            os.mkdir('mnt/new')
        assert error.value.errno == errno.EROFS


def test_sparse_file():
    os.mkdir('tree')
    with open('tree/sparse', 'wb') as f:
        f.write(b'begin')
        f.seek(3 << 20)
        f.write(b'middle')
        f.truncate(9 << 20)
    build()
    # The store may have written its zeros; a hole is one all the same.
    with open('tree/sparse', 'rb') as f:
        path = mounting.object_path('store/objects', f.read())
    subprocess.run(['fallocate', '--dig-holes', path], check=True)
    with Fuse('image', '-s', 'store'), open('mnt/sparse', 'rb') as f, open(path, 'rb') as o:
        for way in os.SEEK_DATA, os.SEEK_HOLE:
            for at in 0, 5, 4096, 5000, 1 << 20, 3 << 20, (3 << 20) + 5000:
                try:
                    expected = os.lseek(o.fileno(), at, way)
                except OSError as error:
                    expected = error.errno
                try:
                    found = os.lseek(f.fileno(), at, way)
                except OSError as error:
                    found = error.errno
                assert found == expected
        subprocess.run(['cmp', 'tree/sparse', 'mnt/sparse'], check=True)


def test_flags():
    mounting.write_image('image')
    mounting.write_store('store/objects')
    with Fuse('image', '-s', 'store', '-o', 'nosuid,nodev,noexec,noatime,statfs=image'):
        flags = mounted()
        assert {'ro', 'nosuid', 'nodev', 'noexec', 'noatime'} <= set(flags)
        with pytest.raises(PermissionError):
            subprocess.run(['mnt/sub/run'], check=False)
        assert os.statvfs('mnt').f_bavail == 0


def test_first_store_wins_and_basedir():
    mounting.write_image('image')
    mounting.write_store('second')
    os.makedirs('first/objects')
    with Fuse('image', '-s', 'first', '-o', f'basedir={os.getcwd()}/second'):
        mounting.check_tree('mnt')


# --- who mounts ----------------------------------------------------------------------------------------

def test_as_an_ordinary_user():
    mounting.write_image('image', 1, acl=True)
    mounting.write_store('store/objects')
    os.chown('mnt', 65534, 65534)
    with mounting.Mount('image', 'kernel', bases=['store/objects']):
        kernel = mounting.listing('kernel')
    with Fuse('image', '-s', 'store', user=NOBODY):
        flags = mounted()
        assert {'ro', 'nosuid', 'nodev'} <= set(flags)
        done = subprocess.run([*NOBODY, sys.executable, '-B', '-c', LOOK % 'm.listing("mnt")'],
                              capture_output=True, check=True)
        names, attrs = eval(done.stdout)  # what the user sees
        assert names == kernel[0]
        assert untrusted(attrs) == untrusted(kernel[1])
        # The machine's root has no business in it, as with every mount of a user.
        with pytest.raises(PermissionError):
            os.listdir('mnt')


def test_in_a_user_namespace():
    mounting.write_image('image')
    mounting.write_store('store/objects')
    script = './cairn mount --backend fuse image mnt -s store && cat mnt/big && ./cairn umount mnt'
    done = subprocess.run([*NOBODY, 'unshare', '-Urm', 'sh', '-c', script], capture_output=True,
                          check=False)
    assert (done.returncode, done.stdout) == (0, mounting.FILES['/big'])


def untrusted(attrs):
    """The output of getfattr without trusted.*, which are for the machine's root."""
    parts = (b'\n'.join(line for line in part.split(b'\n') if not line.startswith(b'trusted.'))
             for part in attrs)
    return [part for part in parts if b'=' in part]


@pytest.mark.skipif(mounting.KERNEL < (6, 16), reason='overlayfs with userxattr and data-only layers: 6.16')
@pytest.mark.parametrize('version', (0, 1, 2))
def test_metadata_below_overlayfs(version):
    """A user's own stack: names from FUSE, contents from the store by overlayfs."""
    extra = [r'/marked 3 100644 1 0 0 0 1.0 - abc - user.overlay.whiteout= user.overlay.x=1 '
             'trusted.overlay.y=2', '/gone 0 20644 1 0 0 0 1.0 - - -', '/sub/gone 0 20644 1 0 0 0 1.0 - - -']
    mounting.write_image('image', version, extra=extra if version == 1 else extra[:1])
    mounting.write_store('store/objects')
    shutil.copy(os.path.join(BUILD, 'tests', 'system', 'fusetool'), 'fusetool')
    os.mkdir('overlay')
    with mounting.Mount('image', 'kernel', bases=['store/objects']):
        kernel = mounting.listing('kernel')
        content = {name: mounting.facts('kernel' + name)['content'] for name in mounting.FILES}
    script = """
        ./fusetool -m -d image mnt store >ready & exec 2>&1
        until [ -s ready ]; do sleep 0.01; done
        mount -t overlay -o ro,userxattr,lowerdir=mnt::store/objects overlay overlay || exit 9
        head -c 1 mnt/big && exit 8
        %s -B -c '%s'
        umount overlay; umount mnt; wait"""
    subprocess.run(['chmod', '-R', 'a+rwX', '.'], check=True)
    look = LOOK % '(m.listing("overlay"), {n: m.facts("overlay" + n)["content"] for n in m.FILES})'
    with mounting.UserNamespace(0, 0) as namespace:
        done = subprocess.run(['nsenter', '--user=' + namespace, 'unshare', '-m', 'sh', '-c',
                               script % (sys.executable, look)], capture_output=True, check=False)
    assert done.returncode == 0 and b'Traceback' not in done.stdout, done
    (names, attrs), found = eval(done.stdout.split(b'\n')[-2])
    assert names == kernel[0] and found == content
    assert untrusted(attrs) == untrusted(kernel[1])


# --- the end -------------------------------------------------------------------------------------------

@pytest.mark.parametrize('number', (signal.SIGTERM, signal.SIGINT))
def test_foreground_ends_by_signal(number):
    mounting.write_image('image')
    mounting.write_store('store/objects')
    server = subprocess.Popen([program('cairn'), 'mount', '--backend', 'fuse', '-f', 'image', 'mnt',
                               '-s', 'store'])
    wait_for(mounted)
    mounting.check_tree('mnt')
    server.send_signal(number)
    assert server.wait(10) == 0
    assert not mounted()


def test_killed_server_leaves_no_dead_mount():
    mounting.write_image('image')
    mounting.write_store('store/objects')
    done = run('cairn', 'mount', '--backend', 'fuse', '--json', 'image', 'mnt', '-s', 'store')
    os.kill(json.loads(done.stdout)['pid'], signal.SIGKILL)
    wait_for(lambda: not mounted())


def test_lazy_unmount_serves_what_is_open():
    mounting.write_image('image')
    mounting.write_store('store/objects')
    done = run('cairn', 'mount', '--backend', 'fuse', '--json', 'image', 'mnt', '-s', 'store')
    with open('mnt/big', 'rb') as f:
        assert run('cairn', 'umount', 'mnt').returncode == 1
        assert run('cairn', 'umount', '-l', 'mnt').returncode == 0
        assert not mounted()
        assert f.read() == mounting.FILES['/big']
    pid = json.loads(done.stdout)['pid']
    wait_for(lambda: not os.path.exists(f'/proc/{pid}'))


def test_nothing_is_left_when_it_fails():
    mounting.write_image('image')
    mounting.write_store('store/objects')
    with open('image', 'r+b') as f:
        f.seek(1300)
        f.write(b'x')
    done = run('cairn', 'mount', '--backend', 'fuse', 'image', 'mnt', '-s', 'store')
    assert (done.returncode, done.stdout) == (3, b'') and b'cairn: mount: image: ' in done.stderr
    done = run('cairn', 'mount', '--backend', 'fuse', 'image', 'mnt', '-s', 'store', '-o', 'digest=' + 'ab' * 32)
    assert done.returncode == 3 and b'expected ' + b'ab' * 32 in done.stderr
    done = run('cairn', 'mount', '--backend', 'fuse', '/dev/null', 'mnt', '-s', 'store')
    assert done.returncode == 2 and b'regular file' in done.stderr
    done = run('cairn', 'mount', '--backend', 'fuse', 'image', 'none', '-s', 'store')
    assert done.returncode == 1
    assert not mounted()


# --- wrong bytes -----------------------------------------------------------------------------------------

def test_digest_of_the_image():
    digest = mounting.write_image('image')
    mounting.write_store('store/objects')
    with Fuse('image', '-s', 'store', '-o', 'digest=' + digest):
        mounting.check_tree('mnt')


def test_flipped_bytes():
    """A byte is flipped in an object, the file is read, the byte is put back: a thousand times."""
    rng = random.Random(1)
    os.mkdir('tree')
    sizes = [65, 4096, 4097, 100_000, 524_288, 524_289, 3_000_000]
    contents = {f'f{i}': rng.randbytes(size) for i, size in enumerate(sizes)}
    for name, data in contents.items():
        with open('tree/' + name, 'wb') as f:
            f.write(data)
    build()
    with Fuse('image', '-s', 'store'):
        for turn in range(1000):
            name = rng.choice(list(contents))
            data = contents[name]
            path = mounting.object_path('store/objects', data)
            at = rng.randrange(len(data))
            block = at // 4096 * 4096
            with open(path, 'r+b', buffering=0) as f:
                os.pwrite(f.fileno(), bytes([data[at] ^ 1 << rng.randrange(8)]), at)
            fd = os.open('mnt/' + name, os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
            with pytest.raises(OSError) as error:
                os.pread(fd, 1, at)
            assert error.value.errno == errno.EIO
            with open(path, 'r+b', buffering=0) as f:
                os.pwrite(f.fileno(), data[at:at + 1], at)
            # It was that block, and nothing is poisoned.
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            assert os.pread(fd, 4096, block) == data[block:block + 4096]
            os.close(fd)


def test_next_files_are_read_ahead():
    """Who reads one file behind the other gets the next without asking, each verified; a wrong one is an
    error when it is read, and told then."""
    rng = random.Random(2)
    os.makedirs('tree/sub')
    contents = {f'f{i:03}': rng.randbytes(rng.choice([20, 65, 5000, 70_000, 200_000])) for i in range(60)}
    contents.update({f'sub/g{i}': rng.randbytes(4000) for i in range(3)})
    for name, data in contents.items():
        with open('tree/' + name, 'wb') as f:
            f.write(data)
    build()
    path = mounting.object_path('store/objects', contents['f030'])
    with open(path, 'r+b') as f:
        f.write(b'wrong')
    with Fuse('image', '-s', 'store'):
        os.listdir('mnt')
        os.listdir('mnt/sub')
        for name, data in contents.items():
            with open('mnt/' + name, 'rb') as f:
                if name == 'f030':
                    with pytest.raises(OSError, match='Input/output error'):
                        f.read()
                else:
                    assert f.read() == data, name
    # What was stored is there without its object.
    with Fuse('image', '-s', 'store'):
        os.listdir('mnt')
        small = [name for name, data in contents.items() if 64 < len(data) < 100_000 and name < 'f030']
        for name in small[:3]:
            with open('mnt/' + name, 'rb') as f:
                f.read()
        os.unlink(mounting.object_path('store/objects', contents[small[3]]))
        with open('mnt/' + small[3], 'rb') as f:
            assert f.read() == contents[small[3]]


def test_other_blocks_of_a_bad_object_and_the_log():
    data = random.Random(2).randbytes(2_000_000)
    os.mkdir('tree')
    with open('tree/file', 'wb') as f:
        f.write(data)
    build()
    path = mounting.object_path('store/objects', data)
    with open('log', 'wb') as log:
        server = subprocess.Popen([program('cairn'), 'mount', '--backend', 'fuse', '-f', 'image', 'mnt',
                                   '-s', 'store'], stderr=log)
    wait_for(mounted)
    with open('mnt/file', 'rb', buffering=0) as f:
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        f.read(1)  # now its tree is known
        with open(path, 'r+b') as o:
            o.seek(1_000_000)
            o.write(b'?')
        for _ in range(3):
            with pytest.raises(OSError):
                os.pread(f.fileno(), 10, 1_000_000)
        for at in 0, 1_000_000 // 4096 * 4096 - 1, 1_000_000 // 4096 * 4096 + 4096, 1_999_999:
            assert os.pread(f.fileno(), 1, at) == data[at:at + 1]
    server.terminate()
    assert server.wait(10) == 0
    with open('log', encoding='utf-8') as log:
        lines = log.readlines()
    name = os.path.relpath(path, 'store/objects')
    assert lines == [f'cairn: mount: /file: object {name}: block 244 is not what its digest says\n']


def test_objects_that_are_not_there():
    mounting.write_image('image')
    mounting.write_store('store/objects')
    big = mounting.object_path('store/objects', mounting.FILES['/big'])
    os.unlink(big)
    with Fuse('image', '-s', 'store'):
        with pytest.raises(OSError) as error, open('mnt/big', 'rb') as f:
            f.read()
        assert error.value.errno == errno.EIO
        # Found when it is there again; a link to it is not it.
        os.symlink('/etc/passwd', big)
        with pytest.raises(OSError), open('mnt/big', 'rb') as f:
            f.read()
        os.unlink(big)
        mounting.write_store('store/objects')
        mounting.check_tree('mnt')


def test_without_a_digest():
    text = '/ 0 40755 2 0 0 0 1.0 - - -\n/file 5 100644 1 0 0 0 1.0 some/where - -\n'
    with open('image', 'wb') as f:
        f.write(refimage.write(refdump.parse(text.encode()), 0))
    os.makedirs('store/objects/some')
    with open('store/objects/some/where', 'w', encoding='ascii') as f:
        f.write('12345')
    with Fuse('image', '-s', 'store'):
        with pytest.raises(OSError) as error, open('mnt/file', 'rb') as f:
            f.read()
        assert error.value.errno == errno.EIO
    with Fuse('image', '-s', 'store', '-o', 'noverity') as row:
        assert row['state'] == 'unverified'
        with open('mnt/file', 'rb') as f:
            assert f.read() == b'12345'


def test_tree_of_a_large_object_is_kept():
    """Beside the store, as fsverity(1) has it; a second server finds it, and so reads what is right of an
    object that is wrong."""
    data = random.Random(3).randbytes(4096) * 2000 + b'end'
    os.mkdir('tree')
    with open('tree/file', 'wb') as f:
        f.write(data)
    build()
    path = mounting.object_path('store/objects', data)
    with Fuse('image', '-s', 'store'), open('mnt/file', 'rb') as f:
        assert f.read() == data
    kept, = os.listdir('store/cairn/trees')
    assert kept == path[-65:].replace('/', '')
    subprocess.run(['fsverity', 'digest', '--out-merkle-tree=expected', path], check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run(['cmp', 'expected', 'store/cairn/trees/' + kept], check=True)
    with open(path, 'r+b') as f:
        f.seek(4_000_000)
        f.write(b'?')
    with Fuse('image', '-s', 'store'):
        assert readable('mnt/file', 0) and readable('mnt/file', 8_000_000)
        assert not readable('mnt/file', 4_000_000)


def zeros_tree(size):
    """Digest and Merkle tree of that many zeros, at least 512 KiB and a power of two."""
    digest, count, tree = hashlib.sha256(bytes(4096)).digest(), size // 4096, b''
    while count > 1:
        hashes = digest * count
        hashes += bytes(-len(hashes) % 4096)
        digest, count, tree = hashlib.sha256(hashes[:4096]).digest(), len(hashes) // 4096, hashes + tree
    return hashlib.sha256(struct.pack('<BBBB4xQ64s32s144x', 1, 1, 12, 0, size, digest, b'')).hexdigest(), tree


def test_a_block_of_a_huge_object():
    """What is read of 4 GiB for a block of it: the upper levels, a block of leaves, the block."""
    size = 4 << 30
    digest, tree = zeros_tree(size)
    for path, data in (f'store/objects/{digest[:2]}/{digest[2:]}', None), (f'store/cairn/trees/{digest}', tree):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f:
            f.truncate(size) if data is None else f.write(data)
    text = f'/ 0 40755 2 0 0 0 1.0 - - -\n/huge {size} 100644 1 0 0 0 1.0 {digest[:2]}/{digest[2:]} - {digest}\n'
    assert run('cairn', 'build', '-q', '-', '-o', 'image', stdin=text.encode()).returncode == 0
    with Fuse('image', '-s', 'store') as row:
        def has_read():
            with open(f'/proc/{row["pid"]}/io', encoding='ascii') as f:
                return int(f.readline().split()[1])

        before = has_read()
        assert readable('mnt/huge', 3 << 30)
        assert has_read() - before < len(tree) // 128 + (100 << 10)
        before = has_read()
        for at in 0, 1 << 30, size - 1:
            assert readable('mnt/huge', at)
        assert has_read() - before < 100 << 10
        with open(path, 'r+b') as f:
            f.seek(len(tree) - 5)
            f.write(b'wrong')
        assert readable('mnt/huge', size - 9000)


def readable(path, at):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        os.pread(fd, 1, at)
        return True
    except OSError as error:
        assert error.errno == errno.EIO
        return False
    finally:
        os.close(fd)


# --- hostile images -------------------------------------------------------------------------------------

def walk(path, left):
    """Looks at everything, as far as it can be looked at, but not for ever: there may be loops."""
    waiting = [path]
    while waiting and left:
        directory = waiting.pop()
        try:
            names = os.listdir(directory)
        except OSError:
            continue
        for name in names[:left]:
            left -= 1
            full = os.path.join(directory, name)
            try:
                st = os.lstat(full)
                for attr in os.listxattr(full, follow_symlinks=False):
                    os.getxattr(full, attr, follow_symlinks=False)
                if os.path.islink(full):
                    os.readlink(full)
                elif os.path.isdir(full):
                    waiting.append(full)
                elif st.st_mode & 0o170000 == 0o100000:
                    with open(full, 'rb') as f:
                        f.read(1 << 16)
            except OSError:
                pass


def test_hostile_images():
    corpus = os.path.join(SOURCE, 'tests', 'fuzz', 'corpus', 'image')
    images = [open(os.path.join(corpus, name), 'rb').read() for name in sorted(os.listdir(corpus))]
    rng = random.Random(4)
    os.makedirs('store/objects/aa')
    mounted_ones = 0
    for turn in range(60):
        image = bytearray(images[turn % len(images)])
        for _ in range(rng.choice((0, 1, 4, 30))):
            at = rng.randrange(1024 if rng.random() < 0.1 else 1152, len(image))
            image[at] = rng.choice((0, 1, 0x7f, 0xff, rng.randrange(256)))
        with open('image', 'wb') as f:
            f.write(image)
        server = subprocess.Popen([program('cairn'), 'mount', '--backend', 'fuse', '-f', '--json', '--no-check',
                                   'image', 'mnt', '-s', 'store'], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
        if server.stdout.readline():
            mounted_ones += 1
            walk('mnt', 400)
            os.statvfs('mnt')  # it still answers
            server.terminate()
        assert server.wait(20) in (0, 1, 3, 4)
        server.stdout.close()
    assert mounted_ones > 30


def test_objects_outside_the_store():
    """Whatever a redirect says, only what is below the store is opened."""
    os.makedirs('store/objects/aa')
    with open('secret', 'w', encoding='ascii') as f:
        f.write('secret')
    os.symlink('../../../secret', 'store/objects/aa/link')
    os.symlink('../..', 'store/objects/up')
    digest = refimage.fsverity(b'secret')
    paths = ['../../secret', '../../../secret', f'/{os.getcwd()}/secret'.replace('//', '/'), 'aa/link',
             'up/secret', 'aa/../../../secret', 'aa/./../../../secret', '.', 'aa']
    text = '/ 0 40755 2 0 0 0 1.0 - - -\n' + ''.join(
        f'/f{i} 6 100644 1 0 0 0 1.0 {path} - {digest}\n' for i, path in enumerate(paths))
    with open('image', 'wb') as f:
        f.write(refimage.write(refdump.parse(text.encode()), 0))
    for options in [], ['-o', 'noverity']:
        with Fuse('image', '-s', 'store', *options):
            for i in range(len(paths)):
                assert not readable(f'mnt/f{i}', 0)
