# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Stores: every object has the bytes that its name says, whatever happens while it is written."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import refimage  # noqa: E402
from programs import output, program, run  # noqa: E402

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason='not root')

# One of each way that contents take: inline, in a batch, whole, in pieces.
CONTENTS = {'inline': b'x' * 64, 'small': b'y' * 65, 'block': bytes(4096), 'batch': b'z' * 100000,
            'whole': b'w' * 1000000, 'large': bytes(range(256)) * 30000}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'tree').mkdir()
    for name, content in CONTENTS.items():
        (tmp_path / 'tree' / name).write_bytes(content)
    return tmp_path


def build(folder, *options, store='store'):
    return run('cairn', 'build', '--json', 'tree', '-o', 'image', '--store', store, *options, cwd=folder)


def objects_of(store):
    """{digest: path}; anything that is not an object fails."""
    found = {}
    top = os.path.join(store, 'objects') if os.path.isdir(os.path.join(store, 'objects')) else store
    for prefix in os.listdir(top):
        assert len(prefix) == 2, f'{top}/{prefix}'
        for rest in os.listdir(os.path.join(top, prefix)):
            found[prefix + rest] = os.path.join(top, prefix, rest)
    return found


def check(store, expected=None):
    """Every object has its digest."""
    found = objects_of(store)
    for digest, path in found.items():
        with open(path, 'rb') as f:
            assert refimage.fsverity(f.read()) == digest
        assert os.stat(path).st_mode == 0o100644
    if expected is not None:
        assert set(found) == expected


EXPECTED = {refimage.fsverity(c) for n, c in CONTENTS.items() if n != 'inline'}


def test_build(folder):
    assert b'"new_objects":5,' in build(folder).stdout
    check(folder / 'store', EXPECTED)
    before = {p: os.stat(p) for p in objects_of(folder / 'store').values()}

    # Nothing is touched the second time, what is missing is added.
    assert b'"new_objects":0,"new_bytes":0,' in build(folder).stdout
    assert {p: os.stat(p).st_ino for p in before} == {p: st.st_ino for p, st in before.items()}
    assert {p: os.stat(p).st_mtime_ns for p in before} == {p: st.st_mtime_ns for p, st in before.items()}
    os.unlink(next(iter(before)))
    assert b'"new_objects":1,' in build(folder).stdout
    check(folder / 'store', EXPECTED)


def test_sparse(folder):
    with open(folder / 'tree' / 'sparse', 'wb') as f:
        f.seek(50 << 20)
        f.write(b'end')
        f.truncate((60 << 20) + 5)
    assert build(folder).returncode == 0
    with open(folder / 'tree' / 'sparse', 'rb') as f:
        digest = refimage.fsverity(f.read())
    check(folder / 'store', EXPECTED | {digest})
    st = os.stat(objects_of(folder / 'store')[digest])
    assert st.st_size == (60 << 20) + 5
    assert st.st_blocks * 512 < 4 << 20


def test_cut_short(folder):
    """What a power cut may leave is put right."""
    build(folder)
    paths = sorted(objects_of(folder / 'store').values(), key=os.path.getsize)
    for path, size in zip(paths, (0, 100, 5000, 999999, 0)):
        os.chmod(path, 0o644)
        os.truncate(path, size)
    assert b'"new_objects":5,' in build(folder, '--no-cache').stdout
    check(folder / 'store', EXPECTED)


def test_bare(folder):
    (folder / 'store').mkdir()
    for i in range(256):
        (folder / 'store' / f'{i:02x}').mkdir()
    assert b'"new_objects":5,' in build(folder).stdout
    check(folder / 'store', EXPECTED)


def test_not_a_store(folder):
    (folder / 'store').mkdir()
    (folder / 'store' / 'precious').touch()
    done = build(folder)
    assert done.returncode == 2
    assert done.stderr == b'cairn: build: store: neither a repository nor a directory of objects\n'
    assert os.listdir(folder / 'store') == ['precious']


def test_inside_its_source(folder):
    done = build(folder, store='tree/store')
    assert done.returncode != 0
    assert done.stderr.startswith(b'cairn: build: tree/store/objects: the store cannot be part of the '
                                  b'directory that fills it\n')
    assert not os.path.exists(folder / 'image')


def test_two_at_once(folder):
    """They write the same objects into one store."""
    for i in range(300):
        (folder / 'tree' / f'{i}').write_bytes(b'%d' % i * 3000)
    command = [program('cairn'), 'build', '-q', 'tree', '--store', 'store', '-o']
    runs = [subprocess.Popen([*command, f'image{i}'], cwd=folder, stdout=subprocess.DEVNULL)
            for i in range(4)]
    assert [p.wait() for p in runs] == [0] * 4
    check(folder / 'store')
    assert len(objects_of(folder / 'store')) == 305


# --- failures -------------------------------------------------------------------------------------

