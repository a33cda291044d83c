# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""A store that looks into another: mounts, builds, and what the cache believes of it."""

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


def cairn(folder, *args):
    done = run('cairn', *args, cwd=folder)
    assert done.returncode == 0, done
    return done.stdout.decode()


@pytest.fixture
def folder(tmp_path):
    os.mkdir(tmp_path / 'tree')
    for i in range(30):
        (tmp_path / 'tree' / f'{i}').write_bytes(b'%d ' % i * 5000)
    time.sleep(0.1)
    cairn(tmp_path, 'build', 'tree', '-o', 'image', '--store', 'vendor')
    cairn(tmp_path, 'store', 'init', 'site')
    cairn(tmp_path, 'store', 'parents', '--store', 'site', '--add', 'vendor')
    (tmp_path / 'tree' / 'own').write_bytes(b'own ' * 5000)
    return tmp_path


def build(folder, *options):
    return json.loads(cairn(folder, 'build', '--json', 'tree', '-o', 'image', '--store', 'site', *options))


@needs_root
@pytest.mark.parametrize('backend', ['kernel', 'fuse'])
def test_mount(folder, backend):
    build(folder)
    os.mkdir(folder / 'mount')
    done = run('cairn', 'mount', 'image', 'mount', '--store', 'site', '--backend', backend, cwd=folder)
    if done.returncode == 4:
        pytest.skip(done.stderr.decode())
    assert done.returncode == 0, done
    try:
        subprocess.run(['diff', '-r', folder / 'tree', folder / 'mount'], check=True)
    finally:
        subprocess.run(['umount', folder / 'mount'], check=True)


def objects(store):
    return [p for p in (store / 'objects').glob('*/*') if p.is_file()]


@pytest.mark.parametrize('jobs', [1, 4])
def test_build(folder, jobs):
    time.sleep(0.1)
    first = build(folder, '-j', jobs)
    assert (first['cached'], first['new_objects']) == (0, 1)
    again = build(folder, '-j', jobs)
    assert (again['cached'], again['digest']) == (31, first['digest'])
    assert len(objects(folder / 'site')) == 1
    # The parent loses some, and the parent is lost.
    for path in objects(folder / 'vendor')[:5]:
        path.unlink()
    third = build(folder, '-j', jobs)
    assert (third['new_objects'], third['digest']) == (5, first['digest'])
    cairn(folder, 'store', 'parents', '--store', 'site', '--remove', str(folder / 'vendor'))
    assert build(folder, '-j', jobs)['new_objects'] == 25
    assert cairn(folder, 'missing', 'image', '--store', 'site') == ''


# --- collecting in a parent -----------------------------------------------------------------------

def fails(folder, *args, status=1):
    done = run('cairn', *args, cwd=folder)
    assert done.returncode == status, done
    return done.stderr.decode()


def collect(folder, store, *options):
    return json.loads(cairn(folder, 'gc', '-q', '--json', '--store', store, *options))['removed']


@pytest.fixture
def family(folder):
    """`site` has an image that needs 30 objects of `vendor`, which nothing names there."""
    build(folder, '--name', 'web')
    cairn(folder, 'store', 'init', 'away')
    return folder


def test_collect_asks_children(family):
    noted = [json.loads(line) for line in
             cairn(family, 'store', 'parents', '--children', '--json', '--store', 'vendor').splitlines()]
    assert [(c['child'], c['here']) for c in noted] == [(str(family / 'site'), True)]
    assert collect(family, 'vendor') == 0
    # A child of the child.
    cairn(family, 'store', 'parents', '--store', 'away', '--add', 'site')
    cairn(family, 'build', '-q', 'tree', '--name', 'same', '--store', 'away')
    cairn(family, 'untag', 'web', '--store', 'site')
    # What is its own of the image is that of its parent.
    assert [collect(family, store) for store in ('site', 'vendor', 'away')] == [0, 0, 0]
    assert cairn(family, 'missing', 'same', '--store', 'away') == ''
    # One that does not look into it any more is asked no more.
    cairn(family, 'untag', 'same', '--store', 'away')
    cairn(family, 'store', 'parents', '--store', 'site', '--remove', 'vendor')
    assert collect(family, 'vendor', '--empty') == 30


def test_collect_with_children_that_cannot_be_asked(family):
    os.rename(family / 'site', family / 'moved')
    words = fails(family, 'gc', '--store', 'vendor')
    assert f'the store {family}/site looks into it, and cannot be asked what it needs: open' in words
    assert '--forget' in words and len(objects(family / 'vendor')) == 30
    os.rename(family / 'away', family / 'site')
    assert 'another one is there now' in fails(family, 'gc', '--store', 'vendor')
    # Whoever writes there notes it again.
    cairn(family, 'store', 'parents', '--store', 'vendor', '--forget', f'{family}/site')
    assert collect(family, 'vendor', '--dry-run', '--empty') == 30
    cairn(family, 'tag', '--store', 'moved', 'ref:web', 'again')
    assert collect(family, 'vendor') == 0
    # On another machine; and told not to ask.
    children = family / 'vendor' / 'cairn' / 'children'
    children.write_text('0123456789abcdef0123456789abcdef 77 /srv/store\n' + children.read_text())
    assert 'it is on another machine' in fails(family, 'gc', '--store', 'vendor')
    assert cairn(family, 'store', 'parents', '-c', '--store', 'vendor').splitlines()[0] == \
        '/srv/store on 0123456789abcdef0123456789abcdef'
    assert collect(family, 'vendor', '--no-children', '--dry-run', '--empty') == 30
    children.write_text('not a list\n')
    assert 'not a list of stores' in fails(family, 'gc', '--store', 'vendor')


def test_collect_what_a_child_has_just_found(family):
    """The child is at work, found objects here, and has no reference yet."""
    (family / 'tree' / 'large').write_bytes(bytes(range(256)) * 20000)
    cairn(family, 'build', '-q', 'tree', '--name', 'web', '--store', 'depot')
    cairn(family, 'export', '--store', 'depot')
    cairn(family, 'untag', 'web', '--store', 'site')
    files = {f'/{p.relative_to(family / "depot")}': p.read_bytes() for p in (family / 'depot').rglob('*')
             if p.is_file() and not p.is_symlink()}
    with Faults(files) as server:
        server.add(next(path for path, data in files.items() if len(data) == 256 * 20000), 'drip', 1000, 0.2)
        fetch = subprocess.Popen([program('cairn'), 'fetch', '-q', 'web', '--from', server.url, '--store', 'site'],
                                 cwd=family, stderr=subprocess.DEVNULL)
        for _ in range(200):
            if list((family / 'site' / 'cairn').glob('partial/*')):
                break
            time.sleep(0.05)
        assert collect(family, 'vendor', '--empty') == 0
        fetch.kill()
        fetch.wait()
    assert collect(family, 'vendor', '--empty') == 30


def test_circle_collects(family):
    cairn(family, 'store', 'parents', '--store', 'vendor', '--add', 'site')
    running = [subprocess.Popen([program('cairn'), 'gc', '-q', '--wait', '60', '--store', store], cwd=family,
                                stdout=subprocess.DEVNULL) for store in ('vendor', 'site') * 3]
    assert [p.wait() for p in running] == [0] * 6
    assert cairn(family, 'missing', 'ref:web', '--store', 'site') == ''
