# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""A second, slow reader of images and printer of trees (image-format §10, dump-format §7, tools §2).

Trusts the image: it is for judging what the C programs print of images that are known to be good.
"""

import stat
import struct

from refdump import INLINE_MAX, Node

BLOCK = 4096
PREFIX = [b'', b'user.', b'system.posix_acl_access', b'system.posix_acl_default', b'trusted.',
          b'lustre.', b'security.']
OVERLAY = b'trusted.overlay.'
ESCAPED = b'trusted.overlay.overlay.'
MARKS = {b'trusted.overlay.overlay.whiteouts', b'user.overlay.whiteout', b'user.overlay.whiteouts'}


class Reader:
    def __init__(self, image, keep):
        self.image = image
        self.keep = keep    # None, or the names of the root's children to load
        magic, container, _, self.version = struct.unpack_from('<IIII', image, 0)
        assert magic == 0xd078629a and container == 1
        sb = struct.unpack_from('<IIIBBHQqIIII', image, 1024)
        self.root_nid, self.build = sb[5], (sb[7], sb[8])
        self.xattr_start = sb[11] * BLOCK
        self.nodes = {}     # nid: the node that holds the facts

    def inode(self, nid):
        """(node, layout, u, end of the xattrs) of an inode."""
        at = nid * 32
        form, count = struct.unpack_from('<HH', self.image, at)
        node = Node()
        if form & 1:
            (_, _, node.mode, _, node.size, u, _, node.uid, node.gid, node.mtime, node.nsec,
             node.nlink) = struct.unpack_from('<HHHHQIIIIqII', self.image, at)
            at += 64
        else:
            (_, _, node.mode, node.nlink, node.size, _, u, _, node.uid, node.gid,
             _) = struct.unpack_from('<HHHHIIIIHHI', self.image, at)
            node.mtime, node.nsec = self.build
            at += 32
        if stat.S_IFMT(node.mode) in (stat.S_IFCHR, stat.S_IFBLK):
            node.rdev = u
        if count:
            end = at + 12 + 4 * (count - 1)
            self.read_xattrs(node, at, end)
            at = end
        return node, form >> 1, u, at

    def entry(self, at):
        length, index, size = struct.unpack_from('<BBH', self.image, at)
        name = PREFIX[index] + self.image[at + 4:at + 4 + length]
        at += 4 + length
        return name, self.image[at:at + size], (at + size + 3) // 4 * 4

    def read_xattrs(self, node, at, end):
        shared = self.image[at + 4]
        ids = struct.unpack_from('<%dI' % shared, self.image, at + 12)
        pairs = []
        at += 12 + 4 * shared
        while at < end:
            name, value, at = self.entry(at)
            pairs.append((name, value))
        pairs += [self.entry(self.xattr_start + 4 * i)[:2] for i in ids]
        for name, value in pairs:
            self.apply(node, name, value)

    def apply(self, node, name, value):
        regular = stat.S_ISREG(node.mode)
        if regular and name == b'trusted.overlay.redirect':
            node.payload = value[1:] if value[:1] == b'/' and len(value) > 1 else value
        elif regular and name == b'trusted.overlay.metacopy' and len(value) in (36, 68):
            node.digest = value[4:]
        elif self.version < 2 and regular and name == b'trusted.overlay.overlay.whiteout':
            node.is_whiteout = True
        elif self.version < 2 and name in MARKS:
            pass
        elif name.startswith(ESCAPED):
            node.xattrs.pairs[OVERLAY + name[len(ESCAPED):]] = value
        elif not name.startswith(OVERLAY):
            node.xattrs.pairs[name] = value

    def data(self, node, layout, u, at):
        whole = node.size if layout == 0 else node.size // BLOCK * BLOCK
        tail = node.size - whole
        return self.image[u * BLOCK:u * BLOCK + whole] + self.image[at:at + tail]

    def load(self, nid, name=b'', parent=None):
        if nid in self.nodes:
            node = Node(name, parent)
            node.is_link = True
            node.target = self.nodes[nid]
            return node
        node, layout, u, at = self.inode(nid)
        node.name, node.parent = name, parent
        kind = node.type
        if kind == stat.S_IFCHR and node.rdev == 0 and self.version < 2:
            return None
        self.nodes[nid] = node
        if kind == stat.S_IFDIR:
            for child, child_nid in self.entries(self.data(node, layout, u, at)):
                if parent is None and self.keep is not None and child not in self.keep:
                    continue
                if child not in (b'.', b'..'):
                    loaded = self.load(child_nid, child, node)
                    if loaded:
                        node.children[child] = loaded
        elif kind == stat.S_IFLNK:
            node.payload = self.data(node, layout, u, at)
        elif kind == stat.S_IFREG and node.size and layout in (0, 2):
            node.content = self.data(node, layout, u, at)
            assert len(node.content) <= INLINE_MAX
        if hasattr(node, 'is_whiteout'):
            node.mode = stat.S_IFCHR | stat.S_IMODE(node.mode)
            node.size = node.rdev = 0
            node.content = node.payload = node.digest = None
        return node

    @staticmethod
    def entries(data):
        for start in range(0, len(data), BLOCK):
            block = data[start:start + BLOCK]
            count = struct.unpack_from('<H', block, 8)[0] // 12
            heads = [struct.unpack_from('<QH', block, 12 * i) for i in range(count)]
            ends = [offset for _, offset in heads[1:]] + [len(block)]
            for (nid, offset), end in zip(heads, ends):
                yield block[offset:end].split(b'\0')[0], nid


def load(image, keep=None):
    """The tree in @image as the reader of the specification sees it. @keep: names of --filter."""
    reader = Reader(image, keep)
    return reader.load(reader.root_nid)


# --- printing -----------------------------------------------------------------------------------

def escape(text, equals=False, keep_space=False, dash=False):
    if dash and text == b'-':
        return b'\\x2d'
    out = bytearray()
    for c in text:
        if c in b'\\\n\r\t':
            out += {0x5c: b'\\\\', 0x0a: b'\\n', 0x0d: b'\\r', 0x09: b'\\t'}[c]
        elif (equals and c == 0x3d) or not (0x21 <= c <= 0x7e or (keep_space and c == 0x20)):
            out += b'\\x%02x' % c
        else:
            out.append(c)
    return bytes(out)


def dump_line(node):
    inode = node.resolve()
    if node.is_link:
        payload = escape(b'' if inode.parent is None else inode.path, dash=True)
    else:
        payload = escape(inode.payload, dash=True) if inode.payload else b'-'
    fields = [
        escape(node.path), b'%d' % inode.size,
        (b'@' if node.is_link else b'') + b'%o' % inode.mode,
        b'%d' % inode.nlink, b'%d' % inode.uid, b'%d' % inode.gid, b'%d' % inode.rdev,
        b'%d.%d' % (inode.mtime, inode.nsec), payload,
        escape(inode.content, dash=True) if inode.content else b'-',
        inode.digest.hex().encode() if inode.digest else b'-',
    ]
    fields += [escape(k, True) + b'=' + escape(v, True) for k, v in inode.xattrs.pairs.items()]
    return b' '.join(fields) + b'\n'


def dump(root):
    """What `composefs-info dump` prints."""
    return b''.join(dump_line(node) for node in root.walk())


def listing(root):
    """What `composefs-info ls` prints."""
    out = b''
    for node in root.walk():
        if node is root:
            continue
        line = escape(node.path, keep_space=True)
        if not node.is_link and node.type == stat.S_IFDIR:
            line += b'/\t'
        elif not node.is_link and node.type == stat.S_IFLNK:
            line += b'\t-> ' + escape(node.payload)
        elif not node.is_link and node.type == stat.S_IFREG and node.payload:
            line += b'\t@ ' + escape(node.payload)
        out += line + b'\n'
    return out


def objects(root):
    """What `composefs-info objects` prints."""
    paths = {n.payload for n in root.walk()
             if not n.is_link and n.type == stat.S_IFREG and n.payload}
    return b''.join(path + b'\n' for path in sorted(paths))
