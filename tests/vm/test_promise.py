# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""`cairn mount` and `run` where there is fs-verity: what is enforced, and that each tampering is refused at the
right moment with the right words. As root, and as an ordinary user in a user namespace (6.18)."""

# guest: 6.12 6.18

import glob
import json
import os
import random
import re
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import mounting as m  # noqa: E402
from programs import STRACE, program, run  # noqa: E402

DISKS = {name: os.environ[name] for name in ('SCRATCH', 'SCRATCH_BTRFS') if name in os.environ}
pytestmark = pytest.mark.skipif(not DISKS, reason='no $SCRATCH: for tests/lib/guest.py')
USERS = m.KERNEL >= (6, 16)
users = pytest.mark.skipif(not USERS, reason='overlayfs is not for users before 6.16')

BIG = bytes(range(256)) * 200
NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']


@pytest.fixture(autouse=True, params=DISKS)
def files(request, monkeypatch):
    """A store and an image, both with fs-verity."""
    disk = DISKS[request.param]
    work = os.path.join(disk, 'promise', re.sub(r'\W', '_', request.node.name))
    os.makedirs(work + '/tree/bin')
    monkeypatch.chdir(work)
    for name, data in ('big', BIG), ('bin/other', b'other' * 3000), ('small', b'small'):
        with open('tree/' + name, 'wb') as f:
            f.write(data)
    cairn('build', '-q', 'tree', '-o', 'image', '--store', 'store')
    subprocess.run(['fsverity', 'enable', 'image'], check=False, capture_output=True)
    subprocess.run(['chmod', '-R', 'a+rX', '.'], check=True)
    os.mkdir('mnt')
    before = m.mountinfo()
    yield
    assert m.mountinfo() == before


def cairn(*args, status=0):
    done = run('cairn', *args)
    assert done.returncode == status, (args, done)
    return done.stdout.decode() + done.stderr.decode()


def mount(*args, image='image', status=0):
    said = cairn('mount', image, 'mnt', '-s', 'store', '--json', *args, status=status)
    return json.loads(said.splitlines()[0]) if status == 0 else said


def umount():
    cairn('umount', 'mnt')


def measured(path='image'):
    said = subprocess.run(['fsverity', 'measure', path], check=True, capture_output=True, text=True).stdout
    return said.split()[0].split(':')[1]


def object_of(data):
    return m.object_path('store/objects', data)


def replace(path, data, verity):
    os.unlink(path)
    with open(path, 'wb') as f:
        f.write(data)
    if verity:
        subprocess.run(['fsverity', 'enable', path], check=True)


def drop_caches():
    with open('/proc/sys/vm/drop_caches', 'w', encoding='ascii') as f:
        f.write('3')


def corrupt_on_disk(*places):
    """Changes bytes of files, given as pairs of path and offset, beneath their file system."""
    subprocess.run(['sync'], check=True)
    paths = sorted({path for path, _ in places})
    where = subprocess.run(['filefrag', '-v', '-b4096', *paths], capture_output=True, text=True, check=True).stdout
    # For each file one part, after "File size of".
    extents = {path: [tuple(map(int, e)) for e in re.findall(r'^ +\d+: +(\d+)\.\. +(\d+): +(\d+)\.\.', part, re.M)]
               for path, part in zip(paths, where.split('File size of ')[1:])}
    with open(os.environ['SCRATCH_DEV'], 'r+b', buffering=0) as f:
        for path, offset in places:
            first, block = next((first, block) for first, last, block in extents[path]
                                if first <= offset // 4096 <= last)
            at = (block - first) * 4096 + offset
            byte = os.pread(f.fileno(), 1, at)
            os.pwrite(f.fileno(), bytes([byte[0] ^ 0x40]), at)
        os.fsync(f.fileno())
    drop_caches()


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def refused(path):
    with pytest.raises(OSError, match='Input/output error'):
        read(path)


# --- what is promised -----------------------------------------------------------------------------

def test_enforced():
    row = mount()
    assert (row['backend'], row['state'], row['image_state'], row['contents']) == ('kernel',) + ('enforced',) * 3
    there = json.loads(cairn('mounts', '--json', 'mnt'))
    assert (there['state'], there['digest']) == ('enforced', measured())
    assert read('mnt/big') == BIG
    umount()
    # A measured image is remembered by its digest, wherever it is.
    os.rename('image', 'moved')
    assert mount('--require', 'enforced', image='moved')['remembered']
    umount()
    said = cairn('features', '-s', 'store')
    assert "A mount would be enforced, by the backend 'kernel'." in said


def test_image_without_verity():
    """Contents are enforced, the image was only checked: the weaker counts."""
    with open('image', 'rb') as f, open('copy', 'wb') as g:
        g.write(f.read())
    row = mount(image='copy')
    assert (row['state'], row['image_state'], row['contents']) == ('checked', 'checked', 'enforced')
    umount()
    assert 'the image has no fs-verity' in mount('--require', 'enforced', image='copy', status=4)


def test_digest():
    """Measured by the kernel on the descriptor that is mounted: whatever has the name meanwhile."""
    digest = measured()
    assert mount('-o', f'digest={digest}')['state'] == 'enforced'
    umount()
    said = mount('-o', f'digest={"0" * 64}', status=3)
    assert f'image: fs-verity digest is {digest}, expected {"0" * 64}' in said
    os.makedirs('evil/tree')
    cairn('build', '-q', 'evil', '-o', 'evil.cfs', '--store', 'store')
    process = subprocess.Popen(
        [*STRACE, 'trace', '-e', 'trace=fsmount', '-e', 'inject=fsmount:delay_enter=2000000:when=1',
         program('cairn'), 'mount', 'image', 'mnt', '-s', 'store', '-o', f'digest={digest}'])
    while not os.path.exists('trace') or not os.path.getsize('trace'):
        time.sleep(0.05)
    os.rename('evil.cfs', 'image')
    assert process.wait(60) == 0
    assert sorted(os.listdir('mnt')) == ['big', 'bin', 'small']
    umount()
    assert 'fs-verity' in mount('-o', f'digest={digest}', status=3)


# --- tampering ------------------------------------------------------------------------------------

def test_objects():
    other = object_of(b'other' * 3000)
    replace(object_of(BIG), b'!' * len(BIG), verity=True)
    replace(other, b'other' * 3000, verity=False)
    mount('--backend', 'kernel', '-o', 'verity')
    refused('mnt/big')
    refused('mnt/bin/other')
    assert os.stat('mnt/big').st_size == len(BIG)
    assert read('mnt/small') == b'small'
    umount()
    # Without fs-verity on all of them the kernel enforces nothing, so a server checks.
    row = mount()
    assert (row['backend'], row['state']) == ('fuse', 'checked')
    refused('mnt/big')
    assert read('mnt/bin/other') == b'other' * 3000
    umount()
    said = mount('--backend', 'kernel', '-o', 'noverity', '--require', 'checked', status=3)
    assert 'its content does not have its digest' in said or 'its size is not' in said


def test_byte_on_the_disk(files, request):
    if 'BTRFS' in request.node.name:
        pytest.skip('btrfs finds it by its own checksums')
    mount('--require', 'enforced')
    corrupt_on_disk((object_of(BIG), 9000))
    with open('mnt/big', 'rb', buffering=0) as f:
        assert f.read(4096) == BIG[:4096]
        with pytest.raises(OSError, match='Input/output error'):
            os.pread(f.fileno(), 10, 9000)
    umount()


READ_BLOCKS = """
import json, os
refused = 0
blocks = json.load(open('blocks'))
files = {i: (os.open(f'mnt/{i}', os.O_RDONLY), open(f'tree/{i}', 'rb').read()) for i in {b[0] for b in blocks}}
for fd, _ in files.values():
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
for i, block, right in blocks:
    try:
        found = os.pread(files[i][0], 4096, block)
        assert right and found == files[i][1][block:block + 4096], (i, block)
    except OSError as e:
        assert not right and e.errno == 5, (i, block, e)
        refused += 1