@pytest.fixture
def mounted(folder):
    """A function that mounts something small at folder/fs; unmounted at the end."""
    (folder / 'fs').mkdir()

    def mount(*args):
        if os.geteuid() or subprocess.run(['mount', *args, folder / 'fs'], check=False,
                                          stderr=subprocess.DEVNULL).returncode:
            pytest.skip('cannot mount')

    yield mount
    subprocess.run(['umount', '-l', folder / 'fs'], check=False, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize('jobs', ['1', '2'])
def test_full_disk(folder, mounted, jobs):
    """It is full on the way: for all that sizes tell, these could be one content."""
    shutil.rmtree(folder / 'tree')
    (folder / 'tree').mkdir()
    for i in range(20):
        (folder / 'tree' / f'{i}').write_bytes(b'%02d' % i * 250000)
    mounted('-t', 'tmpfs', '-o', 'size=3m', 'none')
    done = build(folder, '-j', jobs, store='fs/store')
    assert done.returncode == 1
    said = done.stderr.decode()
    assert said.startswith('cairn: build: tree/') and said.endswith(': No space left on device\n')
    assert said.count('\n') == 1
    check(folder / 'fs' / 'store')
    assert not os.path.exists(folder / 'image')


def test_read_only(folder, mounted):
    mounted('-t', 'tmpfs', 'none')
    assert build(folder, store='fs/store').returncode == 0
    os.unlink(folder / 'image')
    subprocess.run(['mount', '-o', 'remount,ro', folder / 'fs'], check=True)
    done = build(folder, store='fs/store')
    assert done.returncode == 1
    assert done.stderr == b'cairn: build: write to fs/store/objects: Read-only file system\n'
    assert not os.path.exists(folder / 'image')


@needs_root
def test_not_permitted():
    """A repository's directory keeps others out; a bare one is for all to read."""
    with tempfile.TemporaryDirectory(prefix='cairn-test.', dir='/var/tmp') as folder:
        os.chmod(folder, 0o777)
        os.makedirs(folder + '/tree/deep')
        os.makedirs(folder + '/bare/00')
        shutil.copy(program('cairn'), folder + '/cairn')
        assert build(folder).returncode == 0
        os.unlink(folder + '/image')
        for store, sentence in (('store', b'open store'), ('bare', b'write to bare')):
            done = subprocess.run(['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups',
                                   './cairn', 'build', '-q', 'tree', '-o', 'image', '--store', store],
                                  cwd=folder, capture_output=True, check=False)
            assert (done.returncode, done.stdout) == (1, b'')
            assert done.stderr == b'cairn: build: ' + sentence + b': Permission denied\n'
            assert not os.path.exists(folder + '/image')


@pytest.mark.parametrize('how', [signal.SIGINT, signal.SIGKILL])
def test_interrupted(folder, how):
    """At any moment: what is there is right, and the next run finishes it."""
    rng = random.Random(int(how))
    for i in range(800):
        (folder / 'tree' / f'{i}').write_bytes(b'%d' % i * rng.choice([20, 1000, 20000]))
    start = time.monotonic()
    build(folder)
    seconds = time.monotonic() - start
    expected = set(objects_of(folder / 'store'))
    whole = (folder / 'image').read_bytes()

    for _ in range(6):
        if os.path.isdir(folder / 'store'):  # it is not when the last one died at once
            shutil.rmtree(folder / 'store')
        (folder / 'image').unlink(missing_ok=True)
        p = subprocess.Popen([program('cairn'), 'build', '-q', 'tree', '-o', 'image', '--store', 'store'],
                             cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(rng.random() * seconds)
        p.send_signal(how)
        p.communicate()
        if os.path.isdir(folder / 'store' / 'objects'):
            check(folder / 'store')
        # One that comes at the very end finds the image there.
        if not p.returncode or os.path.exists(folder / 'image'):
            assert (folder / 'image').read_bytes() == whole
            check(folder / 'store', expected)
    build(folder)
    check(folder / 'store', expected)


def test_made_by_several_at_once(tmp_path):
    """Whoever comes while a store is being made uses it."""
    (tmp_path / 'tree').mkdir()
    (tmp_path / 'tree' / 'file').write_bytes(b'x' * 300)
    command = [program('cairn'), 'build', '-q', 'tree', '--name', 'a', '--store', 'store']
    for _ in range(25):
        runs = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                for _ in range(4)]
        said = [p.communicate()[1] for p in runs]
        assert [p.returncode for p in runs] == [0] * 4, said
        shutil.rmtree(tmp_path / 'store')


# --- file systems ---------------------------------------------------------------------------------

def make_fs(folder, maker, size):
    if not shutil.which(maker[0], path=os.environ['PATH'] + ':/usr/sbin:/sbin'):
        pytest.skip('no ' + maker[0])
    with open(folder / 'disk', 'wb') as f:
        f.truncate(size)
    subprocess.run([*maker, folder / 'disk'], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


@pytest.mark.parametrize('maker', [['mkfs.xfs', '-f', '-q'], ['mkfs.btrfs', '-f', '-q']])
def test_reflink(folder, mounted, maker):
    """Blocks are shared where the file system can, and the bytes are right."""
    make_fs(folder, maker, 512 << 20)
    mounted('-o', 'loop', folder / 'disk')
    shutil.move(folder / 'tree', folder / 'fs' / 'tree')
    done = run('cairn', 'build', '--json', 'fs/tree', '-o', 'image', '--store', 'fs/store', cwd=folder)
    assert (done.returncode, done.stderr) == (0, b'')
    assert b'"new_objects":5,' in done.stdout and b'"reflinked":3,' in done.stdout
    check(folder / 'fs' / 'store', EXPECTED)


def test_no_unnamed_files(folder, mounted):
    """A file system without O_TMPFILE and without hard links."""
    make_fs(folder, ['mkfs.vfat'], 64 << 20)
    mounted('-o', 'loop', folder / 'disk')
    assert b'"new_objects":5,' in build(folder, store='fs/store').stdout
    assert b'"new_objects":0,' in build(folder, store='fs/store').stdout
    assert set(objects_of(folder / 'fs' / 'store')) == EXPECTED
