# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""The drop-ins where there is fs-verity: stores that have it, mounts that the kernel verifies.

For tests/lib/guest.py: $SCRATCH is a file system with fs-verity.
"""

import os
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from programs import output, read, run  # noqa: E402

SCRATCH = os.environ.get('SCRATCH', '/nonexistent')
pytestmark = pytest.mark.skipif(not os.path.isdir(SCRATCH), reason='no $SCRATCH: for tests/lib/guest.py')

BIG = bytes(range(256)) * 1000


@pytest.fixture(autouse=True)
def files(request, monkeypatch):
    work = os.path.join(SCRATCH, re.sub(r'\W', '_', request.node.name))
    for path in work, work + '/tree', work + '/mnt':
        os.mkdir(path)
    monkeypatch.chdir(work)
    for name, data in ('small', b'small\n'), ('big', BIG), ('other', BIG + b'x'):
        with open('tree/' + name, 'wb') as f:
            f.write(data)
    digest = output('mkcomposefs', '--digest-store=store', '--print-digest', 'tree', 'i')
    yield digest.decode().strip()
    subprocess.run(['umount', '-q', 'mnt'], check=False)


@pytest.fixture(name='digest')
def the_digest(files):
    return files


def mount(options, image='i'):
    return run('mount.composefs', '-o', 'basedir=store' + options, image, 'mnt')


def objects():
    return [os.path.join(folder, name) for folder, _, names in os.walk('store') for name in names]


def enable(path):
    subprocess.run(['fsverity', 'enable', path], check=True)


def test_objects_have_verity():
    assert len(objects()) == 2
    for path in objects():
        said = subprocess.run(['fsverity', 'measure', path], check=True, capture_output=True).stdout
        name = os.path.relpath(path, 'store').replace('/', '')
        assert said.decode().startswith('sha256:' + name)
        assert output('composefs-info', 'measure-file', path).decode() == name + '\n'


def test_kernel_measures():
    """The kernel says what was computed before."""
    shutil.copy('tree/big', 'f')
    computed = output('composefs-info', 'measure-file', 'f')
    enable('f')
    assert output('composefs-info', 'measure-file', 'f') == computed


@pytest.mark.parametrize('options', ['', ',verity', ',tryverity', ',verity,ro'])
def test_mounts(options):
    assert mount(options).returncode == 0
    for name in os.listdir('tree'):
        assert read('mnt', name) == read('tree', name)


def test_digest(digest):
    shutil.copy('i', 'plain')
    enable('i')
    for right in digest, digest.upper():
        assert mount(',digest=' + right).returncode == 0
        assert read('mnt', 'big') == BIG
        subprocess.run(['umount', 'mnt'], check=True)
    wrong = mount(',digest=' + '0' * 64)
    assert (wrong.returncode, wrong.stderr) == (
        1, b'mount.composefs: Failed to mount composefs i: Image has wrong fs-verity\n\n')
    none = mount(',digest=' + digest, 'plain')
    assert (none.returncode, none.stderr) == (
        1, b'mount.composefs: Failed to mount composefs plain: Image has no fs-verity\n\n')
    assert os.listdir('mnt') == []


@pytest.mark.parametrize('with_verity', [True, False])
@pytest.mark.parametrize('option', [',verity', ',tryverity'])
def test_replaced_object(option, with_verity):
    for path in objects():
        os.unlink(path)
        with open(path, 'wb') as f:
            f.write(b'evil' + BIG[4:])
        if with_verity:
            enable(path)
    assert mount(option).returncode == 0
    with pytest.raises(OSError):
        read('mnt', 'big')
    assert read('mnt', 'small') == b'small\n'
