# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""The golden directory gives the golden image and objects. As root, because owners count."""

import os
import subprocess
import sys

import pytest

GOLDEN = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(GOLDEN), 'lib'))
from programs import output, read, sha256  # noqa: E402

DIRSRC = os.path.join(GOLDEN, 'dirsrc')
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='needs root')


@pytest.fixture(name='tree')
def make_tree(tmp_path):
    subprocess.run(['sh', os.path.join(DIRSRC, 'mktree.sh'), tmp_path / 'tree'], check=True)
    return tmp_path / 'tree'


def objects_in(store):
    return sorted('./' + os.path.relpath(os.path.join(folder, name), store)
                  for folder, _, names in os.walk(store) for name in names)


@pytest.mark.parametrize('threads', [1, 2, 8])
def test_mkcomposefs(tree, threads, tmp_path):
    store = tmp_path / 'a' / 'store'
    args = ['--use-epoch', '--skip-xattrs', f'--threads={threads}', f'--digest-store={store}']
    for _ in range(2):    # the second time every object is there
        said = output('mkcomposefs', *args, '--print-digest', tree, tmp_path / 'i')
        assert said == read(DIRSRC, 'image.fsverity')
        assert sha256(read(tmp_path / 'i')) == read(DIRSRC, 'image.sha256').decode().strip()
        assert objects_in(store) == read(DIRSRC, 'objects.list').decode().split()
    assert output('composefs-info', 'dump', tmp_path / 'i') == read(DIRSRC, 'image.info')
    for path in objects_in(store):
        assert os.stat(os.path.join(store, path)).st_mode == 0o100644
        measured = output('composefs-info', 'measure-file', os.path.join(store, path)).decode()
        assert './' + measured[:2] + '/' + measured[2:].strip() == path
    for folder, _, _ in os.walk(tmp_path / 'a'):
        assert os.stat(folder).st_mode == 0o40755

    assert output('composefs-info', 'missing-objects', f'--basedir={store}', tmp_path / 'i') == b''
    gone = objects_in(store)[0]
    os.unlink(os.path.join(store, gone))
    missing = output('composefs-info', f'--basedir={store}', 'missing-objects', tmp_path / 'i')
    assert './' + missing.decode() == gone + '\n'


def test_digest_only(tree):
    args = ['--use-epoch', '--skip-xattrs', '--print-digest-only']
    assert output('mkcomposefs', *args, tree) == read(DIRSRC, 'image.fsverity')


def test_hard_links(tree, tmp_path):
    """cairn keeps them, so that the image differs from the reference's in exactly that."""
    output('cairn', 'build', tree, '-o', tmp_path / 'i')
    lines = output('cairn', 'dump', tmp_path / 'i').decode().splitlines()
    link = next(line for line in lines if line.startswith('/bin/numbers-hardlink '))
    fields = link.split(' ')
    assert fields[2] == '@100755' and fields[3] == '2' and fields[8] == '/bin/numbers'
