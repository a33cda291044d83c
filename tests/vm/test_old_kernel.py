# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Linux 6.1: images through a loop device, stores as merged layers, and no verity= in overlayfs. Everything falls
back to something that works, or is refused with a reason."""

# guest: 6.1

import json
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from programs import program, run  # noqa: E402

SCRATCH = os.environ.get('SCRATCH', '/nonexistent')
pytestmark = pytest.mark.skipif(not os.path.isdir(SCRATCH), reason='no $SCRATCH: for tests/lib/guest.py')
NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']


@pytest.fixture(autouse=True, scope='module')
def files():
    os.makedirs(SCRATCH + '/old/tree/bin')
    os.chdir(SCRATCH + '/old')
    for name in 'proc', 'dev', 'tmp':
        os.mkdir('tree/' + name)
    with open('tree/big', 'wb') as f:
        f.write(b'big' * 10000)
    subprocess.run(['cp', '/run/guest/busybox', 'tree/bin/busybox'], check=True)
    cairn('build', '-q', 'tree', '-o', 'image', '--store', 'store')
    subprocess.run(['fsverity', 'enable', 'image'], check=False, capture_output=True)
    subprocess.run(['chmod', '-R', 'a+rX', '.'], check=True)
    os.mkdir('mnt')


def cairn(*args, status=0):
    done = run('cairn', *args)
    assert done.returncode == status, (args, done)
    return done.stdout.decode() + done.stderr.decode()


def mount(*args, status=0):
    said = cairn('mount', 'image', 'mnt', '-s', 'store', '--json', *args, status=status)
    return json.loads(said.splitlines()[0]) if status == 0 else said


def test_kernel():
    row = mount('--backend', 'kernel')
    assert (row['loop'], row['verity'], row['detached']) == (True, False, False)
    assert (row['state'], row['image_state']) == ('unverified', 'enforced')
    with open('mnt/big', 'rb') as f:
        assert f.read() == b'big' * 10000
    there = json.loads(cairn('mounts', '--json', 'mnt'))
    assert there['stores'] == [os.path.realpath('store/objects')] or there['stores'] == ['store/objects']
    cairn('umount', 'mnt')
    assert mount('--backend', 'kernel', '--require', 'checked')['state'] == 'checked'
    cairn('umount', 'mnt')


def test_refused_with_a_reason():
    for options in ('-o', 'verity'), ('--require', 'enforced'), ('-o', 'verity', '--backend', 'kernel'):
        said = mount(*options, status=4)
        assert 'overlayfs of this kernel cannot enforce it (Linux 6.6 can)' in said
    said = mount('--backend', 'overlay', status=4)
    assert 'overlayfs' in said
    assert not os.path.ismount('mnt')


def test_fuse():
    row = mount()
    assert (row['backend'], row['state']) == ('fuse', 'checked')
    with open('mnt/big', 'rb') as f:
        assert f.read() == b'big' * 10000
    cairn('umount', 'mnt')


def test_run_as_a_user():
    done = subprocess.run([*NOBODY, program('cairn'), 'run', '-v', '-s', 'store', 'image', 'busybox', 'sh', '-c',
                           'busybox id -u; busybox touch /tmp/new && busybox ls /tmp; exit 6'], capture_output=True,
                          text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (6, '0\nnew\n'), done
    assert "checked, by the backend 'fuse' in a user namespace" in done.stderr


def test_features():
    rows = [json.loads(line) for line in cairn('features', '-s', 'store', '--json').splitlines()]
    have = {r['feature']: r['have'] for r in rows if 'feature' in r}
    assert [have[n] for n in ('erofs', 'loop', 'verity', 'objects', 'fuse', 'user-namespaces')] == ['yes'] * 6
    assert [have[n] for n in ('erofs-file', 'data-only', 'detached', 'overlay-verity', 'overlay-user')] == ['no'] * 5
    assert rows[-1] == {'use': 'fuse', 'state': 'checked'}
