# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Mounts that the kernel verifies: $SCRATCH is a file system with fs-verity."""

# guest: 6.12 6.18

import os
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import mounting as m  # noqa: E402
import programs  # noqa: E402

SCRATCH = os.environ.get('SCRATCH', '/nonexistent')
pytestmark = [
    pytest.mark.skipif(not os.path.isdir(SCRATCH), reason='no $SCRATCH: for tests/lib/guest.py'),
    pytest.mark.skipif(not m.VERITY, reason='no verity in overlayfs')]

BIG = m.FILES['/big']

WAYS = [way for way in m.WAYS if m.KERNEL >= m.SINCE[way] and way != m.BY_MERGING]
every_way = pytest.mark.parametrize('way', WAYS)


def enable(path, *options):
    subprocess.run(['fsverity', 'enable', *options, path], check=True)


def enable_all(objects):
    for parent, _, names in os.walk(objects):
        for name in names:
            enable(os.path.join(parent, name))


def replace(path, data, verity):
    """Puts another file in the place of an object."""
    os.unlink(path)
    with open(path, 'wb') as f:
        f.write(data)
    if verity:
        enable(path)


@pytest.fixture(autouse=True)
def files(request, monkeypatch):
    """A store and an image with fs-verity; self-made ones where a test wants them otherwise."""
    work = os.path.join(SCRATCH, re.sub(r'\W', '_', request.node.name))
    os.mkdir(work)
    monkeypatch.chdir(work)
    os.mkdir('mnt')
    m.write_store('objects')
    enable_all('objects')
    global DIGEST
    DIGEST = m.write_image('image')
    enable('image')
    before = m.mountinfo()
    yield
    assert m.mountinfo() == before


# --- what works -----------------------------------------------------------------------------------

@every_way
def test_verity_and_digest(way):
    with m.Mount('image', digest=DIGEST, verity='require', ways=way) as result:
        assert result.verity == 1
        m.check_tree('mnt')
        m.check_root('mnt')
        assert 'verity=require' in m.mountinfo()[-1][-1].split(',')


@every_way
def test_try_is_require_where_it_can_be(way):
    with m.Mount('image', verity='try', ways=way) as result:
        assert result.verity == 1
        m.check_tree('mnt')


def test_sha512():
    shutil.copy('image', 'other')
    enable('other', '--hash-alg=sha512')
    measured = subprocess.run(['fsverity', 'measure', 'other'], capture_output=True, text=True, check=True)
    digest = measured.stdout.split()[0].split(':')[1]
    with m.Mount('other', digest=digest):
        m.check_tree('mnt')
    assert m.tool('image', 'mnt', digest=digest).code == 84


def test_upper_over_verity():
    os.mkdir('upper')
    os.mkdir('work')
    with m.Mount('image', verity='require', upper='upper', work='work'):
        with open('mnt/big', 'ab') as f:
            f.write(b'more')
        assert m.facts('mnt/big')['content'] == BIG + b'more'


def test_df():
    store = os.statvfs(SCRATCH)
    with m.Mount('image', verity='require') as result:
        shown = os.statvfs('mnt')
        if result.detached:
            assert abs(shown.f_bavail - store.f_bavail) * shown.f_frsize < 1 << 20
        else:
            assert shown.f_bavail == 0


# --- what is refused at the mount -----------------------------------------------------------------

def refused(code, kind, text, image='image', **options):
    result = m.tool(image, 'mnt', **options)
    assert not result.ok and (result.code, result.kind) == (code, kind), result
    assert re.fullmatch(text, result.text), result.text


def test_wrong_digest():
    wrong = '00' * 32
    refused(84, m.DIGEST, f'image: fs-verity digest is {DIGEST}, expected {wrong}', digest=wrong)


def test_image_without_verity():
    shutil.copy('image', 'copy')
    refused(25, m.DIGEST, 'image: a digest is required, but fs-verity is not enabled on the file',
            image='copy', digest=DIGEST)


def test_image_where_no_verity_can_be():
    shutil.copy('image', '/tmp/copy')
    refused(25, m.DIGEST, 'image: a digest is required, but its file system or this kernel has no '
            'fs-verity', image='/tmp/copy', digest=DIGEST)


@pytest.mark.parametrize('options', [['--salt=00ff'], ['--block-size=1024']])
def test_image_with_other_parameters(options):
    shutil.copy('image', 'copy')
    try:
        enable('copy', *options)
    except subprocess.CalledProcessError:
        pytest.skip('this kernel has no such parameters')
    refused(84, m.DIGEST, 'image: fs-verity has other parameters.*', image='copy', digest=DIGEST)


def test_store_where_no_verity_can_be():
    m.write_store('/tmp/store')
    text = ('verity is required, but the file system of /tmp/store, or this kernel, has no fs-verity')
    refused(95, m.UNSUPPORTED, text, bases=['/tmp/store'], verity='require')
    refused(95, m.UNSUPPORTED, text, bases=['objects', '/tmp/store'], verity='require')
    with m.Mount('image', bases=['objects', '/tmp/store'], verity='try') as result:
        assert result.verity == 0


