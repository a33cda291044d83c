# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""How it is kept that what is read is right: what `cairn mount` promises and refuses on this kernel, what it
remembers, and what `cairn mounts` tells. What needs fs-verity is in tests/vm."""

import glob
import json
import os
import shutil
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import mounting as m  # noqa: E402
from programs import STRACE, program, run  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='needs root')

LARGE = bytes(range(256)) * 3000


@pytest.fixture(scope='module', autouse=True)
def namespace():
    m.private_namespace()


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """An image and a store, made long enough ago to be remembered."""
    monkeypatch.chdir(tmp_path)
    os.makedirs('tree/sub')
    os.mkdir('mnt')
    for name, data in ('large', LARGE), ('sub/other', LARGE[:70000]), ('same', LARGE), ('small', b'small\n'):
        with open('tree/' + name, 'wb') as f:
            f.write(data)
    cairn('build', '-q', 'tree', '-o', 'image', '--store', 'store')
    yield
    subprocess.run(['umount', '-q', 'mnt'], check=False)


def settle():
    """Until files that were just written can be remembered."""
    time.sleep(3.1)


def cairn(*args, status=0):
    done = run('cairn', *args)
    assert done.returncode == status, (args, done)
    return done.stdout.decode() + done.stderr.decode()


def mount(*args, image='image', status=0):
    said = cairn('mount', image, 'mnt', '--store', 'store', '-o', 'noverity', '--json', *args, status=status)
    if status:
        return said
    row = json.loads(said.splitlines()[0])
    return row


def mounted(target='mnt'):
    return json.loads(cairn('mounts', '--json', target))


def umount():
    cairn('umount', 'mnt')


def test_unverified():
    row = mount()
    assert (row['state'], row['image_state'], row['contents']) == ('unverified', 'checked', 'unverified')
    there = mounted()
    assert there['state'] == 'unverified'
    assert there['digest'] == row['digest'] == cairn('digest', 'tree').split()[0]
    assert there['image'] == os.path.realpath('image')
    assert there['stores'] == [os.path.realpath('store/objects')]
    assert (there['format'], there['backend'], there['writable']) == (0, 'kernel', False)


def test_checked():
    before = int(time.time())
    row = mount('--require', 'checked')
    assert (row['state'], row['objects_verified'], row['objects_remembered']) == ('checked', 2, 0)
    there = mounted()
    assert there['state'] == 'checked'
    assert before <= there['checked'] <= time.time()


def test_what_is_verified_is_remembered():
    settle()
    assert mount('--verify')['objects_verified'] == 2
    first = mounted()['checked']
    umount()
    time.sleep(1.1)
    row = mount('--verify')
    assert (row['objects_verified'], row['objects_remembered'], row['remembered']) == (0, 2, True)
    assert mounted()['checked'] == first
    umount()

    # The folder may be deleted.
    shutil.rmtree('store/cairn')
    assert mount('--verify')['objects_verified'] == 2
    umount()

    # A touched file is read again, and only that.
    os.utime(objects()[0])
    row = mount('--verify')
    assert (row['objects_verified'], row['objects_remembered']) == (1, 1)


def objects():
    return sorted(glob.glob('store/objects/??/*'))


@pytest.mark.parametrize('remembered', [False, True])
def test_wrong_object(remembered):
    if remembered:
        settle()
        mount('--verify')
        umount()
    path = objects()[0]
    with open(path, 'r+b') as f:
        f.seek(os.path.getsize(path) // 2)
        byte = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([byte[0] ^ 1]))
    said = mount('--require', 'checked', status=3)
    assert f'{path[len("store/objects/"):]}: its content does not have its digest' in said
    assert not os.path.ismount('mnt')
    # Nobody asked: as before.
    assert mount()['contents'] == 'unverified'


def test_missing_object():
    path = objects()[0]
    os.unlink(path)
    assert 'No such file' in mount('--verify', status=1)
    assert not os.path.ismount('mnt')


def test_what_cannot_be_had():
    said = mount('--require', 'enforced', status=4)
    assert "cairn: mount: image: " in said
    assert not os.path.ismount('mnt')
    said = mount('--require', 'checked', '--no-check', status=4)
    assert "'checked' is required, but the image is not to be checked" in said


def test_the_image_is_checked_once():
    settle()
    assert not mount()['remembered']
    umount()
    assert mount()['remembered']
    umount()
    shutil.copy('image', 'copy')
    assert not mount(image='copy')['remembered']
    umount()
    with open('image', 'r+b') as f:  # also when size and modification time are put back
        before = os.stat('image')
        f.seek(100)
        f.write(b'x')
    os.utime('image', ns=(before.st_atime_ns, before.st_mtime_ns))
    assert 'offset 100' in mount(status=3)


def test_a_memory_of_others_is_not_believed():
    settle()
    mount('--verify')
    umount()
    os.chmod('store/cairn/verified', 0o777)
    row = mount('--verify')
    assert (row['remembered'], row['objects_remembered']) == (False, 0)


def held_at(call, *args):
    """A `cairn mount` that waits a second before @call."""
    return subprocess.Popen(
        [*STRACE, 'trace', '-e', f'trace={call}', '-e', f'inject={call}:delay_enter=1500000:when=1',
         program('cairn'), 'mount', 'image', 'mnt', '--store', 'store', '-o', 'noverity', *args],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def wait_for_trace():
    for _ in range(500):
        if os.path.exists('trace') and os.path.getsize('trace'):
            return
        time.sleep(0.01)
    raise AssertionError('the call never came')


def test_image_swapped_between_check_and_mount():
    """The descriptor that was checked is the one that is mounted; a file that lost its name meanwhile has
    changed, and only its change time tells that its bytes have not."""
    os.mkdir('other')
    cairn('build', '-q', 'other', '-o', 'other.cfs', '--store', 'store')
    process = held_at('fsmount')
    wait_for_trace()
    os.rename('other.cfs', 'image')
    said, _ = process.communicate()
    assert process.returncode == 3, said
    assert b'image: it changed between the check and the mount' in said
    assert not os.path.ismount('mnt')


def test_image_written_between_check_and_mount():
    process = held_at('fsmount')
    wait_for_trace()
    with open('image', 'r+b') as f:
        f.seek(0, 2)
        f.seek(-1, 1)
        f.write(b'x')
    said, _ = process.communicate()
    assert process.returncode == 3, said
    assert b'image: it changed between the check and the mount' in said
    assert not os.path.ismount('mnt')


# --- mounts ---------------------------------------------------------------------------------------

def test_mounts_in_other_places():
    os.mkdir('bound')
    mount()
    subprocess.run(['mount', '--bind', 'mnt', 'bound'], check=True)
    assert {**mounted('bound'), 'target': 0} == {**mounted(), 'target': 0}
    note = glob.glob(f'/run/cairn/*:{os.minor(os.stat("mnt").st_dev)}')
    umount()
    assert mounted('bound')['image'] and os.path.exists(note[0])
    other = subprocess.run(['unshare', '-m', program('cairn'), 'mounts', '--json', 'bound'],
                           capture_output=True, check=True)
    assert json.loads(other.stdout) == mounted('bound')
    cairn('umount', 'bound')
    assert not os.path.exists(note[0])


def test_lazy_unmount():
    mount()
    with open('mnt/small', encoding='ascii') as f:
        assert 'in use' in cairn('umount', 'mnt', status=1)
        assert mounted()['state'] == 'unverified'
        cairn('umount', '--lazy', 'mnt')
        assert 'no image is mounted there' in cairn('mounts', 'mnt', status=1)
        assert f.read() == 'small\n'


def test_stale_note():
    """A note about an older file system with the same number is none about this one."""
    mount()
    note = glob.glob(f'/run/cairn/*:{os.minor(os.stat("mnt").st_dev)}')[0]
    with open(note, encoding='utf-8') as f:
        text = f.read()
    with open(note, 'w', encoding='utf-8') as f:
        f.write(text.replace('composefs:', 'composefs:0'))
    there = mounted()
    assert (there['image'], there['format']) == (None, None)
    assert there['digest']
    os.unlink(note)
    assert mounted() == there


def test_of_another_tool():
    """The drop-in's source is that of the reference, which tells no digest."""
    subprocess.run([program('mount.composefs'), '-o', 'basedir=store/objects', 'image', 'mnt'], check=True)
    there = mounted()
    assert (there['source'], there['digest'], there['state']) == ('composefs', None, 'unverified')


def test_upper():
    os.mkdir('upper')
    os.mkdir('work')
    mount('-o', 'upperdir=upper,workdir=work')
    assert mounted()['writable']
    umount()
