# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Random directories on disk: image and objects are those of a second scanner (tools §1.2). As root.

CAIRN_SEED (default 0) and CAIRN_ROUNDS (default 8) choose the directories.
"""

import os
import random
import stat
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import refimage  # noqa: E402
from programs import output, read  # noqa: E402
from refdump import Node  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='needs root')

SEED = int(os.environ.get('CAIRN_SEED', '0'))
ROUNDS = int(os.environ.get('CAIRN_ROUNDS', '8'))
each_seed = pytest.mark.parametrize('seed', range(SEED, SEED + ROUNDS))

SIZES = [0, 1, 5, 63, 64, 65, 100, 4095, 4096, 4097, 8192, 100000, 128 * 4096, 128 * 4096 + 1, 2500000]
ACL = bytes.fromhex('0200000001000600ffffffff02000400e803000004000400ffffffff'
                    '10000600ffffffff20000400ffffffff')


# --- making one -----------------------------------------------------------------------------------

class Maker:
    def __init__(self, top, seed):
        self.rng = random.Random(seed)
        self.dirs = [os.fsencode(top)]
        self.files = []
        os.mkdir(top)
        for _ in range(self.rng.choice([0, 10, 60, 120])):
            self.rng.choice([self.directory, self.file, self.file, self.file, self.symlink,
                             self.special, self.link])()
        for path in reversed(self.dirs):
            self.facts(path)

    def path(self):
        r = self.rng
        while True:
            name = r.choice([
                b'%d' % r.randrange(1000), b'%02x' % r.randrange(256), b'.hidden', b' ', b'a b', b'\xff\xfe',
                b'new\nline', b'back\\slash', b'-', b'caf\xc3\xa9', b'n' * r.randrange(1, 256)])
            path = r.choice(self.dirs[-4:]) + b'/' + name
            if not os.path.lexists(path):
                return path

    def facts(self, path):
        r = self.rng
        link = os.path.islink(path)
        kind = stat.S_IFMT(os.lstat(path).st_mode)
        for name, value in [('user.one', b'1'), ('user.bin', bytes(range(20))), ('trusted.t', b'x' * 100),
                            ('security.s', b'label\0'), ('trusted.overlay.opaque', b'y'),
                            ('system.posix_acl_access', ACL)]:
            on_any = name.startswith('trusted.') or name.startswith('security.')
            if r.random() < 0.2 and (kind in (stat.S_IFREG, stat.S_IFDIR) or on_any):
                os.setxattr(path, name, value, follow_symlinks=False)
        if r.random() < 0.5:
            os.chown(path, r.choice([0, 1, 65535, 65536, 100000]), r.choice([0, 7, 70000]),
                     follow_symlinks=False)
        if not link and not os.listxattr(path):
            os.chmod(path, r.choice([0o644, 0o755, 0o600, 0o4711, 0o1777, 0o2755]))
        if r.random() < 0.8:
            ns = r.choice([0, 1700000000 * 10**9, 1700000000 * 10**9 + 123456789, -5 * 10**9])
            os.utime(path, ns=(ns, ns), follow_symlinks=False)

    def directory(self):
        path = self.path()
        os.mkdir(path)
        self.dirs.append(path)

    def file(self):
        path = self.path()
        size = self.rng.choice(SIZES)
        with open(path, 'wb') as f:
            if self.rng.random() < 0.2:
                f.truncate(size)
            else:
                f.write((self.rng.randbytes(min(size, 300)) * (size // 300 + 1))[:size])
        self.files.append(path)
        self.facts(path)

    def symlink(self):
        path = self.path()
        os.symlink(self.rng.choice([b'target', b'/', b'..', b't' * 4000, b'loop', b'\xff']), path)
        self.files.append(path)
        self.facts(path)

    def special(self):
        path = self.path()
        kind, device = self.rng.choice([
            (stat.S_IFIFO, 0), (stat.S_IFSOCK, 0), (stat.S_IFCHR, os.makedev(1, 3)),
            (stat.S_IFBLK, os.makedev(259, 300)), (stat.S_IFCHR, os.makedev(0, 0)),
            (stat.S_IFCHR, os.makedev(4095, 1048575))])
        os.mknod(path, kind | 0o600, device)
        self.files.append(path)
        self.facts(path)

    def link(self):
        if self.files:
            os.link(self.rng.choice(self.files), self.path(), follow_symlinks=False)


# --- reading one ----------------------------------------------------------------------------------

class Scanner:
    def __init__(self, alg='sha256', split=False, epoch=False, devices=True, xattrs=lambda name: True):
        self.alg, self.split, self.epoch, self.devices = alg, split, epoch, devices
        self.xattrs = xattrs
        self.seen = {}
        self.objects = {}

    def scan(self, path, name=b'', parent=None):
        st = os.lstat(path)
        node = Node(name, parent)
        node.mode = st.st_mode
        if node.type != stat.S_IFDIR and not self.split:
            first = self.seen.setdefault((st.st_dev, st.st_ino), node)
            if first is not node:
                node.is_link, node.target = True, first
                first.nlink += 1
                return node
        node.uid, node.gid, node.size = st.st_uid, st.st_gid, st.st_size
        if not self.epoch:
            node.mtime, node.nsec = divmod(st.st_mtime_ns, 10**9)
        for key in os.listxattr(path, follow_symlinks=False):
            if self.xattrs(key):
                node.xattrs.pairs[os.fsencode(key)] = os.getxattr(path, key, follow_symlinks=False)
        if node.type in (stat.S_IFCHR, stat.S_IFBLK):
            major, minor = os.major(st.st_rdev), os.minor(st.st_rdev)
            node.rdev = (minor & 0xff) | (major & 0xfff) << 8 | (minor >> 8) << 20
        elif node.type == stat.S_IFLNK:
            node.payload = os.readlink(path)
        elif node.type == stat.S_IFREG and node.size:
            self.content(node, read(path.decode(errors='surrogateescape')))
        elif node.type == stat.S_IFDIR:
            for child in sorted(os.listdir(path)):
                self.child(node, path + b'/' + child, child)
        return node

    def child(self, node, path, name):
        device = stat.S_IFMT(os.lstat(path).st_mode) in (stat.S_IFCHR, stat.S_IFBLK)
        if self.devices or not device:
            node.children[name] = self.scan(path, name, node)

    def content(self, node, data):
        if node.size <= 64:
            node.content = data
            return
        text = refimage.fsverity(data, self.alg)
        node.digest = bytes.fromhex(text)
        node.payload = f'{text[:2]}/{text[2:]}'.encode()
        self.objects[node.payload.decode()] = data


def in_store(store):
    return {os.path.relpath(os.path.join(folder, name), store): read(folder, name)
            for folder, _, names in os.walk(store) for name in names}


@each_seed
def test_mkcomposefs(seed, tmp_path):
    Maker(tmp_path / 'tree', seed)
    top = os.fsencode(tmp_path / 'tree')
    for options, scanner in [
            ([], Scanner(split=True)),
            (['--use-epoch'], Scanner(split=True, epoch=True)),
            (['--skip-devices'], Scanner(split=True, devices=False)),
            (['--skip-xattrs'], Scanner(split=True, xattrs=lambda name: False)),
            (['--user-xattrs'], Scanner(split=True, xattrs=lambda name: name.startswith('user.')))]:
        image = refimage.write(scanner.scan(top))
        for threads in '--threads=1', '--threads=8':
            said = output('mkcomposefs', *options, threads, '--print-digest', tmp_path / 'tree', '-')
            assert said[:-65] == image
            assert said[-65:].decode().strip() == refimage.fsverity(image)
    assert output('mkcomposefs', f'--digest-store={tmp_path}/store', tmp_path / 'tree', '-')
    objects = in_store(tmp_path / 'store') if scanner.objects else {}
    assert objects == scanner.objects


@each_seed
@pytest.mark.parametrize('alg', ['sha256', 'sha512'])
def test_cairn(seed, alg, tmp_path):
    Maker(tmp_path / 'tree', seed)
    scanner = Scanner(alg)
    tree = scanner.scan(os.fsencode(tmp_path / 'tree'))
    for version in (0, 1) if alg == 'sha256' else (1,):
        image = refimage.write(tree, version)
        for jobs in 1, 8:
            said = output('cairn', 'build', tmp_path / 'tree', '-o', tmp_path / 'i', '--jobs', jobs,
                          '--format', f'v{version}', '--alg', alg, '--store', tmp_path / 'store')
            assert read(tmp_path / 'i') == image
            assert refimage.fsverity(image, alg) in said.decode()
        assert output('cairn', 'check', tmp_path / 'i').startswith(b'OK canonical V')
    assert in_store(tmp_path / 'store' / 'objects') == scanner.objects
