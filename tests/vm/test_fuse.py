# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""The FUSE server where objects have fs-verity: the kernel is trusted with what it vouches for, and reads
it by itself."""

# guest: 6.12 6.18

import json
import os
import re
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import mounting as m  # noqa: E402
from programs import output, run  # noqa: E402

SCRATCH = os.environ.get('SCRATCH', '/nonexistent')
pytestmark = [
    pytest.mark.skipif(not os.path.isdir(SCRATCH), reason='no $SCRATCH: for tests/lib/guest.py'),
    pytest.mark.skipif(not os.path.exists('/dev/fuse'), reason='no /dev/fuse')]

PASSTHROUGH = m.KERNEL >= (6, 9)
LARGE = os.urandom(3 << 20)


@pytest.fixture(autouse=True)
def mount(request, monkeypatch):
    """A tree with a large file, its store with fs-verity, served on mnt. Gives the server's number."""
    work = os.path.join(SCRATCH, 'fuse_' + re.sub(r'\W', '_', request.node.name))
    os.makedirs(work + '/tree')
    os.mkdir(work + '/mnt')
    monkeypatch.chdir(work)
    for name, data in ('large', LARGE), ('other', b'other' * 1000), ('small', b'small'):
        with open('tree/' + name, 'wb') as f:
            f.write(data)
    output('cairn', 'build', '-q', 'tree', '-o', 'image', '--store', 'store')
    done = run('cairn', 'mount', '--backend', 'fuse', '--json', 'image', 'mnt', '-s', 'store')
    assert done.returncode == 0, done
    yield json.loads(done.stdout)['pid']
    assert run('cairn', 'umount', 'mnt').returncode == 0


def written(pid):
    """Bytes that the server has given to anyone."""
    with open(f'/proc/{pid}/io', encoding='ascii') as f:
        return int(re.search(r'wchar: (\d+)', f.read())[1])


def read(name):
    with open('mnt/' + name, 'rb') as f:
        return f.read()


def test_files_are_handed_to_the_kernel(mount):
    before = written(mount)
    with open('mnt/large', 'rb') as one, open('mnt/large', 'rb') as two:
        assert one.read() == two.read() == LARGE
    assert read('large') == LARGE and read('other') == b'other' * 1000 and read('small') == b'small'
    assert (written(mount) - before < 100_000) == PASSTHROUGH
    assert subprocess.run(['cmp', 'tree/large', 'mnt/large'], check=False).returncode == 0


def test_an_object_without_verity_is_verified_by_us(mount):
    path = m.object_path('store/objects', LARGE)
    os.unlink(path)
    with open(path, 'wb') as f:
        f.write(LARGE)
    before = written(mount)
    assert read('large') == LARGE
    assert written(mount) - before > len(LARGE)


def test_another_file_with_verity_is_refused(mount):
    path = m.object_path('store/objects', LARGE)
    os.unlink(path)
    with open(path, 'wb') as f:
        f.write(LARGE[:-1] + b'?')
    subprocess.run(['fsverity', 'enable', path], check=True)
    with pytest.raises(OSError):
        read('large')
    assert read('other') == b'other' * 1000
