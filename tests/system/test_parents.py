# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""A store that looks into another: mounts, builds, and what the cache believes of it."""

import json
import os
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from programs import run  # noqa: E402

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
