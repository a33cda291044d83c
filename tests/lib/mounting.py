# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Images, stores and mounts for the tests of mounting.

The images come from the second writer (refimage), so that a mount is judged by the specification
alone. What is mounted goes through mounttool (tests/system), which can ask for each single way.
"""

import ctypes
import os
import re
import subprocess
import time
import types

import refdump
import refimage
from programs import BUILD

TOOL = os.path.join(BUILD, 'tests', 'system', 'mounttool')

# enum mount_way, newest first, and the kernel that has it.
BY_DESCRIPTOR, BY_PATH, BY_STRING, BY_MERGING = WAYS = (1, 2, 4, 8)
SINCE = {BY_DESCRIPTOR: (6, 15), BY_PATH: (6, 7), BY_STRING: (6, 5), BY_MERGING: (5, 15)}

# enum cairn_mount_flags
READ_ONLY, IMAGE_STATFS, NOSUID, NODEV, NOEXEC, NOATIME, COMPAT = (1 << i for i in range(7))
# enum cairn_error_kind
SYSTEM, USAGE, FORMAT, DIGEST, UNSUPPORTED = range(1, 6)

KERNEL = tuple(map(int, re.match(r'(\d+)\.(\d+)', os.uname().release).groups()))

# EROFS mounts a regular file without a loop device; overlayfs shows escaped attributes unescaped.
FROM_FILE = KERNEL >= (6, 12)
UNESCAPES = KERNEL >= (6, 7)
VERITY = KERNEL >= (6, 6)

# This runs in a guest of guest.py.
GUEST = 'SCRATCH' in os.environ

CLONE_NEWNS = 0x20000
MS_REC, MS_PRIVATE = 0x4000, 0x40000

MTIME_NS = 1234567890123456789


def private_namespace():
    """Moves this process into a mount namespace of its own: nothing that it mounts outlives it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b'none', b'/', None, MS_REC | MS_PRIVATE, None):
        raise OSError(ctypes.get_errno(), 'private mount namespace')


def has_verity(directory):
    """Whether the file system of @directory could have fs-verity."""
    path = os.path.join(directory, 'verity-probe')
    with open(path, 'wb') as f:
        f.write(b'probe')
    done = subprocess.run(['fsverity', 'enable', path], capture_output=True, check=False)
    os.unlink(path)
    return done.returncode == 0


# --- images ---------------------------------------------------------------------------------------

FILES = {'/big': bytes(range(256)) * 500, '/sub/run': b'#!/bin/sh\necho ran\n' + bytes(200),
         '/sub/other': b'other' * 100}
INLINE = b'inline\n'
ROOT_XATTRS = {'user.root': b'of the image', 'trusted.t': b'\0\1', 'trusted.overlay.opaque': b'n'}
# user:55:rwx beside the usual three, as the kernel stores it.
ACL = bytes.fromhex('02000000' '01000600ffffffff' '0200070037000000' '04000400ffffffff' '10000700ffffffff'
                    '20000400ffffffff')


def octets(data):
    return ''.join(f'\\x{b:02x}' for b in data)


def dump_text(root_mode=0o1751, xattrs=None, acl=False, extra=()):
    """composefs-dump text of the tree that the tests mount."""
    xattrs = ROOT_XATTRS if xattrs is None else xattrs
    time = f'{MTIME_NS // 10**9}.{MTIME_NS % 10**9}'
    lines = [f'/ 0 {0o40000 | root_mode:o} 3 12 34 0 {time} - - - '
             + ' '.join(f'{k}={octets(v)}' for k, v in xattrs.items())]
    for path, data in FILES.items():
        digest = refimage.fsverity(data)
        suffix = f' system.posix_acl_access={octets(ACL)}' if acl and path == '/big' else ''
        lines.append(f'{path} {len(data)} 100755 1 5 6 0 1700000000.0 {digest[:2]}/{digest[2:]} - '
                     f'{digest}{suffix}')
    lines += ['/hard 0 @100644 - - - - - /big - -',
              f'/inline {len(INLINE)} 100640 1 7 8 0 1700000001.5 - {octets(INLINE)} -',
              '/link 6 120777 1 0 0 0 1700000000.0 inline - -',
              '/sub 0 40750 2 9 10 0 1700000002.25 - - -', *extra]
    return '\n'.join(sorted(lines, key=lambda line: line.split()[0])) + '\n'


def write_image(path, version=0, **tree):
    """Writes an image of the tests' tree; gives its fs-verity digest in hexadecimal."""
    image = refimage.write(refdump.parse(dump_text(**tree).encode()), version)
    with open(path, 'wb') as f:
        f.write(image)
    return refimage.fsverity(image)


def object_path(objects, data):
    digest = refimage.fsverity(data)
    return os.path.join(objects, digest[:2], digest[2:])


def write_store(objects, files=None):
    """Writes the objects of the tests' tree, or of other contents."""
    os.makedirs(objects, exist_ok=True)
    for data in FILES.values() if files is None else files:
        path = object_path(objects, data)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f:
            f.write(data)


# --- mounting -------------------------------------------------------------------------------------

