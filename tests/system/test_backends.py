# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Which backend is taken when, and that all of them show the same: to root, and to an ordinary user in a
user namespace. This machine has no fs-verity; tests/vm has the other half."""

import json
import os
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import mounting as m  # noqa: E402
from programs import output, program, run  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='needs root')

NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']
IN_NAMESPACE = [*NOBODY, 'unshare', '--user', '--map-root-user', '--mount']
USER_OVERLAY = m.KERNEL >= (6, 16)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A tree, its image and its store. Each test has a copy."""
    folder = tmp_path_factory.mktemp('made')
    shutil.copy(program('cairn'), folder / 'cairn')
    make_tree(f'{folder}/tree')
    output('cairn', 'build', '-q', 'tree', '-o', 'image', '--store', 'store', cwd=folder)
    subprocess.run(['chmod', '-R', 'a+rX', 'store', 'image'], cwd=folder, check=True)
    return folder


@pytest.fixture(autouse=True)
def files(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in tmp_path, *tmp_path.parents:
        if os.stat(folder).st_mode & 0o1001 == 0:
            os.chmod(folder, 0o711)
    m.private_namespace()
    os.link(made / 'cairn', 'cairn')
    os.mknod('fuse', 0o20666, os.makedev(10, 229))
    os.chmod('fuse', 0o666)
    subprocess.run(['mount', '--bind', 'fuse', '/dev/fuse'], check=True)
    os.mkdir('mnt')
    os.mkdir('kernel')
    subprocess.run(['cp', '-a', made / 'image', made / 'store', '.'], check=True)
    yield
    for name in 'mnt', 'kernel', '/dev/fuse':
        subprocess.run(['umount', '-l', name], check=False, stderr=subprocess.DEVNULL)


def make_tree(path):
    """Something of everything that an ordinary user can be shown."""
    os.makedirs(path + '/sub/deep')
    for i in range(300):
        with open(f'{path}/sub/{"n" * (i % 60)}{i}', 'wb') as f:
            f.write(b'%d\n' % i * (i * 37 % 3000))
        os.utime(f'{path}/sub/{"n" * (i % 60)}{i}', ns=(0, 10**18 + i))
    os.link(path + '/sub/1', path + '/one') if os.path.exists(path + '/sub/1') else None
    os.symlink('sub/deep', path + '/link')
    os.mkfifo(path + '/fifo')
    os.setxattr(path + '/sub/deep', 'user.comment', b'deep \0 down')
    os.setxattr(path + '/sub/deep', 'user.overlay.mine', b'escaped')
    os.chmod(path + '/sub/deep', 0o2750)


def mount(*args, prefix=(), status=0):
    done = subprocess.run([*prefix, './cairn', 'mount', 'image', 'mnt', '-s', 'store', '--json', *args],
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == status, done
    return json.loads(done.stdout) if status == 0 else done.stderr.decode()


def umount():
    output('cairn', 'umount', 'mnt')


# --- which ----------------------------------------------------------------------------------------

@pytest.mark.parametrize('options, backend, state', [
    ([], 'fuse', 'checked'),
    (['-o', 'noverity'], 'kernel', 'unverified'),
    (['--require', 'checked'], 'fuse', 'checked'),
    (['--backend', 'kernel'], 'kernel', 'unverified'),
    (['--backend', 'kernel', '--require', 'checked'], 'kernel', 'checked'),
    (['--backend', 'fuse', '-o', 'noverity'], 'fuse', 'unverified'),
    (['-o', 'upperdir=upper,workdir=work'], 'kernel', 'unverified'),
    (['-o', 'upperdir=upper,workdir=work', '--require', 'checked'], 'kernel', 'checked'),
])
def test_root(options, backend, state):
    os.mkdir('upper')
    os.mkdir('work')
    row = mount(*options)
    assert (row['backend'], row['state']) == (backend, state)
    there = json.loads(run('cairn', 'mounts', '--json', 'mnt').stdout)
    assert (there['backend'], there['state'], there['digest']) == (backend, state, row['digest'])
    assert there['image'] == os.path.realpath('image')
    umount()


@pytest.mark.parametrize('options', [['-o', 'verity'], ['--require', 'enforced'],
                                     ['--backend', 'fuse', '--require', 'enforced'],
                                     ['--backend', 'kernel', '-o', 'verity']])
def test_what_cannot_be_had(options):
    assert mount(*options, status=4)
    assert not os.path.ismount('mnt')


def test_digest():
    """Without fs-verity a digest pins what a process serves."""
    digest = mount()['digest']
    umount()
    assert mount('-o', f'digest={digest}')['backend'] == 'fuse'
    umount()
    assert 'digest' in mount('-o', f'digest={"1" * 64}', status=3)
    assert 'has no fs-verity' in mount('--backend', 'kernel', '-o', f'digest={digest}', status=3)


def in_namespace(script):
    done = subprocess.run([*IN_NAMESPACE, 'bash', '-euc', script], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done
    return done.stdout.decode()


MOUNT = './cairn mount image mnt -s store --json'


@pytest.mark.skipif(not USER_OVERLAY, reason='overlayfs has no userxattr with data-only layers before 6.16')
@pytest.mark.parametrize('options, backend, state', [
    ('', 'fuse', 'checked'),
    ('-o noverity', 'overlay', 'unverified'),
    ('--backend overlay', 'overlay', 'checked'),
    ('-o upperdir=/mnt/upper,workdir=/mnt/work', 'overlay', 'checked'),
])
def test_user(options, backend, state):
    said = in_namespace(f'mount -t tmpfs x /mnt; mkdir /mnt/upper /mnt/work; {MOUNT} {options};'
                        './cairn mounts --json mnt; ./cairn umount mnt')
    row, there = map(json.loads, said.splitlines()[:2])
    assert (row['backend'], row['state']) == (backend, state)
    assert (there['backend'], there['state'], there['digest']) == (backend, state, row['digest'])


@pytest.mark.skipif(not USER_OVERLAY, reason='overlayfs has no userxattr with data-only layers before 6.16')
def test_user_is_refused():
    """A wrong object is found when it is mounted, as the kernel cannot find it later."""
    big = max(('store/objects/' + os.path.relpath(os.path.join(parent, name), 'store/objects')
               for parent, _, names in os.walk('store/objects') for name in names), key=os.path.getsize)
    with open(big, 'r+b') as f:
        f.write(b'!')
    said = in_namespace(f'! {MOUNT} --backend overlay 2>&1; ls mnt | wc -l')
    assert 'its content does not have its digest' in said and said.endswith('\n0\n')


# --- what it shows --------------------------------------------------------------------------------

LISTING = r'''cd "$1"; find . -mindepth 1 -printf '%p %m %y %l %n %s %T@\n' | sort;
find . -mindepth 1 -type f -exec sha256sum {} + | sort -k2;
getfattr -R -d -h -m ^user -e hex . 2>/dev/null'''


def listing(path, prefix=()):
    with open('listing', 'w', encoding='ascii') as f:
        f.write(LISTING)
    return subprocess.run([*prefix, 'bash', 'listing', path], capture_output=True, check=True).stdout


@pytest.mark.parametrize('backend', ['fuse', 'overlay'])
def test_like_the_kernel(backend):
    if backend == 'overlay' and not USER_OVERLAY:
        pytest.skip('overlayfs has no userxattr with data-only layers before 6.16')
    with m.Mount('image', 'kernel', bases=['store/objects']):
        expected = listing('kernel')
        mount('--backend', backend)
        assert listing('mnt') == expected
        umount()
    with open('listing', 'w', encoding='ascii') as f:
        f.write(LISTING)
    assert in_namespace(f'{MOUNT} --backend {backend} >/dev/null; bash listing mnt').encode() == expected


# --- features -------------------------------------------------------------------------------------

def features(*args, prefix=()):
    done = subprocess.run([*prefix, './cairn', 'features', '--json', *args], capture_output=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {r['feature']: r['have'] for r in rows if 'feature' in r}, rows


def test_features_of_root():
    before = m.mountinfo(), sorted(os.listdir('store'))
    have, rows = features('-s', 'store')
    assert have['mount'] == have['erofs'] == have['fuse'] == 'yes'
    assert have['erofs-file'] == ('yes' if m.FROM_FILE else 'no')
    assert have['data-only'] == ('yes' if m.KERNEL >= (6, 5) else 'no')
    assert have['detached'] == ('yes' if m.KERNEL >= (6, 15) else 'no')
    assert have['overlay-verity'] == ('yes' if m.VERITY else 'no')
    assert have['overlay-user'] == have['overlay-user-verity'] == ('yes' if USER_OVERLAY else 'no')
    assert have['verity'] == ('yes' if m.has_verity('.') else 'no')
    assert have['idmap'] == 'yes'
    assert rows[-1] == {'use': 'fuse', 'state': 'checked'}
    assert (m.mountinfo(), sorted(os.listdir('store'))) == before
    assert 'A mount would be checked' in run('cairn', 'features', '-s', 'store').stdout.decode()


def test_features_of_a_user():
    have, rows = features('-s', 'store', prefix=NOBODY)
    assert have['mount'] == have['erofs'] == 'no'
    assert have['detached'] == have['idmap'] == 'unknown'
    assert have['overlay-user'] == ('yes' if USER_OVERLAY else 'no')
    assert rows[-1]['use'] == 'fuse'
    assert all(r['hint'] is None or r['have'] == 'no' for r in rows[:-1])


def test_features_without_fuse():
    os.chmod('fuse', 0o600)
    have, _ = features(prefix=NOBODY)
    assert have['fuse'] == 'no'
    said = subprocess.run([*NOBODY, './cairn', 'features'], capture_output=True, check=True).stdout.decode()
    assert '/dev/fuse: Permission denied' in said and 'chmod 666 /dev/fuse' in said
