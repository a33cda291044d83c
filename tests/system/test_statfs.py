# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""The claims of docs/design/df.md: what statfs shows, and that nothing else changes for it."""

import os
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import mounting as m  # noqa: E402

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason='needs root'),
    pytest.mark.skipif(m.KERNEL < m.SINCE[m.BY_DESCRIPTOR],
                       reason='overlayfs of this kernel takes no detached mounts')]


@pytest.fixture(scope='module', autouse=True)
def namespace():
    m.private_namespace()


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """Image, objects, two places to mount, and a store on a file system whose numbers stand still."""
    monkeypatch.chdir(tmp_path)
    for name in 'mnt', 'plain', 'store':
        os.mkdir(name)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64m,nr_inodes=5000', 'tmpfs', 'store'], check=True)
    m.write_store('store/objects')
    m.write_image('image')
    yield
    subprocess.run(['umount', 'store'], check=True)


def mount(target='mnt', flags=0, image='image', **options):
    return m.Mount(image, target, bases=['store/objects'], flags=flags, **options)


# --- the numbers ----------------------------------------------------------------------------------

def test_available_space_is_the_store_s():
    store = os.statvfs('store')
    with mount():
        shown = os.statvfs('mnt')
        assert shown.f_bavail * shown.f_frsize == store.f_bavail * store.f_frsize
        assert shown.f_blocks == shown.f_bfree == shown.f_bavail
        assert shown.f_namemax == 255
        assert store.f_ffree <= shown.f_ffree <= store.f_ffree + 65
        df = subprocess.run(['df', '--output=pcent', 'mnt'], capture_output=True, text=True, check=True)
        assert df.stdout.split()[1] == '0%'
        # Any file of the mount gives the same.
        assert os.statvfs('mnt/sub/other')[:5] == shown[:5]


def test_full_store():
    with open('store/fill', 'wb') as f:
        with pytest.raises(OSError):
            while True:
                f.write(bytes(1 << 20))
    try:
        with mount():
            shown = os.statvfs('mnt')
            assert (shown.f_blocks, shown.f_bavail) == (1, 1)
            m.check_tree('mnt')
    finally:
        os.unlink('store/fill')


def test_store_without_numbers():
    subprocess.run(['mount', '-t', 'ramfs', 'ramfs', 'plain'], check=True)
    m.write_store('plain/objects')
    with m.Mount('image', bases=['plain/objects']):
        shown = os.statvfs('mnt')
        assert (shown.f_blocks, shown.f_bavail, shown.f_files) == (0, 0, 0)
    subprocess.run(['umount', 'plain'], check=True)


def test_first_store_counts():
    os.makedirs('objects')
    with m.Mount('image', bases=['store/objects', 'objects']):
        assert os.statvfs('mnt').f_bavail == os.statvfs('store').f_bavail


@pytest.mark.parametrize('options', [dict(flags=m.IMAGE_STATFS), dict(flags=m.COMPAT),
                                     dict(ways=m.BY_PATH), dict(ways=m.BY_STRING)],
                         ids=['option', 'compat', 'path', 'string'])
def test_off(options):
    with mount(**options):
        shown = os.statvfs('mnt')
        assert shown.f_bavail == 0 and shown.f_blocks * shown.f_frsize == os.path.getsize('image')


# --- what may not change --------------------------------------------------------------------------

ROOTS = {
    'usual': {},
    'bare': dict(xattrs={}, root_mode=0o700),
    'special bits': dict(root_mode=0o7777),
    'acl': dict(acl=True, xattrs={'system.posix_acl_access': m.ACL, 'system.posix_acl_default': m.ACL},
                root_mode=0o674),
    'many xattrs': dict(xattrs={f'{prefix}.{i:03}': bytes(100) for i in range(50)
                                for prefix in ('user', 'trusted', 'security')}),
    'big xattr': dict(xattrs={'user.big': bytes(15000)}),
    'escaped': dict(xattrs={'trusted.overlay.whiteout': b'', 'trusted.overlay.redirect': b'/x',
                            'trusted.overlay.opaque': b'x', 'user.overlay.opaque': b'y'}),
}


@pytest.mark.parametrize('version', [0, 1, 2])
@pytest.mark.parametrize('root', ROOTS)
def test_tree_is_the_same(root, version):
    m.write_image('image', version, **ROOTS[root])
    with mount('plain', m.IMAGE_STATFS), mount('mnt'):
        assert os.statvfs('mnt').f_bavail > 0
        assert m.tree('mnt') == m.tree('plain')
        assert os.listdir('mnt') == os.listdir('plain')


