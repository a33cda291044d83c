# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""`cairn mount` and `umount` with a real kernel: awkward paths, several stores, every kind of option."""

import json
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from programs import output, run  # noqa: E402

AWKWARD = 'a,b:c\\d e'


@pytest.fixture
def tree(tmp_path):
    """A tree, its image and store, and a place to mount it; unmounted at the end."""
    if os.geteuid() != 0:
        pytest.skip('not root')
    (tmp_path / 'tree').mkdir()
    (tmp_path / 'tree' / 'large').write_bytes(b'large\n' * 10000)
    (tmp_path / 'tree' / 'small').write_bytes(b'small\n')
    (tmp_path / 'mnt').mkdir()
    digest = output('cairn', 'build', '-q', tmp_path / 'tree', '-o', tmp_path / 'image', '--store',
                    tmp_path / AWKWARD).decode().strip()
    (tmp_path / 'digest').write_text(digest)
    probe = mount(tmp_path, '-s', tmp_path / AWKWARD, '-o', 'noverity')
    if probe.returncode:
        pytest.skip('cannot mount here: ' + probe.stderr.decode().strip())
    run('cairn', 'umount', tmp_path / 'mnt')
    yield tmp_path
    subprocess.run(['umount', '-l', tmp_path / 'mnt'], check=False, stderr=subprocess.DEVNULL)


def mount(folder, *options):
    return run('cairn', 'mount', folder / 'image', folder / 'mnt', *options)


def assert_mounted(folder):
    assert (folder / 'mnt' / 'large').read_bytes() == b'large\n' * 10000
    assert (folder / 'mnt' / 'small').read_bytes() == b'small\n'
    assert sorted(os.listdir(folder / 'mnt')) == ['large', 'small']
    assert os.path.ismount(folder / 'mnt')
    output('cairn', 'umount', folder / 'mnt')
    assert os.listdir(folder / 'mnt') == []


def test_store(tree):
    (tree / 'other' / 'objects').mkdir(parents=True)
    result = mount(tree, '--store', tree / 'other', '--store', tree / AWKWARD, '-o', 'noverity',
                   '--json')
    assert (result.returncode, result.stderr) == (0, b'')
    row = json.loads(result.stdout)
    assert (row['image'], row['target']) == (str(tree / 'image'), str(tree / 'mnt'))
    assert (row['verity'], row['checked']) == (False, True)
    assert_mounted(tree)


def test_basedir_with_escapes(tree):
    (tree / 'other').mkdir()
    store = str(tree / AWKWARD / 'objects')
    for c in '\\:,':
        store = store.replace(c, '\\' + c)
    result = mount(tree, '-o', f'noverity,ro,basedir={tree}/other:{store},nosuid,nodev')
    assert (result.returncode, result.stderr) == (0, b'')
    with open('/proc/self/mountinfo', encoding='utf-8') as f:
        flags = next(line.split()[5] for line in f if line.split()[4] == str(tree / 'mnt'))
    assert {'ro', 'nosuid', 'nodev'} <= set(flags.split(','))
    assert_mounted(tree)


def test_upperdir(tree):
    (tree / 'upper').mkdir()
    (tree / 'work').mkdir()
    result = mount(tree, '-s', tree / AWKWARD, '-o', 'noverity', '-o',
                   f'upperdir={tree}/upper,workdir={tree}/work')
    if result.returncode:
        pytest.skip('no upper layer here: ' + result.stderr.decode().strip())
    (tree / 'mnt' / 'new').write_bytes(b'new\n')
    (tree / 'mnt' / 'small').unlink()
    output('cairn', 'umount', tree / 'mnt')
    assert (tree / 'upper' / 'new').read_bytes() == b'new\n'


def test_digest_needs_verity_or_says_so(tree):
    digest = (tree / 'digest').read_text()
    result = mount(tree, '-s', tree / AWKWARD, '--backend', 'kernel', '-o', 'digest=' + digest)
    assert (result.returncode, result.stdout) == (3, b'')
    assert b'cairn: mount: ' in result.stderr and b'verity' in result.stderr
    assert not os.path.ismount(tree / 'mnt')


def test_broken_image(tree):
    with open(tree / 'image', 'r+b') as f:
        f.seek(100)
        f.write(b'x')
    result = mount(tree, '-s', tree / AWKWARD)
    assert (result.returncode, result.stdout) == (3, b'')
    assert not os.path.ismount(tree / 'mnt')
    result = mount(tree, '-s', tree / AWKWARD, '--no-check', '-o', 'noverity')
    assert result.returncode == 0
    assert_mounted(tree)


def test_umount_of_something_else(tree):
    assert run('cairn', 'umount', tree).returncode == 1