print(refused, 'refused')
"""


@users
def test_a_thousand_bytes_on_the_disk(request):
    """Each in another block of eight objects; every block is read, as the kernel mounts it, and through a
    user's overlayfs. Where both can be had: a guest is slow."""
    if 'BTRFS' in request.node.name:
        pytest.skip('btrfs finds it by its own checksums')
    rng = random.Random(1)
    sizes = [rng.randrange(400_000, 800_000) for _ in range(8)]
    for i, size in enumerate(sizes):
        with open(f'tree/{i}', 'wb') as f:
            f.write(rng.randbytes(size))
    os.unlink('image')
    cairn('build', '-q', 'tree', '-o', 'image', '--store', 'store')
    subprocess.run(['chmod', '-R', 'a+rX', '.'], check=True)
    blocks = [(i, block) for i, size in enumerate(sizes) for block in range(0, size, 4096)]
    wrong = set(rng.sample(blocks, 1000))
    objects = {os.path.getsize(path): path for path in glob.glob('store/objects/??/*')}
    corrupt_on_disk(*((objects[sizes[i]], rng.randrange(block, min(block + 4096, sizes[i]))) for i, block in sorted(wrong)))
    with open('blocks', 'w', encoding='ascii') as f:
        json.dump([(*at, at not in wrong) for at in blocks], f)
    mount('--backend', 'kernel', '-o', 'verity')
    assert subprocess.run([sys.executable, '-c', READ_BLOCKS], capture_output=True, check=True).stdout == b'1000 refused\n'
    umount()
    drop_caches()
    said = as_user(command('mount image mnt -s store --backend overlay --require enforced >&2')
                   + f'; {sys.executable} -c "$0" ;' + command('umount mnt'), READ_BLOCKS)
    assert said.startswith('1000 refused\n')