def test_merging():
    refused(95, m.UNSUPPORTED, 'overlayfs: verity needs data-only layers.*', verity='require',
            ways=m.BY_MERGING)


# --- what is refused at the file ------------------------------------------------------------------

def open_fails(path):
    with pytest.raises(OSError, match='Input/output error'):
        m.facts(path)


@every_way
def test_replaced_object(way):
    replace(m.object_path('objects', BIG), b'!' * len(BIG), verity=True)
    with m.Mount('image', verity='require', ways=way):
        open_fails('mnt/big')
        assert os.stat('mnt/big').st_size == len(BIG)
        assert m.facts('mnt/sub/other')['content'] == m.FILES['/sub/other']
    with m.Mount('image', ways=way):
        assert m.facts('mnt/big')['content'] == b'!' * len(BIG)


@every_way
def test_object_without_verity(way):
    replace(m.object_path('objects', BIG), BIG, verity=False)
    with m.Mount('image', verity='require', ways=way):
        open_fails('mnt/big')
        open_fails('mnt/hard')
        assert m.facts('mnt/sub/other')['content'] == m.FILES['/sub/other']


def test_missing_object():
    os.unlink(m.object_path('objects', BIG))
    with m.Mount('image', verity='require'):
        with pytest.raises(FileNotFoundError):
            m.facts('mnt/big')


def test_object_replaced_under_the_mount():
    with m.Mount('image', verity='require'):
        replace(m.object_path('objects', BIG), b'!' * len(BIG), verity=True)
        open_fails('mnt/big')


# --- tryverity asks the store ---------------------------------------------------------------------

def test_try_with_objects_without_verity():
    for data in m.FILES.values():
        replace(m.object_path('objects', data), data, verity=False)
    with m.Mount('image', verity='try') as result:
        assert result.verity == 0
        m.check_tree('mnt')


def test_try_with_one_object_without_verity():
    replace(m.object_path('objects', BIG), BIG, verity=False)
    with m.Mount('image', verity='try') as result:
        assert result.verity == 0
        m.check_tree('mnt')


def test_try_with_an_empty_store():
    os.mkdir('empty')
    with m.Mount('image', bases=['empty', 'objects'], verity='try') as result:
        assert result.verity == 1
        m.check_tree('mnt')


# --- the whole way, through cairn(1) --------------------------------------------------------------

def cairn(*args, status=0):
    done = subprocess.run([programs.program('cairn'), *args], capture_output=True, text=True, check=False)
    assert done.returncode == status, (args, done)
    return done.stdout + done.stderr


def test_from_directory_to_verified_mount():
    os.makedirs('tree/sub')
    for name, data in ('big', BIG), ('sub/other', b'other' * 1000), ('small', b'small'):
        with open('tree/' + name, 'wb') as f:
            f.write(data)
    os.link('tree/big', 'tree/sub/again')
    os.symlink('big', 'tree/link')
    digest = cairn('build', 'tree', '-o', 'built', '--store', 'store').split()[-1]
    if subprocess.run(['fsverity', 'measure', 'built'], capture_output=True, check=False).returncode:
        enable('built')

    cairn('mount', 'built', 'mnt', '--store', 'store', '-o', f'digest={digest}')
    assert 'verity=require' in m.mountinfo()[-1][-1]
    subprocess.run(['diff', '-r', '--no-dereference', 'tree', 'mnt'], check=True)
    assert m.tree('mnt').keys() == m.tree('tree').keys()
    cairn('umount', 'mnt')

    said = cairn('mount', 'built', 'mnt', '--store', 'store', '-o', 'digest=' + '1' * 64, status=3)
    assert f'fs-verity digest is {digest}, expected 1111' in said
    replace(m.object_path('store/objects', BIG), b'!' * len(BIG), verity=True)
    cairn('mount', 'built', 'mnt', '--store', 'store', '-o', f'digest={digest}')
    open_fails('mnt/big')
    cairn('umount', 'mnt')


# --- the image itself -----------------------------------------------------------------------------

def test_image_changed_on_the_disk():
    """A digest pins the image for as long as it is mounted: a block that changes beneath is an error,
    not other names."""
    where = subprocess.run(['filefrag', '-v', '-b4096', 'image'], capture_output=True, text=True, check=True)
    block = int(re.search(r'^ +0: +0\.\. +\d+: +(\d+)\.\.', where.stdout, re.M)[1])
    device = '/dev/' + os.path.basename([f for f in m.mountinfo() if f[4] == SCRATCH][0][-2])
    size = os.path.getsize('image')
    subprocess.run(['sync'], check=True)
    with open(device, 'r+b') as f:
        f.seek(block * 4096 + 1152)
        f.write(b'\xff' * 64)
    subprocess.run(['sync'], check=True)
    with open('/proc/sys/vm/drop_caches', 'w', encoding='ascii') as f:
        f.write('3')
    result = m.tool('image', 'mnt', digest=DIGEST)
    assert not result.ok, (result, size)
