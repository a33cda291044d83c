# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""cairn_mount() through this machine's kernel: every way to mount, every option, every refusal.

As root, in a mount namespace of the test's own. What needs fs-verity is in tests/vm.
"""

import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import mounting as m  # noqa: E402
from programs import STRACE  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='needs root')

# Those that this kernel has; in an emulated guest, where time counts, not one that every kernel has.
HERE = {name: way for name, way in zip(('descriptor', 'path', 'string', 'merging'), m.WAYS)
        if m.KERNEL >= m.SINCE[way] and not (way == m.BY_MERGING and m.GUEST and m.KERNEL >= (6, 5))}
every_way = pytest.mark.parametrize('way', HERE.values(), ids=HERE.keys())


@pytest.fixture(scope='module', autouse=True)
def namespace():
    m.private_namespace()


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir('mnt')
    m.write_store('objects')
    m.write_image('image')
    before = m.mountinfo()
    yield
    assert m.mountinfo() == before
    assert wait_for(lambda: not loops())


def loops():
    """The loop devices over files of this test; other tests may have theirs."""
    return {os.path.dirname(f) for f in glob.glob('/sys/block/loop*/loop/backing_file')
            if os.getcwd() in (read(f) or '')}


def read(path):
    try:
        with open(path, encoding='utf-8', errors='surrogateescape') as f:
            return f.read().strip()
    except OSError:
        return None


def wait_for(condition):
    for _ in range(500):
        if condition():
            return True
        time.sleep(0.01)
    return False


def tmpfs(path, options='size=8m'):
    os.makedirs(path, exist_ok=True)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', path], check=True)


# --- the ways -------------------------------------------------------------------------------------

@every_way
def test_same_tree(way):
    mounts = len(m.mountinfo())
    with m.Mount('image', ways=way) as result:
        assert (result.loop, result.verity) == (not m.FROM_FILE, 0)
        assert result.detached == (way == m.BY_DESCRIPTOR)
        m.check_tree('mnt')
        m.check_root('mnt')
        assert len(m.mountinfo()) == mounts + 1
        assert m.mountinfo()[-1][-2] == 'composefs'


def test_newest_way_is_taken():
    with m.Mount('image') as result:
        assert result.detached == (m.KERNEL >= (6, 15))


@every_way
@pytest.mark.parametrize('version', [0, 1, 2])
def test_versions(way, version):
    """Ordinary layers would show the store's names: only images with stubs over them may be merged."""
    m.write_image('image', version)
    if version == 2 and way == m.BY_MERGING:
        result = m.tool('image', 'mnt', ways=way)
        assert (result.code, result.kind) == (95, m.UNSUPPORTED), result
        return
    with m.Mount('image', ways=way):
        m.check_tree('mnt')
        m.check_root('mnt', m.MTIME_NS if version < 2 else m.MTIME_NS // 10**9 * 10**9)


def test_merging_hides_the_objects():
    with m.Mount('image', ways=m.BY_MERGING):
        assert not [n for n in range(256) if os.path.exists(f'mnt/{n:02x}')]


@every_way
def test_odd_paths(way):
    odd = 'a,b:c\\d e"f\n'
    os.mkdir(odd)
    for name in 'image', 'objects', 'mnt':
        os.rename(name, os.path.join(odd, name))
    for name in 'more', 'upper', 'work':
        os.mkdir(os.path.join(odd, name))
    for prefix in '', os.getcwd() + '/':
        at = {n: prefix + os.path.join(odd, n) for n in os.listdir(odd)}
        with m.Mount(at['image'], at['mnt'], bases=[at['more'], at['objects']], upper=at['upper'],
                     work=at['work'], ways=way):
            m.check_tree(at['mnt'])
            with open(at['mnt'] + '/new', 'w', encoding='ascii'):
                pass
            assert os.listdir(at['upper']) == ['new']
            os.unlink(at['mnt'] + '/new')


@every_way
def test_long_paths(way):
    deep = '/'.join(['long' * 20] * 8)
    os.makedirs(deep)
    for name in 'objects', 'mnt':
        os.rename(name, os.path.join(deep, name))
    for name in 'upper', 'work':
        os.mkdir(os.path.join(deep, name))
    with m.Mount('image', deep + '/mnt', bases=[deep + '/objects'], upper=deep + '/upper',
                 work=deep + '/work', ways=way):
        m.check_tree(deep + '/mnt')


@every_way
def test_too_many_long_paths(way):
    deep = '/'.join(['long' * 20] * 8)
    os.makedirs(deep)
    bases = ['objects']
    for i in range(8):
        bases.append(f'{deep}/{i}')
        os.mkdir(bases[-1])
    if way in (m.BY_STRING, m.BY_MERGING):
        result = m.tool('image', 'mnt', bases=bases, ways=way)
        assert (result.code, result.kind) == (36, m.UNSUPPORTED), result
    else:
        with m.Mount('image', bases=bases, ways=way):
            m.check_tree('mnt')


@every_way
def test_several_stores(way):
    """The first store that has an object gives it."""
    big = m.FILES['/big']
    other = m.object_path('first', big)
    os.makedirs(os.path.dirname(other))
    with open(other, 'wb') as f:
        f.write(b'F' * len(big))
    with m.Mount('image', bases=['first', 'objects'], ways=way):
        assert m.facts('mnt/big')['content'] == b'F' * len(big)
        assert m.facts('mnt/sub/other')['content'] == m.FILES['/sub/other']
    with m.Mount('image', bases=['objects', 'first'], ways=way):
        m.check_tree('mnt')


@every_way
def test_upper(way):
    os.mkdir('upper')
    os.mkdir('work')
    with m.Mount('image', upper='upper', work='work', ways=way):
        m.check_tree('mnt')
        with open('mnt/sub/other', 'ab') as f:
            f.write(b'more')
        os.unlink('mnt/inline')
        assert m.facts('upper/sub/other')['content'] == m.FILES['/sub/other'] + b'more'
        assert os.statvfs('mnt').f_blocks == os.statvfs('upper').f_blocks
    with m.Mount('image', upper='upper', work='work', ways=way):
        assert m.facts('mnt/sub/other')['content'] == m.FILES['/sub/other'] + b'more'
        assert not os.path.exists('mnt/inline')


@every_way
def test_attributes(way):
    os.mkdir('upper')
    os.mkdir('work')
    for flags, shown in ((0, {'rw'}), (m.READ_ONLY, {'ro'}), (m.NOATIME, {'rw', 'noatime'}),
                         (m.NOSUID | m.NODEV | m.NOEXEC, {'rw', 'nosuid', 'nodev', 'noexec'})):
        with m.Mount('image', flags=flags, upper='upper', work='work', ways=way):
            assert set(m.mountinfo()[-1][5].split(',')) - {'relatime'} == shown
            if flags & m.READ_ONLY:
                with pytest.raises(OSError, match='Read-only'):
                    os.mkdir('mnt/new')
            if flags & m.NOEXEC:
                with pytest.raises(PermissionError):
                    subprocess.run(['mnt/sub/run'], check=False)


@every_way
def test_idmap(way):
    with m.UserNamespace(100000, 200000) as namespace:
        with m.Mount('image', idmap=namespace, ways=way):
            assert m.facts('mnt')['owner'] == (100012, 200034)
            assert m.facts('mnt/big')['owner'] == (100005, 200006)
            assert m.facts('mnt/big')['content'] == m.FILES['/big']
    result = m.tool('image', 'mnt', idmap='image', ways=way)
    assert result.code and result.text.startswith('image: map owners: '), result


@every_way
def test_acl(way):
    """ACLs count where the header says that there are some, or where it cannot say."""
    for version, shown in (0, True), (1, True), (2, True):
        m.write_image('image', version, acl=True)
        if version == 2 and way == m.BY_MERGING:
            continue
        with m.Mount('image', ways=way):
            assert ('system.posix_acl_access' in os.listxattr('mnt/big')) == shown
    m.write_image('image', 0, acl=True)
    with open('image', 'r+b') as f:
        f.seek(8)
        f.write(bytes(4))
    with m.Mount('image', ways=way):
        with pytest.raises(OSError):
            os.getxattr('mnt/big', 'system.posix_acl_access')


def test_mount_point_through_a_link():
    os.symlink('mnt', 'to-mnt')
    with m.Mount('image', 'to-mnt'):
        m.check_tree('mnt')


def test_on_top_of_itself():
    with m.Mount('image'), m.Mount('image'):
        m.check_tree('mnt')


# --- loop devices ---------------------------------------------------------------------------------

@pytest.mark.skipif(not os.path.exists('/dev/loop-control'), reason='no loop devices')
@every_way
def test_loop(way):
    """An image on tmpfs cannot be mounted from the file."""
    tmpfs('memory')
    shutil.copy('image', 'memory/image')
    with m.Mount('memory/image', ways=way) as result:
        assert result.loop == 1
        m.check_tree('mnt')
        loop, = loops()
        assert read(f'{loop}/autoclear') == '1'
        assert read(f'{loop}/../ro') == '1'
        assert read(f'{loop}/../queue/logical_block_size') == '4096'
        assert read(f'{loop}/backing_file').endswith('/memory/image')
    assert wait_for(lambda: not loops())
    subprocess.run(['umount', 'memory'], check=True)


@pytest.mark.skipif(not os.path.exists('/dev/loop-control'), reason='no loop devices')
def test_loop_race():
    """GET_FREE names one device to many; all must get one in the end."""
    tmpfs('memory')
    for i in range(12):
        os.mkdir(f'mnt{i}')
        shutil.copy('image', f'memory/image{i}')
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        results = list(pool.map(lambda i: m.tool(f'memory/image{i}', f'mnt{i}'), range(12)))
    for i, result in enumerate(results):
        assert result.ok and result.loop, result
        m.check_tree(f'mnt{i}')
        m.umount(f'mnt{i}')
    assert wait_for(lambda: not loops())
    subprocess.run(['umount', 'memory'], check=True)


@pytest.mark.skipif(not os.path.exists('/dev/loop-control'), reason='no loop devices')
def test_loop_that_is_no_image():
    tmpfs('memory')
    with open('image', 'rb') as f, open('memory/image', 'wb') as out:
        out.write(f.read(32) + bytes(8192 - 32))
    result = m.tool('memory/image', 'mnt')
    assert result.code == 22 and result.text.startswith('image: erofs: /dev/loop'), result
    assert wait_for(lambda: not loops())
    subprocess.run(['umount', 'memory'], check=True)


# --- refusals -------------------------------------------------------------------------------------

REFUSALS = [
    (dict(bases=[]), 22, m.USAGE, 'no object directory given'),
    (dict(flags=1 << 20), 22, m.USAGE, 'unknown mount flags 0x100000'),
    (dict(upper='upper'), 22, m.USAGE, 'an upper directory needs a work directory.*'),
    (dict(work='work'), 22, m.USAGE, 'an upper directory needs a work directory.*'),
    (dict(bases=['none']), 2, m.SYSTEM, 'object directory none: No such file or directory'),
    (dict(bases=['image']), 20, m.SYSTEM, 'object directory image: Not a directory'),
    (dict(bases=['objects', './objects']), 40, m.USAGE, 'object directory ./objects is given twice'),
    (dict(bases=['.', 'objects']), 40, m.SYSTEM, r'overlayfs: .*\(overlayfs: overlapping lowerdir path\)'),
    (dict(upper='none', work='work'), 2, m.SYSTEM, 'upper directory none: No such file or directory'),
    (dict(upper='upper', work='none'), 2, m.SYSTEM, 'work directory none: No such file or directory'),
    (dict(upper='upper', work='upper'), 22, m.SYSTEM,
     r'overlayfs: .*: Invalid argument \(overlayfs: workdir and upperdir must be separate subtrees\)'),
    (dict(image='text'), 22, m.FORMAT, 'image: not a composefs image'),
    (dict(image='objects'), 21, m.SYSTEM, 'image: read: Is a directory'),
    (dict(image='header'), 22, m.SYSTEM, r'image: erofs: .*Invalid argument.*superblock.*'),
    (dict(target='none'), 2, m.SYSTEM, 'mount point none: No such file or directory'),
    (dict(target='image'), 20, m.SYSTEM, 'mount point image: Not a directory'),
]


@every_way
@pytest.mark.parametrize('options, code, kind, text', REFUSALS, ids=[r[3][:30] for r in REFUSALS])
def test_refusals(way, options, code, kind, text):
    os.mkdir('upper')
    os.mkdir('work')
    with open('text', 'w', encoding='ascii') as f:
        f.write('text' * 5000)
    with open('image', 'rb') as f, open('header', 'wb') as out:
        out.write(f.read(32) + bytes(8192 - 32))
    result = m.tool(**{'image': 'image', 'target': 'mnt', 'ways': way, **options})
    assert not result.ok and (result.code, result.kind) == (code, kind), result
    assert re.fullmatch(text, result.text), result.text


def test_first_kernel_words_are_the_last_way_s():
    """A failure that two ways share is told once."""
    os.mkdir('upper')
    result = m.tool('image', 'mnt', upper='upper', work='upper')
    assert result.text.count('separate subtrees') == 1, result


# --- verity, on a file system without it ----------------------------------------------------------

@pytest.fixture
def no_verity():
    """The files on a file system without fs-verity."""
    if m.has_verity('.'):
        tmpfs('none')
        for name in 'objects', 'image':
            shutil.move(name, 'none')
            os.symlink('none/' + name, name)
        yield
        subprocess.run(['umount', 'none'], check=True)
    else:
        yield


@every_way
def test_verity_that_cannot_be(way, no_verity):
    result = m.tool('image', 'mnt', verity='require', ways=way)
    assert (result.code, result.kind) == (95, m.UNSUPPORTED), result
    assert result.text == ('verity is required, but ' + (
        'the file system of objects, or this kernel, has no fs-verity' if m.VERITY else
        'overlayfs of this kernel cannot enforce it (Linux 6.6 can)'))
    with m.Mount('image', verity='try', ways=way) as result:
        assert result.verity == 0
        m.check_tree('mnt')


@pytest.mark.skipif(not m.VERITY, reason='no verity in overlayfs')
@pytest.mark.parametrize('verity', ['try', 'require'])
def test_verity_as_the_reference(verity, no_verity):
    """Its tryverity mounts, and then no file can be opened."""
    with m.Mount('image', verity=verity, flags=m.COMPAT) as result:
        assert result.verity == 1
        assert m.facts('mnt/inline')['content'] == m.INLINE
        with pytest.raises(OSError, match='Input/output error'):
            m.facts('mnt/big')


def test_digest_without_verity(no_verity):
    digest = m.write_image('image')
    result = m.tool('image', 'mnt', digest=digest)
    assert (result.code, result.kind) == (25, m.DIGEST), result
    assert re.match('image: a digest is required, but .* fs-verity', result.text)


@pytest.mark.skipif(not m.VERITY, reason='no verity in overlayfs')
def test_merging_is_no_way_with_verity():
    result = m.tool('image', 'mnt', verity='require', flags=m.COMPAT, ways=m.BY_MERGING)
    assert (result.code, result.kind) == (95, m.UNSUPPORTED), result


# --- unmounting -----------------------------------------------------------------------------------

def test_umount():
    done = subprocess.run([m.TOOL, '-U', 'mnt'], capture_output=True, text=True, check=False)
    assert done.stdout == 'error code=22 kind=1 mnt: not a mount point\n'
    done = subprocess.run([m.TOOL, '-U', 'none'], capture_output=True, text=True, check=False)
    assert done.stdout == 'error code=2 kind=1 unmount none: No such file or directory\n'

    assert m.tool('image', 'mnt').ok
    with open('mnt/big', 'rb') as f:
        done = subprocess.run([m.TOOL, '-U', 'mnt'], capture_output=True, text=True, check=False)
        assert done.stdout.startswith('error code=16 kind=1 mnt: in use'), done
        subprocess.run([m.TOOL, '-L', 'mnt'], check=True, capture_output=True)
        assert not os.path.exists('mnt/big')
        assert f.read() == m.FILES['/big']


# --- interrupted ----------------------------------------------------------------------------------

CALLS = ['fsopen', 'fsconfig', 'fsmount', 'move_mount', 'mount', 'open_tree', 'unshare', 'ioctl', 'fsetxattr',
         'utimensat']
traced = pytest.mark.skipif(not shutil.which('strace'), reason='no strace')


def calls_of(way, image):
    """How often a mount makes each of the calls."""
    result = m.tool(image, 'mnt', ways=way, prefix=[*STRACE, 'trace', '-e', ','.join(CALLS)])
    assert result.ok, result
    m.umount('mnt')
    with open('trace', encoding='utf-8') as f:
        names = [re.match(r'\d+ +(\w+)\(', line) for line in f]
    return [(name, nr) for name in CALLS
            for nr in range(1, [n[1] for n in names if n].count(name) + 1)]


@traced
@every_way
@pytest.mark.parametrize('fault', ['signal=KILL', 'error=ENOMEM', 'error=EPERM'])
def test_nothing_stays_behind(way, fault):
    """Killed, or refused, at every call in turn: no mount, no loop device, no file; if the tool says
    that it failed, it says why, and if it says that it mounted, the mount is right."""
    image = 'image'
    if os.path.exists('/dev/loop-control'):
        tmpfs('memory')
        shutil.copy('image', 'memory/image')
        image = 'memory/image'
    mounts = len(m.mountinfo())
    for name, nr in calls_of(way, image):
        result = m.tool(image, 'mnt', ways=way, prefix=[
            *STRACE, 'trace', '-e', f'inject={name}:{fault}:when={nr}'])
        if result.ok:
            m.check_tree('mnt')
            m.umount('mnt')
        elif result.code is None:
            # Killed when all was done but the answer: then the mount is there, whole.
            assert fault == 'signal=KILL', result
            if len(m.mountinfo()) > mounts:
                m.check_tree('mnt')
                m.umount('mnt')
        else:
            assert result.code in (12, 1, 95, 22) and result.text, (name, nr, result)
        assert len(m.mountinfo()) == mounts, (name, nr)
        assert os.listdir('mnt') == [], (name, nr)
        assert wait_for(lambda: not loops()), (name, nr)
    if image != 'image':
        subprocess.run(['umount', 'memory'], check=True)
