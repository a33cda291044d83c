# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Trees put out again: as files and as tar, compared with the source and with the kernel's mount."""

import json
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from programs import program, run  # noqa: E402

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason='not root')

# Version 2: user and group objects, one user, mask, other.
ACL = bytes.fromhex('02000000' '01000700ffffffff' '02000400e8030000' '04000500ffffffff' '10000500ffffffff'
                    '20000000ffffffff')
CAPABILITY = bytes.fromhex('0100000200040000000000000000000000000000')


def make_tree(top):
    """One of everything that the file system takes."""
    root = os.geteuid() == 0
    os.makedirs(top / 'd' / 'deeper')
    (top / 'empty').touch()
    (top / 'inline').write_bytes(b'hello')
    (top / 'd' / 'small').write_bytes(b'small ' * 100)
    (top / 'd' / 'large').write_bytes(bytes(range(256)) * 4096)
    with open(top / 'd' / 'sparse', 'wb') as f:
        f.seek(8 << 20)
        f.write(b'end')
        f.truncate((9 << 20) + 5)
    (top / 'd' / ('n' * 255)).write_bytes(b'long name ' * 20)
    (top / 'd' / 'new\nline \\ \xff').write_bytes(b'x' * 100)
    os.makedirs(top / '/'.join(['deep' * 20] * 12))
    (top / '/'.join(['deep' * 20] * 12) / 'file').write_bytes(b'far down ' * 10)
    os.symlink('no/where', top / 'link')
    os.symlink('t' * 3000, top / 'd' / 'long link')
    os.link(top / 'd' / 'large', top / 'a hard link')
    os.link(top / 'd' / 'large', top / 'z hard link')
    os.mkfifo(top / 'fifo', 0o640)
    os.setxattr(top / 'inline', 'user.a', b'1')
    os.setxattr(top / 'd', 'user.b', bytes(range(256)))
    os.setxattr(top / 'd' / 'small', 'system.posix_acl_access', ACL)
    os.setxattr(top / 'd' / 'deeper', 'system.posix_acl_default', ACL)
    os.chmod(top / 'd' / 'deeper', 0o1777)
    if root:
        os.mknod(top / 'null', 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        os.mknod(top / 'disk', 0o600 | stat.S_IFBLK, os.makedev(259, 70000))
        os.link(top / 'null', top / 'null too')
        os.chown(top / 'inline', 12345, 54321)
        os.lchown(top / 'link', 7, 8)
        os.setxattr(top / 'd' / 'large', 'security.capability', CAPABILITY)
        os.setxattr(top / 'link', 'trusted.x', b'of a link', follow_symlinks=False)
        os.setxattr(top / 'd', 'trusted.y', b'')
    os.chmod(top / 'd' / 'small', 0o4750)
    os.chmod(top / 'inline', 0o000)
    for name, when in (('link', -5 * 10**9 + 250), ('d/small', 1234567890123456789), ('d', 10**18 + 1),
                       ('empty', 0), ('fifo', 1)):
        os.utime(top / name, ns=(when, when), follow_symlinks=False)


def look(top, owners=True, roots_times=True):
    """Everything that can be seen of a tree; hard links as the set of names of an inode."""
    names, found = {}, {}
    for folder, dirs, files in os.walk(os.fsencode(top)):
        for name in [b''] + [d for d in dirs if os.path.islink(os.path.join(folder, d))] + files:
            path = os.path.join(folder, name) if name else folder
            st = os.lstat(path)
            short = os.path.relpath(path, os.fsencode(top))
            facts = {'mode': stat.filemode(st.st_mode), 'mtime': st.st_mtime_ns}
            if owners:
                facts['owner'] = (st.st_uid, st.st_gid)
            if short == b'.' and not roots_times:
                del facts['mtime']
            facts['xattrs'] = {k: os.getxattr(path, k, follow_symlinks=False)
                               for k in sorted(os.listxattr(path, follow_symlinks=False)) if k != 'security.selinux'}
            if stat.S_ISREG(st.st_mode):
                with open(path, 'rb') as f:
                    facts['content'] = f.read()
            if stat.S_ISLNK(st.st_mode):
                facts['target'] = os.readlink(path)
            if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
                facts['device'] = st.st_rdev
            found[short] = facts
            if not stat.S_ISDIR(st.st_mode):
                names.setdefault((st.st_dev, st.st_ino), set()).add(short)
    return found, {frozenset(group) for group in names.values() if len(group) > 1}


@pytest.fixture
def folder(tmp_path):
    os.makedirs(tmp_path / 'tree')
    make_tree(tmp_path / 'tree')
    done = run('cairn', 'build', 'tree', '-o', 'image', '--store', 'store', cwd=tmp_path)
    assert done.returncode == 0, done
    return tmp_path


def export(folder, *args, status=0):
    done = run('cairn', 'export-dir', 'image', *args, '--store', 'store', cwd=folder)
    assert done.returncode == status, done
    return done


@needs_root
@pytest.mark.parametrize('jobs', [1, 4])
def test_directory(folder, jobs):
    done = export(folder, 'out', '-j', jobs)
    assert done.stderr == b''
    assert look(folder / 'out') == look(folder / 'tree')
    assert os.stat(folder / 'out' / 'd' / 'sparse').st_blocks < 100
    assert [n for n in os.listdir(folder) if n.startswith('.')] == []


@needs_root
def test_like_the_mount(folder):
    export(folder, 'out')
    os.mkdir(folder / 'mount')
    done = run('cairn', 'mount', 'image', 'mount', '--store', 'store', cwd=folder)
    if done.returncode == 4:
        pytest.skip(done.stderr.decode())
    assert done.returncode == 0, done
    try:
        assert look(folder / 'out') == look(folder / 'mount')
    finally:
        subprocess.run(['umount', folder / 'mount'], check=True)


@needs_root
def test_into_an_empty_directory(folder):
    """Nothing is inherited from it."""
    os.mkdir(folder / 'out')
    os.setxattr(folder / 'out', 'system.posix_acl_default', ACL)
    os.chown(folder / 'out', 0, 99)
    os.chmod(folder / 'out', 0o2777)
    before = os.stat(folder / 'out').st_ino
    export(folder, 'out/')
    assert os.stat(folder / 'out').st_ino == before
    assert look(folder / 'out') == look(folder / 'tree')


def test_not_empty(folder):
    os.mkdir(folder / 'out')
    (folder / 'out' / '.precious').touch()
    assert export(folder, 'out', status=2).stderr == b'cairn: export-dir: out: is not empty\n'
    assert export(folder, 'image', status=2).stderr == b'cairn: export-dir: image: is not a directory\n'
    os.symlink('out', folder / 'way')
    assert export(folder, 'way', status=2).stderr == b'cairn: export-dir: way: is not empty\n'
    assert os.listdir(folder / 'out') == ['.precious']


def objects(folder):
    return sorted((p for p in (folder / 'store' / 'objects').glob('*/*')), key=lambda p: p.stat().st_size)


def test_damaged_object(folder):
    victim = objects(folder)[-2]
    victim.chmod(0o644)
    data = bytearray(victim.read_bytes())
    data[70000] ^= 1
    victim.write_bytes(data)
    done = export(folder, 'out', status=3)
    assert b'its content does not have its digest' in done.stderr
    assert not os.path.exists(folder / 'out')
    # In place what is right may stay, the damaged one not.
    os.mkdir(folder / 'out')
    export(folder, 'out', status=3)
    assert not os.path.exists(folder / 'out' / 'd' / 'large')
    done = run('cairn', 'tar', 'image', '--store', 'store', cwd=folder)
    assert done.returncode == 3
    assert bytes(data[:4096]) not in done.stdout
    done = run('cairn', 'tar', 'image', '--store', 'store', '-o', 'out.tar', cwd=folder)
    assert (done.returncode, os.path.exists(folder / 'out.tar')) == (3, False)
    victim.unlink()
    done = export(folder, 'elsewhere', status=1)
    assert b'No such file' in done.stderr
    assert sorted(n for n in os.listdir(folder) if n.startswith('.') or n == 'elsewhere') == []


def test_no_store(folder):
    done = run('cairn', 'export-dir', 'image', 'out', cwd=folder)
    assert done.returncode == 2
    assert b'no store is given' in done.stderr


@needs_root
def test_full_disk(folder):
    os.mkdir(folder / 'small')
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', folder / 'small'], check=False).returncode:
        pytest.skip('cannot mount')
    try:
        done = export(folder, 'small/out', status=1)
        assert b'No space left on device' in done.stderr
        assert os.listdir(folder / 'small') == []
    finally:
        subprocess.run(['umount', folder / 'small'], check=True)


def test_deep(tmp_path):
    """Deeper than any path can say, and removed again when it fails."""
    dump = ['/ 0 40755 2 0 0 0 0.0 - - -']
    path = ''
    for i in range(1000):
        path += '/%d' % i + 'x' * 10
        dump.append(f'{path} 0 40700 2 0 0 0 0.0 - - -')
    dump.append(f'{path}/f 5 100644 1 0 0 0 0.0 - hello -')
    (tmp_path / 'dump').write_text('\n'.join(dump) + '\n')
    assert run('cairn', 'build', 'dump', '-o', 'image', cwd=tmp_path).returncode == 0
    assert run('cairn', 'export-dir', 'image', 'out', cwd=tmp_path).returncode == 0
    assert run('cairn', 'digest', 'out', cwd=tmp_path).stdout.split()[0] == \
        run('cairn', 'digest', 'image', cwd=tmp_path).stdout.split()[0]
    subprocess.run(['rm', '-rf', tmp_path / 'out'], check=True)
    dump.append(f'{path}/g 500 100644 1 0 0 0 0.0 aa/bb - {"0" * 64}')
    (tmp_path / 'dump').write_text('\n'.join(dump) + '\n')
    assert run('cairn', 'build', 'dump', '-o', 'image', cwd=tmp_path).returncode == 0
    assert run('cairn', 'export-dir', 'image', 'out', cwd=tmp_path).returncode == 2
    assert sorted(os.listdir(tmp_path)) == ['dump', 'image']


@needs_root
def test_ordinary_user(folder):
    """What can be set is, the rest is told."""
    subprocess.run(['chmod', '-R', 'a+rX', folder / 'store', folder / 'image'], check=True)
    try:
        nobody = pwd.getpwnam('nobody')
    except KeyError:
        pytest.skip('no user nobody')
    os.mkdir(folder / 'theirs')
    os.chown(folder / 'theirs', nobody.pw_uid, nobody.pw_gid)
    for path in [folder, *folder.parents]:
        if not os.stat(path).st_mode & 1:
            os.chmod(path, os.stat(path).st_mode | 0o11)
    binary = folder / 'cairn'
    shutil.copy(program('cairn'), binary)

    def drop():
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)

    def as_nobody(*args):
        return subprocess.run([binary, 'export-dir', 'image', '--store', 'store', *args], cwd=folder,
                              preexec_fn=drop, capture_output=True, check=False)

    done = as_nobody('theirs/out', '--json')
    assert done.returncode == 0, done
    result = json.loads(done.stdout)
    # 1 set-user-id bit; 3 devices under 4 names less one … the second name of null is a link to nothing.
    assert (result['refused_modes'], result['refused_xattrs'], result['refused_nodes']) == (1, 3, 3)
    assert b'1 mode, 3 extended attributes, 3 special files (-v lists them)\n' in done.stderr
    mine, links = look(folder / 'theirs' / 'out', owners=False)
    want, want_links = look(folder / 'tree', owners=False)
    for name in (b'null', b'null too', b'disk'):
        del want[name]
    want_links.remove(frozenset({b'null', b'null too'}))
    for facts in want.values():
        facts['xattrs'] = {k: v for k, v in facts['xattrs'].items() if k.startswith(('user.', 'system.'))}
    assert want[b'd/small']['mode'] == '-rwsr-x---'
    want[b'd/small']['mode'] = '-rwxr-x---'
    assert (mine, links) == (want, want_links)
    done = as_nobody('theirs/again', '--strict', '-v')
    assert done.returncode == 1
    assert b'/null: the file itself: Operation not permitted\n' in done.stderr
    assert b'/link: extended attribute trusted.x: Operation not permitted\n' in done.stderr


