# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Directories that resist: unreadable, changing, deep, on other file systems. `cairn build` and `digest`."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from programs import output, program, run  # noqa: E402

NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason='not root')


def lines_of(image, prefix=''):
    """{path: fields} of an image's dump."""
    text = output('cairn', 'dump', image).decode()
    rows = (line.split(' ') for line in text.splitlines())
    return {row[0]: row for row in rows if row[0].startswith(prefix)}


def build(folder, *options):
    output('cairn', 'build', '-q', folder / 'tree', '-o', folder / 'image', *options)
    return lines_of(folder / 'image')


def fails(folder, sentence, *options, nobody=False):
    """One sentence, status 1, and no image."""
    args = [*(NOBODY + ['./cairn'] if nobody else [program('cairn')]), 'build', '-q', 'tree', '-o', 'image', *options]
    done = subprocess.run(args, cwd=folder, capture_output=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (1, b''), done
    assert done.stderr.decode() == f'cairn: build: {sentence}\n'
    assert not os.path.exists(folder / 'image')


@pytest.fixture
def public():
    """A folder where nobody may work, too, with the program in it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix='cairn-test.', dir='/var/tmp'))
    os.chmod(folder, 0o777)
    (folder / 'tree').mkdir()
    shutil.copy(program('cairn'), folder / 'cairn')
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'tree').mkdir()
    return tmp_path


def test_threads(folder):
    """The image does not depend on them."""
    for i in range(40):
        (folder / 'tree' / f'd{i}').mkdir()
        for k in range(i * i):
            (folder / 'tree' / f'd{i}' / f'{k * 7919 % 10007}').write_bytes(b'%d' % k * (k % 300))
    digests = {output('cairn', 'digest', '-j', jobs, folder / 'tree') for jobs in (1, 2, 3, 8, 33)}
    assert len(digests) == 1


def test_names(folder):
    for name in b'a\nb', b'\xff\xfe', b'tab\t', b' ', b'caf\xc3\xa9':
        with open(os.fsencode(folder) + b'/tree/' + name, 'wb') as f:
            f.write(name)
    rows = build(folder)
    assert {'/a\\nb', '/\\xff\\xfe', '/tab\\t', '/\\x20', '/caf\\xc3\\xa9'} <= set(rows)


@needs_root
def test_unreadable(public):
    folder = public
    """What fails first in path order is told, whatever the threads come to first."""
    for name in 'b', 'c', 'd':
        (folder / 'tree' / name).mkdir()
        for i in range(400):
            (folder / 'tree' / name / f'{i}').write_bytes(b'x')
    os.chmod(folder / 'tree' / 'd', 0)
    os.chmod(folder / 'tree' / 'c' / '7', 0)
    os.chmod(folder / 'tree' / 'c' / '31', 0)
    for jobs in 1, 2, 5:
        fails(folder, 'open tree/c/31: Permission denied', '-j', str(jobs), nobody=True)
    with open(os.fsencode(folder) + b'/tree/\x01bad\n', 'wb') as f:
        os.fchmod(f.fileno(), 0)
    fails(folder, 'open tree/\\x01bad\\x0a: Permission denied', nobody=True)


def test_link_as_source(folder):
    os.rmdir(folder / 'tree')
    os.symlink('elsewhere', folder / 'tree')
    (folder / 'elsewhere').mkdir()
    fails(folder, 'open tree: a symbolic link, which is not followed')


class Nuisance(threading.Thread):
    """Does something to the tree over and over until the end of the with block."""

    def __init__(self, action):
        super().__init__()
        self.action, self.done = action, threading.Event()

    def run(self):
        while not self.done.is_set():
            self.action()

    def __enter__(self):
        self.start()

    def __exit__(self, *error):
        self.done.set()
        self.join()


def meets(folder, sentence, *options):
    """The build fails with @sentence, at the latest at the hundredth time."""
    for _ in range(100):
        done = run('cairn', 'build', '-q', 'tree', '-o', 'image', *options, cwd=folder)
        if done.returncode:
            assert (done.returncode, done.stdout) == (1, b'')
            assert done.stderr.decode() == f'cairn: build: {sentence}\n'
            return
        os.unlink(folder / 'image')
    pytest.fail('never met a change')


@pytest.mark.parametrize('store', [False, True])
@pytest.mark.parametrize('size', [100000, 3000000, 20000000])
def test_changes(folder, size, store):
    path = folder / 'tree' / 'file'
    path.write_bytes(bytes(size))
    fd = os.open(path, os.O_WRONLY)
    where = iter(range(0, 1 << 60, 4096))
    with Nuisance(lambda: os.pwrite(fd, b'x', next(where) % size)):
        meets(folder, 'tree/file: changed while it was read', *(['--store', 'store'] if store else []))
    os.close(fd)


def test_shrinks_and_grows(folder):
    path = folder / 'tree' / 'file'
    path.write_bytes(bytes(9000000))

    def resize():
        os.truncate(path, 1000000)
        os.truncate(path, 9000000)

    with Nuisance(resize):
        meets(folder, 'tree/file: changed while it was read')


def test_new_names(folder):
    """A directory to which names are added while it is listed."""
    for i in range(5000):
        (folder / 'tree' / f'{i}').touch()
    where = iter(range(1 << 60))

    def rename():
        i = next(where)
        os.rename(folder / 'tree' / f'{i % 5000}', folder / 'tree' / f'{i % 5000}.new')
        os.rename(folder / 'tree' / f'{i % 5000}.new', folder / 'tree' / f'{i % 5000}')

    with Nuisance(rename):
        for _ in range(100):
            done = run('cairn', 'digest', '-q', 'tree', cwd=folder)
            if done.returncode:
                break
        said = done.stderr.decode()
        assert said.startswith('cairn: digest: ') and said.count('\n') == 1 and 'tree' in said


@needs_root
def test_mounted_below(folder):
    """Mounts are entered, or with -x not."""
    (folder / 'tree' / 'mnt').mkdir()
    (folder / 'tree' / 'mnt' / 'covered').touch()
    mnt = folder / 'tree' / 'mnt'
    if subprocess.run(['mount', '-t', 'tmpfs', 'none', mnt], check=False).returncode:
        pytest.skip('cannot mount')
    try:
        (mnt / 'inside').write_bytes(b'x' * 1000)
        assert '/mnt/inside' in build(folder)
        rows = build(folder, '-x')
        assert '/mnt' in rows and '/mnt/inside' not in rows and '/mnt/covered' not in rows
    finally:
        subprocess.run(['umount', mnt], check=True)


def test_pseudo_files(folder):
    """Files that say they are empty are, whatever reading them gives."""
    top = '/proc/sys/kernel/random'
    if not os.path.exists(top + '/uuid'):
        pytest.skip('no ' + top)
    output('cairn', 'build', '-q', top, '-o', folder / 'image')
    assert lines_of(folder / 'image')['/uuid'][1] == '0'


def test_deep(folder):
    """Deeper than a path can be long, with one descriptor after another."""
    if not os.access('/dev/shm', os.W_OK):
        pytest.skip('no memory file system')
    top = '/dev/shm/cairn-deep-%d' % os.getpid()
    os.mkdir(top)
    try:
        fd = os.open(top, os.O_RDONLY)
        for _ in range(5000):
            os.mkdir('d', dir_fd=fd)
            os.mkdir('e', dir_fd=fd)
            below = os.open('d', os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
        os.close(fd)
        limit = ['prlimit', '--nofile=100:100']
        digests = {subprocess.run([*limit, program('cairn'), 'digest', '-j', jobs, top], check=True,
                                  capture_output=True).stdout for jobs in ('1', '2')}
        assert len(digests) == 1
    finally:
        subprocess.run(['rm', '-rf', top], check=True)


def test_many_links(folder):
    """Each file is read once, whatever the number of its names: link counts and order are right."""
    for i in range(100):
        (folder / 'tree' / f'dir{i:02}').mkdir()
    (folder / 'tree' / 'zz').write_bytes(b'content' * 100)
    for i in range(99, -1, -1):
        os.link(folder / 'tree' / 'zz', folder / 'tree' / f'dir{i:02}' / 'name')
    rows = build(folder)
    assert rows['/dir00/name'][3] == '101'
    assert all(rows[f'/dir{i:02}/name'][8] == '/dir00/name' for i in range(1, 100))
    assert rows['/zz'][8] == '/dir00/name'
    said = output('cairn', 'build', folder / 'tree', '-o', folder / 'image', '--json').decode()
    assert '"files":1,"bytes":700,' in said


@needs_root
def test_no_room(folder):
    """What certainly has none is refused before anything is written; what may be there or be the same is not."""
    os.mkdir(folder / 'small')
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=4m', 'none', folder / 'small'], check=False).returncode:
        pytest.skip('cannot mount')
    try:
        store = ['--store', 'small/store']
        for i in range(5):
            (folder / 'tree' / f'{i}').write_bytes(b'%d' % i * 1000000 + b'.' * i)
        done = run('cairn', 'build', '-q', 'tree', '-n', 'x', *store, cwd=folder)
        assert done.stderr == b'cairn: build: small/store: needs 5 MiB more, and 3 MiB are free\n', done
        assert list((folder / 'small' / 'store').glob('objects/*')) == []
        os.unlink(folder / 'tree' / '3')
        os.unlink(folder / 'tree' / '4')
        for i in range(20):
            (folder / 'tree' / f'same{i}').write_bytes(b'1' * 1000000)
        output('cairn', 'build', '-q', 'tree', '-n', 'x', *store, cwd=folder)
        os.mkdir(folder / 'again')
        for i in range(3):
            shutil.copy(folder / 'tree' / f'{i}', folder / 'again')
        output('cairn', 'build', '-q', 'again', '-n', 'y', *store, cwd=folder)
    finally:
        subprocess.run(['umount', folder / 'small'], check=True)
