# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""A second, slow writer of images: V0 and V1 (image-format), V2 (erofs-variants).

Written from the specifications alone, so that it can judge the C writer. Shares nothing with it but
the golden vectors. Trees are those of refdump.
"""

import functools
import hashlib
import stat
import struct
import sys

import refdump
from refdump import Node, WriteError

BLOCK = 4096
FIRST_INODE = 1152
SHARED_MAX = 128      # per inode, V0 and V1

PLAIN, INLINE, CHUNKED = 0, 2, 4
FILE_TYPE = {stat.S_IFREG: 1, stat.S_IFDIR: 2, stat.S_IFCHR: 3, stat.S_IFBLK: 4, stat.S_IFIFO: 5,
             stat.S_IFSOCK: 6, stat.S_IFLNK: 7}
PREFIXES = [(b'user.', 1), (b'system.posix_acl_access', 2), (b'system.posix_acl_default', 3),
            (b'trusted.', 4), (b'security.', 6)]


def up(x, n):
    return (x + n - 1) // n * n


def fsverity(data, name='sha256'):
    """The fs-verity digest of @data: 4096-byte blocks, no salt (image-format §9)."""
    size = hashlib.new(name).digest_size

    def hashes(level):
        return b''.join(hashlib.new(name, level[i:i + BLOCK].ljust(BLOCK, b'\0')).digest()
                        for i in range(0, len(level), BLOCK))

    root = bytes(size)
    if data:
        root = hashes(data)
        while len(root) > size:
            root = hashes(root)
    alg = {'sha256': 1, 'sha512': 2}[name]
    descriptor = struct.pack('<BBBBIQ64s', 1, alg, 12, 0, 0, len(data), root).ljust(256, b'\0')
    return hashlib.new(name, descriptor).hexdigest()


@functools.lru_cache(maxsize=100000)
def xxh32(data, seed):
    """The 32-bit xxHash of @data."""
    p1, p2, p3, p4, p5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
    m = 0xffffffff

    def rot(x, r):
        return ((x << r) | (x >> (32 - r))) & m

    i = 0
    if len(data) >= 16:
        acc = [(seed + p1 + p2) & m, (seed + p2) & m, seed & m, (seed - p1) & m]
        while i + 16 <= len(data):
            for k in range(4):
                lane = int.from_bytes(data[i + 4 * k:i + 4 * k + 4], 'little')
                acc[k] = rot((acc[k] + lane * p2) & m, 13) * p1 & m
            i += 16
        h = sum(rot(a, r) for a, r in zip(acc, (1, 7, 12, 18))) & m
    else:
        h = (seed + p5) & m
    h = (h + len(data)) & m
    while i + 4 <= len(data):
        h = rot((h + int.from_bytes(data[i:i + 4], 'little') * p3) & m, 17) * p4 & m
        i += 4
    while i < len(data):
        h = rot((h + data[i] * p5) & m, 11) * p1 & m
        i += 1
    h = (h ^ (h >> 15)) * p2 & m
    h = (h ^ (h >> 13)) * p3 & m
    return h ^ (h >> 16)


def split_name(name, lustre):
    """(prefix index, suffix) of an xattr name (image-format §5.1)."""
    prefixes = PREFIXES + ([(b'lustre.', 5)] if lustre else [])
    for prefix, index in prefixes:
        if name.startswith(prefix):
            return index, name[len(prefix):]
    return 0, name


class Inode:
    """One inode of the image, on its way to a place in it."""

    def __init__(self, node):
        self.node = node
        self.mode = node.mode & 0xffff
        self.nlink = node.nlink
        self.uid, self.gid, self.rdev = node.uid, node.gid, node.rdev
        self.mtime, self.nsec = node.mtime, node.nsec
        self.size = node.size
        self.content = node.content
        self.payload = node.payload
        self.xattrs = []      # (name, value)
        self.parent = self    # the root's is itself
        self.entries = []     # directories: (name, inode)
        self.layout = PLAIN
        self.isize = 0
        self.u = 0
        self.blocks = b''     # whole blocks, without their place
        self.tail = b''       # what follows the xattrs
        self.nid = 0
        self.body = b''       # encoded xattrs
        self.compact = False

    @property
    def type(self):
        return stat.S_IFMT(self.mode)

    @property
    def external(self):
        return self.type == stat.S_IFREG and self.size > 0 and not self.content

    @property
    def head(self):
        return (32 if self.compact else 64) + len(self.body)


def pack_directory(entries):
    """Blocks and tail as lists of entries (image-format §3)."""
    groups = [[]]
    total = 0
    for entry in entries:
        cost = 12 + len(entry[0])
        if total + cost > BLOCK:
            groups.append([])
            total = 0
        groups[-1].append(entry)
        total += cost
    return (groups, []) if total > BLOCK // 2 else (groups[:-1], groups[-1])


def encode_entries(group):
    offset = 12 * len(group)
    dirents = names = b''
    for name, inode in group:
        dirents += struct.pack('<QHBB', inode.nid, offset, FILE_TYPE[inode.type], 0)
        names += name
        offset += len(name)
    return dirents + names


def encode_xattr(name, value, lustre):
    index, suffix = split_name(name, lustre)
    entry = struct.pack('<BBH', len(suffix), index, len(value)) + suffix + value
    return entry + bytes(-len(entry) % 4)


def encode_body(xattrs, shared, lustre, most):
    """The xattr area of an inode (image-format §5.3). @shared: pair to id."""
    if not xattrs:
        return b''
    name_filter = 0xffffffff
    ids, local = [], b''
    for name, value in xattrs:
        index, suffix = split_name(name, lustre)
        name_filter &= ~(1 << (xxh32(suffix, 0x25BBE08F + index) % 32))
        if (name, value) in shared and len(ids) < most:
            ids.append(shared[name, value])
        else:
            local += encode_xattr(name, value, lustre)
    body = struct.pack('<IB7x', name_filter, len(ids)) + struct.pack('<%dI' % len(ids), *ids) + local
    if (len(body) - 12) // 4 + 1 > 65535:
        raise WriteError('EINVAL')
    return body


def count_pairs(inodes):
    counts = {}
    for inode in inodes:
        for pair in inode.xattrs:
            counts[pair] = counts.get(pair, 0) + 1
    return [pair for pair, n in counts.items() if n > 1]


def encode_inode(inode, ino):
    count = 0 if not inode.body else (len(inode.body) - 12) // 4 + 1
    form = inode.layout << 1
    if inode.compact:
        head = struct.pack('<HHHHIIIIHHI', form, count, inode.mode, inode.nlink, inode.isize, 0,
                           inode.u, ino, inode.uid, inode.gid, 0)
    else:
        head = struct.pack('<HHHHQIIIIqII16x', form | 1, count, inode.mode, 0, inode.isize,
                           inode.u, ino, inode.uid, inode.gid, inode.mtime, inode.nsec,
                           inode.nlink)
    return head + inode.body


def metacopy(digest):
    if not digest:
        return b''
    return bytes([0, 4 + len(digest), 0, 1 if len(digest) == 32 else 2]) + digest


def chunking(size):
    """(bits - 12, number of chunks) of an external file (image-format §7.3)."""
    bits = min(max(12, (size - 1).bit_length()), 43)
    return bits - 12, (size + (1 << bits) - 1) >> bits


def assemble(header, superblock, inodes, shared_area, data_start):
    image = bytearray(data_start)
    image[0:len(header)] = header
    image[1024:1024 + len(superblock)] = superblock
    for number, inode in enumerate(inodes):
        start = inode.nid * 32
        record = encode_inode(inode, number if inode.ino is None else inode.ino) + inode.tail
        image[start:start + len(record)] = record
        end = start + len(record)
    end = up(end, 32)
    image[end:end + len(shared_area)] = shared_area
    assert len(image) == data_start
    for inode in inodes:
        image += inode.blocks
    return bytes(image)


def superblock(root, inos, build, blocks, xattr_block):
    return struct.pack('<IIIBBHQqIIII', 0xE0F5E1E2, 0, 6, 12, 0, root.nid, inos, build[0], build[1],
                       blocks, 0, xattr_block).ljust(128, b'\0')


# --- V0 and V1 ----------------------------------------------------------------------------------

class Writer01:
    def __init__(self, root, version):
        self.version = version
        self.inode = {}
        self.root = self.make(root)
        self.prepare()
        self.number()

    def make(self, root):
        for node in root.walk():
            if not node.is_link:
                self.inode[id(node)] = Inode(node)
        for node in root.walk():
            target = self.inode.get(id(node.resolve()))
            if target is None:
                raise WriteError('EINVAL')
            if node.parent is not None:
                self.inode[id(node.parent)].entries.append((node.name, target))
            if not node.is_link and node.type == stat.S_IFDIR:
                inode = self.inode[id(node)]
                inode.nlink = 2 + sum(1 for c in node.children.values()
                                      if not c.is_link and c.type == stat.S_IFDIR)
                if node.parent is not None:
                    inode.parent = self.inode[id(node.parent)]
        return self.inode[id(root)]

    def prepare(self):
        """Overlayfs rewriting and the stubs (image-format §4.4, §4.5)."""
        sets = {}
        for node in self.root.node.walk():
            if node.is_link:
                continue
            inode = self.inode[id(node)]
            xattrs = sets[id(inode)] = type(node.xattrs)()
            for name, value in node.xattrs.pairs.items():
                if name.startswith(b'trusted.overlay.'):
                    name = b'trusted.overlay.' + name[len(b'trusted.'):]
                xattrs.pairs[name] = value
            if inode.external:
                if chunking(inode.size)[1] > 1024 or inode.size > 2**63:
                    raise WriteError('EFBIG')
                xattrs.set(b'trusted.overlay.metacopy', metacopy(node.digest))
                if inode.payload:
                    xattrs.set(b'trusted.overlay.redirect', b'/' + inode.payload)
            elif inode.type == stat.S_IFCHR and inode.rdev == 0:
                self.whiteout(inode, xattrs, sets[id(self.inode[id(node.parent)])])
        sets[id(self.root)].set(b'trusted.overlay.opaque', b'y')
        self.add_stubs()
        for inode in self.inode.values():
            if id(inode) in sets:
                inode.xattrs = sorted(sets[id(inode)].pairs.items())
            inode.entries.sort(key=lambda entry: entry[0])

    def whiteout(self, inode, xattrs, parent):
        inode.mode = stat.S_IFREG | stat.S_IMODE(inode.mode)
        inode.size = 0
        inode.content = None
        xattrs.set(b'trusted.overlay.overlay.whiteout', b'')
        xattrs.set(b'user.overlay.whiteout', b'')
        parent.set(b'trusted.overlay.overlay.whiteouts', b'')
        parent.set(b'user.overlay.whiteouts', b'')
        if self.version >= 1:
            parent.set(b'trusted.overlay.overlay.opaque', b'x')
            parent.set(b'user.overlay.opaque', b'x')

    def add_stubs(self):
        root = self.root.node
        label = root.xattrs.pairs.get(b'security.selinux')
        for i in range(256):
            name = b'%02x' % i
            if name in root.children:
                continue
            node = Node(name, root)
            node.mode = stat.S_IFCHR | 0o644
            node.uid, node.gid = root.uid, root.gid
            node.mtime, node.nsec = root.mtime, root.nsec
            stub = self.inode[id(node)] = Inode(node)
            if label is not None:
                stub.xattrs = [(b'security.selinux', label)]
            self.root.entries.append((name, stub))

    def number(self):
        """Breadth first; a linked file sits where its own name is."""
        self.inodes = [self.root]
        for inode in self.inodes:
            self.inodes += [child for name, child in inode.entries
                            if child.node.name == name and child.node.parent is inode.node]
        for i, inode in enumerate(self.inodes):
            inode.ino = i

    def plan_tail(self, inode):
        """Layout, blocks and tail before placing (image-format §2, §6.1)."""
        kind = inode.type
        inode.full, inode.rest = 0, 0
        if kind == stat.S_IFDIR:
            names = sorted(inode.entries + [(b'.', inode), (b'..', inode.parent)],
                           key=lambda entry: entry[0])
            inode.groups, inode.last = pack_directory(names)
            inode.full = len(inode.groups)
            inode.rest = sum(12 + len(name) for name, _ in inode.last)
            inode.isize = BLOCK * inode.full + inode.rest
        elif kind == stat.S_IFLNK:
            inode.rest = inode.isize = len(inode.payload)
        elif kind == stat.S_IFREG and inode.size:
            inode.isize = inode.size
            if inode.content:
                inode.full, inode.rest = divmod(inode.size, BLOCK)
                if inode.rest > BLOCK // 2:
                    inode.full, inode.rest = inode.full + 1, 0
            else:
                inode.bits, count = chunking(inode.size)
                inode.rest = 4 * count
        recorded = inode.isize if kind in (stat.S_IFDIR, stat.S_IFLNK) else inode.size
        inode.compact = ((inode.mtime, inode.nsec) == self.build and inode.nlink <= 65535
                         and inode.uid <= 65535 and inode.gid <= 65535 and recorded < 2**32)

    def place(self, inode, position):
        """image-format §6.3; returns the place."""
        head, tail = inode.head, inode.rest
        if inode.type == stat.S_IFLNK:
            total = head + tail
            if total >= BLOCK:
                inode.full, inode.rest = 1, 0
            if position // BLOCK != (position + total - 1) // BLOCK:
                position = up(position, BLOCK)
            return position
        room = BLOCK - (position + head) % BLOCK
        if tail <= room:
            return position
        moved = position + up(room, 32)
        if tail <= BLOCK - (moved + head) % BLOCK:
            return moved
        inode.full, inode.rest = inode.full + 1, 0
        return up(position, BLOCK)

    def fill(self, inode, block):
        """The bytes of blocks and tail, once every nid is known. @block: first of its own."""
        kind = inode.type
        if inode.full or inode.rest:
            inode.layout = INLINE if inode.rest else PLAIN
            inode.u = block if inode.full else 0
        if kind == stat.S_IFDIR:
            groups = inode.groups + ([inode.last] if inode.last and not inode.rest else [])
            inode.blocks = b''.join(encode_entries(g).ljust(BLOCK, b'\0') for g in groups)
            inode.tail = encode_entries(inode.last) if inode.rest else b''
        elif kind == stat.S_IFLNK:
            inode.blocks = inode.payload.ljust(BLOCK, b'\0') if inode.full else b''
            inode.tail = b'' if inode.full else inode.payload
        elif inode.external:
            inode.layout = CHUNKED
            inode.u = (block & 0xffff0000 if inode.full else 0) | inode.bits
            inode.blocks = b'\xff' * BLOCK if inode.full else b''
            inode.tail = b'\xff' * inode.rest
        elif kind == stat.S_IFREG and inode.content:
            split = inode.full * BLOCK
            inode.blocks = inode.content[:split].ljust(split, b'\0')
            inode.tail = inode.content[split:]
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            inode.u = inode.rdev

    def image(self):
        self.build = min((i.mtime, i.nsec) for i in self.inodes)
        has_acl = any(name in (b'system.posix_acl_access', b'system.posix_acl_default')
                      for i in self.inodes for name, _ in i.xattrs)

        # The bodies' sizes do not depend on the ids; their place depends on the sizes.
        pairs = sorted(count_pairs(self.inodes), key=lambda p: (p[0], len(p[1]), p[1]),
                       reverse=True)
        area, offsets = b'', {}
        for pair in pairs:
            offsets[pair] = len(area)
            area += encode_xattr(*pair, False)
        position = FIRST_INODE
        for inode in self.inodes:
            inode.body = encode_body(inode.xattrs, dict.fromkeys(pairs, 0), False, SHARED_MAX)
            self.plan_tail(inode)
            position = self.place(inode, up(position, 32))
            inode.nid = position // 32
            position += inode.head + inode.rest
        end = up(position, 32)

        ids = {pair: (end % BLOCK + offset) // 4 for pair, offset in offsets.items()}
        start = up(end + len(area), BLOCK)
        block = start // BLOCK
        for inode in self.inodes:
            inode.body = encode_body(inode.xattrs, ids, False, SHARED_MAX)
            self.fill(inode, block)
            block += len(inode.blocks) // BLOCK
        header = struct.pack('<IIII16x', 0xd078629a, 1, int(has_acl), self.version)
        sb = superblock(self.root, len(self.inodes), self.build, block, end // BLOCK)
        return assemble(header, sb, self.inodes, area, start)


# --- V2 -----------------------------------------------------------------------------------------

class Writer2:
    def __init__(self, root):
        self.inodes = []
        self.inode = {}
        self.root = self.visit(root, None)
        for inode in self.inodes:
            if inode.type != stat.S_IFDIR:
                inode.nlink = inode.names

    def visit(self, node, parent):
        """Depth first; a linked file at its first name."""
        node = node.resolve()
        if id(node) in self.inode:
            inode = self.inode[id(node)]
            inode.names += 1
            return inode
        inode = self.inode[id(node)] = Inode(node)
        inode.names = 1
        inode.mode = node.type | (node.mode & 0o7777)
        inode.nsec = 0
        inode.parent = parent or inode
        self.inodes.append(inode)
        self.set_xattrs(inode)
        for child in node.sorted():
            inode.entries.append((child.name, self.visit(child, inode)))
        if inode.type == stat.S_IFDIR:
            inode.nlink = 2 + sum(1 for _, c in inode.entries if c.type == stat.S_IFDIR)
        return inode

    def set_xattrs(self, inode):
        node = inode.node
        given = []
        for name, value in node.xattrs.pairs.items():
            if name.startswith(b'trusted.overlay.'):
                name = b'trusted.overlay.' + name[len(b'trusted.'):]
            given.append((name, value))
        own = []
        if inode.external:
            own.append((b'trusted.overlay.metacopy', metacopy(node.digest)))
            if node.digest:
                text = node.digest.hex()
                own.append((b'trusted.overlay.redirect', f'/{text[:2]}/{text[2:]}'.encode()))
            elif node.payload:
                own.append((b'trusted.overlay.redirect', b'/' + node.payload))
        inode.xattrs = own + sorted(given)

    def plan_tail(self, inode):
        kind = inode.type
        inode.groups, inode.rest = [], 0
        if kind == stat.S_IFDIR:
            names = sorted(inode.entries + [(b'.', inode), (b'..', inode.parent)],
                           key=lambda entry: entry[0])
            inode.groups, inode.last = pack_directory(names)
            inode.rest = sum(12 + len(name) for name, _ in inode.last)
            inode.isize = BLOCK * len(inode.groups) + inode.rest
            inode.layout = INLINE if inode.rest else PLAIN
        elif kind == stat.S_IFLNK:
            if len(inode.payload) > 1024:
                raise WriteError('EINVAL')
            inode.rest = inode.isize = len(inode.payload)
            inode.layout = INLINE
        elif inode.external:
            inode.isize = inode.size
            inode.layout = CHUNKED
            inode.rest = 4 if inode.node.digest else 0
        elif kind == stat.S_IFREG and inode.size:
            if inode.size > 512:
                raise WriteError('EINVAL')
            inode.isize = inode.rest = inode.size
            inode.layout = INLINE

    def place(self, inode, position):
        if inode.layout == INLINE:
            start = position + inode.head
            if (start - 1) // BLOCK != (start + inode.isize % BLOCK) // BLOCK:
                position = up(position + BLOCK - (start - 1) % BLOCK, 32)
        return position

    def fill(self, inode, block):
        kind = inode.type
        if kind == stat.S_IFDIR:
            inode.u = block if inode.groups else 0
            inode.blocks = b''.join(encode_entries(g).ljust(BLOCK, b'\0') for g in inode.groups)
            inode.tail = encode_entries(inode.last)
        elif kind == stat.S_IFLNK:
            inode.tail = inode.payload
        elif inode.external:
            inode.u = 31
            inode.tail = b'\xff' * inode.rest
        elif kind == stat.S_IFREG and inode.size:
            inode.tail = inode.content
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            inode.u = inode.rdev

    def image(self):
        pairs = sorted(count_pairs(self.inodes),
                       key=lambda p: (*split_name(p[0], True), p[1]))
        position = FIRST_INODE
        for inode in self.inodes:
            inode.body = encode_body(inode.xattrs, dict.fromkeys(pairs, 0), True, 255)
            self.plan_tail(inode)
            position = self.place(inode, up(position, 32))
            inode.ino = inode.nid = position // 32
            position += inode.head + inode.rest
        end = up(position, 32)

        area, ids = b'', {}
        for pair in pairs:
            ids[pair] = (end + len(area)) // 4
            area += encode_xattr(*pair, True)
        start = up(end + len(area), BLOCK)
        block = start // BLOCK
        for inode in self.inodes:
            inode.body = encode_body(inode.xattrs, ids, True, 255)
            self.fill(inode, block)
            block += len(inode.blocks) // BLOCK
        header = struct.pack('<IIII16x', 0xd078629a, 1, 0, 2)
        sb = superblock(self.root, len(self.inodes), (0, 0), block, 0)
        return assemble(header, sb, self.inodes, area, start)


def has_whiteout(root):
    return any(not n.is_link and n.type == stat.S_IFCHR and n.rdev == 0 for n in root.walk())


def write(root, version='auto'):
    """The image of the tree as bytes. @version: 0, 1, 2 or 'auto' (image-format §4.2)."""
    if version == 'auto':
        version = int(has_whiteout(root))
    return Writer2(root).image() if version == 2 else Writer01(root, version).image()


def main():
    """refimage.py 0|1|2 <DUMP >IMAGE"""
    root = refdump.parse(sys.stdin.buffer.read())
    sys.stdout.buffer.write(write(root, int(sys.argv[1])))


if __name__ == '__main__':
    main()