def test_root_that_cannot_be_copied():
    """The mode of a directory follows from its ACL, but an image may say otherwise."""
    m.write_image('image', acl=True, xattrs={'system.posix_acl_access': m.ACL}, root_mode=0o700)
    with mount('plain', m.IMAGE_STATFS), mount('mnt'):
        assert m.tree('mnt') == m.tree('plain')
        assert os.statvfs('mnt').f_bavail == 0


def test_owners_through_a_map():
    with m.UserNamespace(100000, 200000) as ids:
        with mount('plain', m.IMAGE_STATFS, idmap=ids), mount('mnt', idmap=ids):
            assert m.facts('mnt')['owner'] == (100012, 200034)
            assert m.tree('mnt') == m.tree('plain')


def test_whiteouts_stay_whiteouts():
    extra = ['/sub/gone 0 20644 1 0 0 0 1700000000.0 - - -', '/gone 0 20644 1 0 0 0 1700000000.0 - - -']
    m.write_image('image', 1, extra=extra)
    with mount('plain', m.IMAGE_STATFS), mount('mnt'):
        assert 'gone' in os.listdir('mnt') and m.tree('mnt') == m.tree('plain')


def test_one_device_and_unique_inodes():
    """As `tar --one-file-system` and `find -samefile` need it."""
    with mount():
        numbers = {}
        for parent, directories, names in os.walk('mnt'):
            for name in directories + names:
                path = os.path.join(parent, name)
                st = os.lstat(path)
                assert st.st_dev == os.lstat('mnt').st_dev
                numbers.setdefault(st.st_ino, []).append(os.path.relpath(path, 'mnt'))
            for entry in os.scandir(parent):
                assert entry.inode() == os.lstat(entry.path).st_ino
        assert sorted(map(sorted, numbers.values())) == [
            ['big', 'hard'], ['inline'], ['link'], ['sub'], ['sub/other'], ['sub/run']]


def test_what_does_change():
    """The facts of the root that an image does not hold, or that overlayfs makes up for a root that
    is merged."""
    with mount('plain', m.IMAGE_STATFS), mount('mnt'):
        plain, st = os.stat('plain'), os.stat('mnt')
        differ = {n for n in dir(st) if n.startswith('st_') and getattr(st, n) != getattr(plain, n)}
        assert differ <= {'st_dev', 'st_ino', 'st_nlink', 'st_size', 'st_blocks', 'st_ctime', 'st_ctime_ns'}


# --- nothing can be added -------------------------------------------------------------------------

def test_layer_is_read_only():
    done = subprocess.run([m.TOOL, '-S', '-b', 'store/objects', 'image', 'mnt'], capture_output=True,
                          text=True, check=True)
    assert done.stdout == 'tried 8\n'


def test_layer_is_in_no_mount_table():
    def tables():
        found = {}
        for process in filter(str.isdigit, os.listdir('/proc')):
            try:
                for fields in m.mountinfo(process):
                    found[fields[0]] = fields
            except OSError:
                pass
        return found

    before = tables()
    with mount():
        new = {n: fields for n, fields in tables().items() if n not in before and fields[4] != '/'}
        assert [f[f.index('-') + 1] for f in new.values() if f[4].startswith(os.getcwd())] == ['overlay']
        assert not [f for f in new.values() if 'tmpfs' in f and f[4].startswith(os.getcwd())]


def test_mount_refuses_names():
    with mount():
        for path in 'mnt/new', 'mnt/sub/new':
            with pytest.raises(OSError, match='Read-only'):
                os.mkdir(path)
        done = subprocess.run(['mount', '-o', 'remount,rw', 'mnt'], capture_output=True, check=False)
        with pytest.raises(OSError, match='Read-only'):
            os.mkdir('mnt/new')
        assert done.returncode in (0, 1, 32)
        m.check_tree('mnt')


@pytest.mark.parametrize('ways', [m.BY_DESCRIPTOR, m.BY_PATH, m.BY_STRING])
def test_names_in_the_store_do_not_show(ways):
    with mount(ways=ways):
        os.mkdir('store/objects/new')
        shutil.copy('image', 'store/objects/file')
        shutil.copy('image', 'store/objects/new/file')
        for path in 'new', 'file', 'new/file', 'sub/new':
            assert not os.path.lexists('mnt/' + path)
        m.check_tree('mnt')
        m.check_root('mnt')