# --- users ----------------------------------------------------------------------------------------

def as_user(script, *args, status=0):
    done = subprocess.run([*NOBODY, 'unshare', '--user', '--map-root-user', '--mount', 'bash', '-euc', script, *args],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done
    return done.stdout + done.stderr


def command(*args):
    return ' '.join([program('cairn'), *args])


@users
def test_users_are_promised_the_same():
    said = as_user(command('mount image mnt -s store --json') + '; sha256sum <mnt/big;'
                   + command('mounts --json mnt') + ';' + command('umount mnt'))
    row, summed, there, *_ = said.splitlines()
    row, there = json.loads(row), json.loads(there)
    assert (row['backend'], row['state'], row['verity']) == ('overlay', 'enforced', True)
    assert (there['backend'], there['state'], there['digest']) == ('overlay', 'enforced', measured())
    assert summed == subprocess.run('sha256sum <tree/big', shell=True, capture_output=True, text=True,
                                    check=True).stdout.strip()
    assert '"use":"overlay","state":"enforced"' in as_user(command('features -s store --json'))


@users
def test_users_are_refused_the_same():
    replace(object_of(BIG), b'!' * len(BIG), verity=True)
    said = as_user(command('mount image mnt -s store --require enforced') + '; cat mnt/big 2>&1 || cat mnt/small;'
                   + command('umount mnt'))
    assert 'Input/output error' in said and said.endswith('small')
    assert 'digest' in as_user(command(f'mount image mnt -s store -o digest={"1" * 64}'), status=3)


@users
def test_run():
    for parent in 'bin', 'proc', 'dev':
        os.makedirs('system/' + parent)
    subprocess.run(['cp', '/run/guest/busybox', 'system/bin/busybox'], check=True)
    cairn('build', '-q', 'system', '-o', 'system.cfs', '--store', 'store')
    subprocess.run(['fsverity', 'enable', 'system.cfs'], check=False, capture_output=True)
    subprocess.run(['chmod', '-R', 'a+rX', '.'], check=True)
    done = subprocess.run([*NOBODY, program('cairn'), 'run', '-v', '-s', 'store', '--require', 'enforced', 'system.cfs',
                           '--', 'busybox', 'sh', '-c', 'id -u 2>/dev/null || busybox id -u; exit 9'],
                          capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (9, '0\n'), done
    assert "enforced, by the backend 'overlay' in a user namespace" in done.stderr
    # The program itself is no longer the one that it was.
    path = max(glob.glob('store/objects/??/*'), key=os.path.getsize)
    replace(path, b'!' * os.path.getsize(path), verity=True)
    done = subprocess.run([*NOBODY, program('cairn'), 'run', '-s', 'store', 'system.cfs', '--', 'busybox', 'true'],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 126 and 'Input/output error' in done.stderr, done
