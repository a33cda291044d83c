# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""`cairn mount --backend fuse`: what it shows is what the kernel shows, and no wrong byte gets through."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import mounting  # noqa: E402
import refdump  # noqa: E402
import refimage  # noqa: E402
from programs import GOLDEN, output, program, run  # noqa: E402

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


def listing(path):
    """Everything that find(1) and getfattr(1) say of a tree, but for times of change and the root."""
    found = subprocess.run(
        ['find', '.', '-mindepth', '1', '-printf', r'%p %m %U %G %y %l %n %s %T@ %D\0'], cwd=path,
        capture_output=True, check=True).stdout.split(b'\0')
    attrs = subprocess.run(['getfattr', '-R', '-d', '-h', '-m', '-', '-e', 'hex', '.'], cwd=path,
                           capture_output=True, check=False).stdout
    # The device number differs between mounts, but must be one.
    assert len({line.rsplit(b' ', 1)[1] for line in found if line}) <= 1
    return sorted(line.rsplit(b' ', 1)[0] for line in found if line), sorted(attrs.split(b'\n\n'))


def compare(image, *stores):
    """The two mounts of an image show the same. Gives what they show."""
    os.makedirs('empty/objects', exist_ok=True)
    stores = stores or ['empty']
    options = [word for store in stores for word in ('-s', store)]
    bases = [os.path.join(store, 'objects') for store in stores]
    with mounting.Mount(image, 'kernel', bases=bases), Fuse(image, '--no-check', *options):
        kernel, fuse = listing('kernel'), listing('mnt')
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
    for i in range(3000):
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


def test_flags():
    mounting.write_image('image')
    mounting.write_store('store/objects')
    with Fuse('image', '-s', 'store', '-o', 'nosuid,nodev,noexec,noatime,statfs=image'):
        flags = next(line[5] for line in mounting.mountinfo() if line[4].endswith('/mnt')).split(',')
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
        kernel = listing('kernel')
    with Fuse('image', '-s', 'store', user=NOBODY):
        flags = next(line[5] for line in mounting.mountinfo() if line[4].endswith('/mnt')).split(',')
        assert {'ro', 'nosuid', 'nodev'} <= set(flags)
        script = 'import sys; sys.path[:0] = %r; import test_fuse; print(test_fuse.listing("mnt"))'
        done = subprocess.run([*NOBODY, sys.executable, '-c', script % [*sys.path[:1],
                               os.path.dirname(__file__)]], capture_output=True, check=True,
                              env={**os.environ, 'PYTHONDONTWRITEBYTECODE': '1'})
        names, attrs = eval(done.stdout)  # what the user sees
        assert names == kernel[0]
        untrusted = [b'\n'.join(line for line in part.split(b'\n') if not line.startswith(b'trusted.'))
                     for part in kernel[1]]
        assert [part for part in untrusted if b'=' in part] == [part for part in attrs if b'=' in part]
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


# --- the end -------------------------------------------------------------------------------------------

def mounted():
    return any(line[4].endswith('/mnt') for line in mounting.mountinfo())


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