def tool(image, target, bases=('objects',), flags=0, ways=None, prefix=(), **options):
    """Runs mounttool. The result has .ok; .loop, .verity, .detached; or .code, .kind, .text."""
    args = ['-f', str(flags)]
    for base in bases:
        args += ['-b', base]
    for letter, name in ('u', 'upper'), ('w', 'work'), ('d', 'digest'), ('v', 'verity'), ('i', 'idmap'):
        if options.get(name) is not None:
            args += ['-' + letter, options[name]]
    if ways is not None:
        args += ['-W', str(ways)]
    done = subprocess.run([*prefix, TOOL, *args, image, target], capture_output=True, text=True,
                          timeout=120, check=False)
    said = re.fullmatch(r'loop=(\d) verity=(\d) detached=(\d)\n', done.stdout)
    if said:
        loop, verity, detached = map(int, said.groups())
        return types.SimpleNamespace(ok=True, loop=loop, verity=verity, detached=detached)
    said = re.fullmatch(r'error code=(\d+) kind=(\d) (.*)\n', done.stdout)
    if not said:
        return types.SimpleNamespace(ok=False, code=None, kind=None, text=f'died: {done}')
    return types.SimpleNamespace(ok=False, code=int(said[1]), kind=int(said[2]), text=said[3])


def mountinfo(process='self'):
    """The lines of a process's mount table, split into fields."""
    with open(f'/proc/{process}/mountinfo', encoding='utf-8', errors='surrogateescape') as f:
        return [line.split() for line in f]


def umount(target):
    subprocess.run([TOOL, '-U', target], check=True, timeout=60, stdout=subprocess.DEVNULL)


class Mount:
    """with Mount('image', …) as m: … unmounts at the end, and the mount must have been one."""

    def __init__(self, image, target='mnt', **options):
        self.target = os.path.realpath(target)
        self.result = tool(image, target, **options)

    def __enter__(self):
        assert self.result.ok, self.result
        return self.result

    def __exit__(self, *error):
        if self.result.ok:
            umount(self.target)


class UserNamespace:
    """with UserNamespace(uid, gid) as path: … a namespace that maps ids from 0 on to these."""

    def __init__(self, uid, gid):
        self.ids = uid, gid

    def __enter__(self):
        self.holder = subprocess.Popen(['unshare', '-U', 'sleep', '1000'])
        mine = os.readlink('/proc/self/ns/user')
        while os.readlink(f'/proc/{self.holder.pid}/ns/user') == mine:
            time.sleep(0.01)
        for name, first in zip(('uid_map', 'gid_map'), self.ids):
            with open(f'/proc/{self.holder.pid}/{name}', 'w', encoding='ascii') as f:
                f.write(f'0 {first} 65536')
        return f'/proc/{self.holder.pid}/ns/user'

    def __exit__(self, *error):
        self.holder.kill()
        self.holder.wait()


# --- looking --------------------------------------------------------------------------------------

def facts(path):
    """What an image says about a file, as the kernel shows it: no inode number, no link count of a
    directory, no size of it, no change time."""
    st = os.lstat(path)
    names = os.listxattr(path, follow_symlinks=False)
    found = {'mode': st.st_mode, 'owner': (st.st_uid, st.st_gid), 'mtime': st.st_mtime_ns,
             'atime': st.st_atime_ns,
             'xattrs': {n: os.getxattr(path, n, follow_symlinks=False) for n in sorted(names)}}
    if os.path.islink(path):
        found['target'] = os.readlink(path)
    elif os.path.isdir(path):
        found['names'] = sorted(os.listdir(path))
    else:
        found['nlink'] = st.st_nlink
        with open(path, 'rb') as f:
            found['content'] = f.read()
    return found


def tree(path):
    """facts() of everything at and below @path."""
    found = {'.': facts(path)}
    for parent, directories, files in os.walk(path):
        for name in directories + files:
            full = os.path.join(parent, name)
            found[os.path.relpath(full, path)] = facts(full)
    return found


def listing(path):
    """Everything that find(1) and getfattr(1) say of a tree, but for times of change and the root."""
    found = subprocess.run(
        ['find', '.', '-mindepth', '1', '-printf', r'%p %m %U %G %y %l %n %s %T@ %D\0'], cwd=path,
        capture_output=True, check=True).stdout.split(b'\0')
    attrs = subprocess.run(['getfattr', '-R', '-d', '-h', '-m', '-', '-e', 'hex', '.'], cwd=path,
                           capture_output=True, check=False).stdout
    # The device number differs between mounts, but must be one.
    assert len({line.rsplit(b' ', 1)[1] for line in found if line}) <= 1
    return sorted(line.rsplit(b' ', 1)[0] for line in found if line), sorted(attrs.split(b'\n\n'))


def check_root(path, mtime=MTIME_NS):
    """The root of the mount is as the image says, but for what is in it."""
    root = facts(path)
    assert (root['mode'], root['owner']) == (0o41751, (12, 34))
    assert (root['mtime'], root['atime']) == (mtime, mtime)
    assert root['xattrs'] == {n: v for n, v in ROOT_XATTRS.items()
                              if UNESCAPES or not n.startswith('trusted.overlay.')}


def check_tree(path):
    """The mount at @path shows what the tests' tree has below its root."""
    assert facts(path)['names'] == ['big', 'hard', 'inline', 'link', 'sub']
    assert facts(path + '/sub')['names'] == ['other', 'run']
    for name, data in FILES.items():
        assert facts(path + name)['content'] == data
    assert facts(path + '/big')['owner'] == (5, 6)
    assert os.stat(path + '/big').st_ino == os.stat(path + '/hard').st_ino
    assert facts(path + '/inline')['content'] == INLINE
    assert os.readlink(path + '/link') == 'inline'
    assert subprocess.run([path + '/sub/run'], capture_output=True, check=True).stdout == b'ran\n'