# --- tar ------------------------------------------------------------------------------------------

EXTRACT = {
    'tar': ['tar', '-x', '-p', '--xattrs', '--xattrs-include=*', '--acls', '--same-owner', '--numeric-owner', '-f'],
    'bsdtar': ['bsdtar', '-x', '-p', '--xattrs', '--acls', '--numeric-owner', '-f'],
}


@needs_root
@pytest.mark.parametrize('tool', EXTRACT)
def test_tar(folder, tool):
    if not shutil.which(tool):
        pytest.skip(f'no {tool}')
    done = run('cairn', 'tar', 'image', '--store', 'store', '-o', 'out.tar', cwd=folder)
    assert (done.returncode, done.stderr) == (0, b''), done
    again = run('cairn', 'tar', 'image', '--store', 'store', cwd=folder)
    assert again.stdout == (folder / 'out.tar').read_bytes()
    os.mkdir(folder / 'out')
    done = subprocess.run([*EXTRACT[tool], folder / 'out.tar'], cwd=folder / 'out', capture_output=True, check=False)
    assert done.returncode == 0, done
    # libarchive leaves alone the directory that it extracts into.
    got, want = (look(folder / top, roots_times=tool != 'bsdtar') for top in ('out', 'tree'))
    if tool == 'bsdtar':
        # It takes the fraction of a negative time for a positive one.
        got[0][b'link'].pop('mtime')
        want[0][b'link'].pop('mtime')
    for name in want[0]:
        assert (name, got[0].get(name)) == (name, want[0][name])
    assert got == want


