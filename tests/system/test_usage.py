# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""What `du` calls reclaimable is what `gc` frees, whoever needs the rest: names, mounts, roots, processes at work, children."""

import json
import os
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from faults import Faults  # noqa: E402
from programs import program, run  # noqa: E402

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason='not root')


def cairn(folder, *args, status=0):
    done = run('cairn', *args, cwd=folder)
    assert done.returncode == status, done
    return done.stdout.decode() if status == 0 else done.stderr.decode()


def du(folder, store, *options):
    return [json.loads(line) for line in cairn(folder, 'du', '-q', '--json', '--store', store, *options).splitlines()]


def same(folder, store, *options):
    """Asks both, collects, and tells what was freed."""
    said = du(folder, store, *options)[-1]
    freed = json.loads(cairn(folder, 'gc', '-q', '--json', '--store', store, *options))
    assert (said['reclaimable'], said['reclaimable_disk']) == (freed['size'], freed['bytes'])
    assert du(folder, store, *options)[-1]['reclaimable'] == 0
    return freed['size']


def tree(folder, name, *numbers):
    os.mkdir(folder / name)
    for n in numbers:
        (folder / name / str(n)).write_bytes(b'%d ' % n * 3000)


def size(*numbers):
    return sum(len(b'%d ' % n * 3000) for n in numbers)


@pytest.fixture
def folder(tmp_path):
    tree(tmp_path, 'a', 1, 2)
    tree(tmp_path, 'b', 2, 3)
    tree(tmp_path, 'c', 3, 4)
    for name in 'abc':
        cairn(tmp_path, 'build', '-q', name, '--name', name, '--store', 'st')
    return tmp_path


def images(folder):
    return [json.loads(line) for line in cairn(folder, 'images', '--json', '--store', 'st').splitlines()]


def image_size(folder, name):
    return next(i['size'] for i in images(folder) if name in i['names'])


def test_names(folder):
    gone = image_size(folder, 'a')
    assert same(folder, 'st') == 0
    cairn(folder, 'untag', 'a', '--store', 'st')
    assert same(folder, 'st') == size(1) + gone
    for name in 'bc':
        cairn(folder, 'untag', name, '--store', 'st')
    # Nothing names anything: then a collection removes nothing, and says why.
    last = du(folder, 'st')[-1]
    assert last['reclaimable'] == 0 and 'no reference and no image given' in last['problem']


def test_roots(folder):
    cairn(folder, 'build', '-q', 'a', '-o', 'image', '--store', 'st')
    digest, gone = next((i['digest'], i['size']) for i in images(folder) if 'a' in i['names'])
    cairn(folder, 'untag', 'a', '--store', 'st')
    (folder / 'list').write_text(f'composefs={digest}\n')
    assert same(folder, 'st', '--root', 'list') == 0
    held = [u['held'] for u in du(folder, 'st', '--root', 'list')[:-1]]
    assert held == [None, None, 'root']
    # The image outside keeps its contents, not the one in the store.
    assert same(folder, 'st', '--root', 'image') == gone
    assert same(folder, 'st') == size(1)


@needs_root
def test_mounted(folder):
    os.mkdir(folder / 'm')
    done = run('cairn', 'mount', '--store', 'st', 'ref:a', 'm', cwd=folder)
    if done.returncode == 4:
        pytest.skip(done.stderr.decode())
    assert done.returncode == 0, done
    try:
        assert [u['held'] for u in du(folder, 'st')[:-1]] == ['mount', None, None]
        cairn(folder, 'untag', 'a', '--store', 'st')
        text = cairn(folder, 'du', '--store', 'st')
        assert 'has no name, held by a mount\n' in text and ', 0 B of it reclaimable' in text
        assert same(folder, 'st') == 0
    finally:
        subprocess.run(['umount', folder / 'm'], check=True)
    assert same(folder, 'st') > size(1)


def test_at_work(folder):
    """What a fetch has brought is no garbage as long as it goes on."""
    tree(folder, 'd', 5, 6)
    (folder / 'd' / 'large').write_bytes(bytes(range(256)) * 20000)
    cairn(folder, 'build', '-q', 'd', '--name', 'd', '--store', 'other')
    cairn(folder, 'export', '--store', 'other')
    files = {f'/{p.relative_to(folder / "other")}': p.read_bytes() for p in (folder / 'other').rglob('*')
             if p.is_file() and not p.is_symlink()}
    large = next(path for path, data in files.items() if len(data) == 256 * 20000)
    cairn(folder, 'untag', 'a', '--store', 'st')
    with Faults(files) as server:
        server.add(large, 'drip', 1000, 0.2)
        fetch = subprocess.Popen([program('cairn'), 'fetch', '-q', 'd', '--from', server.url, '--store', 'st'], cwd=folder,
                                 stderr=subprocess.DEVNULL)
        for _ in range(200):
            if len(list((folder / 'st' / 'objects').glob('*/*'))) >= 9:
                break
            time.sleep(0.05)
        before = du(folder, 'st')[-1]
        freed = same(folder, 'st')
        fetch.kill()
        fetch.wait()
    assert before['held'] == size(5, 6) and size(1) < freed
    assert same(folder, 'st') == size(5, 6)


def test_children(folder):
    """A parent keeps what its child needs; without the child it goes."""
    cairn(folder, 'store', 'init', 'child')
    cairn(folder, 'store', 'parents', '--store', 'child', '--add', 'st')
    tree(folder, 'e', 1, 7)
    cairn(folder, 'build', '-q', 'e', '--name', 'e', '--store', 'child')
    gone = image_size(folder, 'a')
    cairn(folder, 'untag', 'a', '--store', 'st')
    assert du(folder, 'st')[-1]['held'] == size(1)
    assert same(folder, 'st') == gone
    assert cairn(folder, 'missing', 'e', '--store', 'child') == ''
    assert du(folder, 'st', '--no-children')[-1]['reclaimable'] == size(1)
    assert same(folder, 'child') == 0
    cairn(folder, 'untag', 'e', '--store', 'child')
    assert same(folder, 'st') == size(1)