def test_tar_sockets(folder):
    with socket.socket(socket.AF_UNIX) as s:
        at = os.getcwd()
        os.chdir(folder / 'tree')
        s.bind('socket')
        os.chdir(at)
    assert run('cairn', 'build', 'tree', '-o', 'image', '--store', 'store', cwd=folder).returncode == 0
    done = run('cairn', 'tar', 'image', '--store', 'store', '-v', cwd=folder)
    assert done.returncode == 0
    assert done.stderr.decode().split('\n') == ['/socket: the file itself: Operation not supported',
                                                'cairn: tar: could not set or make: 1 special file', '']


def test_tar_link_before_its_file(tmp_path):
    """Whichever name comes first has the content."""
    (tmp_path / 'dump').write_text('/ 0 40755 2 0 0 0 0.0 - - -\n/a 0 @120000 1 0 0 0 0.0 z - -\n'
                                   '/m 0 @120000 1 0 0 0 0.0 z - -\n/z 5 100644 3 0 0 0 1.5 - hello -\n')
    done = run('cairn', 'tar', 'dump', '-o', 'out.tar', cwd=tmp_path)
    assert done.returncode == 0, done
    listed = subprocess.run(['tar', '-tvf', 'out.tar', '--full-time', '--numeric-owner', '--utc'], cwd=tmp_path,
                            capture_output=True, check=True).stdout.decode()
    assert [line.split(None, 5)[5] for line in listed.splitlines()] == ['./', 'a', 'm link to a', 'z link to a']
    assert '1970-01-01 00:00:01.000000005 a' in listed
