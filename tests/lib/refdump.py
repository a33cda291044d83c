# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""A second, slow reading of dump-format: composefs-dump(5) text to a tree of nodes.

Written from the specification alone, so that it can judge the C parser. Everything is bytes.
"""

import re
import stat

INLINE_MAX = 5000
XATTR_TOTAL_MAX = 32767
TYPES = {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO,
         stat.S_IFSOCK}


class DumpError(Exception):
    """Text that breaks the grammar; the message is the reference tool's, as bytes."""

    def __init__(self, message):
        super().__init__(message)
        self.message = message if isinstance(message, bytes) else message.encode()


class WriteError(Exception):
    """A tree that no image can hold; carries the errno's name."""


class XattrSet:
    """The xattrs of an inode with the accounting of image-format §5.5."""

    def __init__(self):
        self.pairs = {}
        self.total = 0

    def set(self, name, value):
        if not 1 <= len(name) <= 255:
            raise WriteError('ERANGE')
        if len(value) > 65535:
            raise WriteError('EINVAL')
        old = self.pairs.pop(name, None)
        if old is not None:
            if self.pairs:
                self.total -= 7 + len(name) + len(old)
            else:
                self.total = 0
        cost = 7 + len(name) + len(value) + (0 if self.pairs else 12)
        self.total = (self.total + cost) % 2**64
        if self.total > XATTR_TOTAL_MAX:
            raise WriteError('ERANGE')
        self.pairs[name] = value


class Node:
    def __init__(self, name=b'', parent=None):
        self.name = name
        self.parent = parent
        self.mode = 0
        self.nlink = 1
        self.uid = self.gid = self.rdev = self.size = self.mtime = self.nsec = 0
        self.xattrs = XattrSet()
        self.payload = None
        self.content = None
        self.digest = None
        self.children = {}
        self.is_link = False
        self.target = None     # of a hard link: a node, maybe a link itself

    @property
    def type(self):
        return stat.S_IFMT(self.mode)

    @property
    def path(self):
        if self.parent is None:
            return b'/'
        parts = []
        node = self
        while node.parent is not None:
            parts.append(node.name)
            node = node.parent
        return b'/' + b'/'.join(reversed(parts))

    def sorted(self):
        return [self.children[name] for name in sorted(self.children)]

    def resolve(self):
        """The node that holds the facts: the end of the chain of hard links."""
        seen = set()
        node = self
        while node.is_link:
            if id(node) in seen:
                raise WriteError('ELOOP')
            seen.add(id(node))
            node = node.target
        return node

    def walk(self):
        """Names depth first, parents before children, children in byte order."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            if not node.is_link:
                stack.extend(reversed(node.sorted()))


def unescape(text):
    out = bytearray()
    i = 0
    while i < len(text):
        c = text[i]
        i += 1
        if c != 0x5c:
            out.append(c)
            continue
        if i >= len(text):
            raise DumpError('No character after escape')
        e = text[i:i + 1]
        i += 1
        if e in (b'\\', b'n', b'r', b't'):
            out += {b'\\': b'\\', b'n': b'\n', b'r': b'\r', b't': b'\t'}[e]
        elif e == b'x':
            if i + 2 > len(text):
                raise DumpError('No hex characters after hex escape')
            if not re.fullmatch(rb'[0-9a-fA-F]{2}', text[i:i + 2]):
                raise DumpError('Invalid hex characters after hex escape')
            out.append(int(text[i:i + 2], 16))
            i += 2
        else:
            raise DumpError(b'Unsupported escape type ' + e)
    return bytes(out)


def cut(text):
    """What a C string keeps of @text."""
    return text.split(b'\0', 1)[0]


def optional(text):
    return None if text == b'-' else unescape(text)


def number(text, base=10):
    """strtoull on the whole field (dump-format §1.2)."""
    digits = rb'[0-7]+' if base == 8 else rb'[0-9]+'
    m = re.fullmatch(rb'[\t\v\f\r\n ]*([+-]?)(' + digits + rb')', text)
    if not m:
        raise DumpError(b'Invalid integer ' + text)
    n = int(m[2], base)
    if n >= 2**64:
        return 2**64 - 1
    return -n % 2**64 if m[1] == b'-' else n


class Parser:
    def __init__(self, strict=False):
        self.strict = strict
        self.root = None
        self.links = []     # (node, target path)

    def lookup(self, path):
        node = self.root
        for part in path.split(b'/'):
            if not part:
                continue
            node = node.children.get(part) if node else None
        return node

    def add(self, path, mode):
        """The new node of a line (dump-format §3)."""
        node = Node()
        node.mode = mode & 0xffffffff
        if path == b'/':
            if node.type != stat.S_IFDIR:
                raise DumpError('Root must be a directory')
            if self.root:
                raise DumpError("Can't have multiple roots")
            self.root = node
            return node

        if not self.root:
            raise DumpError('Root node not present')
        head, _, name = path.rpartition(b'/')
        parent = self.lookup(head)
        if not parent:
            raise DumpError(b'Parent directory missing for ' + path)
        if parent.type != stat.S_IFDIR:
            raise DumpError(b'Parent must be a directory for ' + path)
        if name in (b'.', b'..'):
            raise DumpError(b'Invalid . or .. in path: ' + path)
        if not name or len(name) > 255 or name in parent.children:
            raise DumpError("Can't add child")
        node.name = name
        node.parent = parent
        parent.children[name] = node
        return node

    def line(self, line):
        if b'\0' in line:
            raise DumpError('Invalid embedded NUL character at position %d' % line.index(b'\0'))
        fields = line.split(b' ', 11)
        rest = fields.pop() if len(fields) == 12 else b''
        fields += [b''] * (11 - len(fields))

        path = cut(unescape(fields[0]))
        if not path:
            raise DumpError('Invalid empty path')
        is_link = fields[2].startswith(b'@')
        mode = number(fields[2][is_link:], 8)
        if stat.S_IFMT(mode & 0xffffffff) not in TYPES:
            raise DumpError('Invalid mode %o' % (mode & 0xffffffff))
        node = self.add(path, mode)
        if is_link:
            self.link(node, fields[8])
        else:
            self.facts(node, fields)
            self.set_xattrs(node, rest)

    def link(self, node, payload):
        if node.type == stat.S_IFDIR:
            raise DumpError("Directories can't be hardlinked")
        target = optional(payload)
        node.is_link = True
        self.links.append((node, None if target is None else cut(target)))

    def facts(self, node, fields):
        node.size = number(fields[1])
        node.nlink = number(fields[3]) & 0xffffffff
        node.uid = number(fields[4]) & 0xffffffff
        node.gid = self.lax_number(node, fields[5])
        node.rdev = self.lax_number(node, fields[6])
        sec, _, nsec = fields[7].partition(b'.')
        sec = number(sec)
        node.mtime = sec - 2**64 if sec >= 2**63 else sec
        node.nsec = number(nsec) & 0xffffffff

        payload = optional(fields[8])
        payload = None if payload is None else cut(payload)
        content = optional(fields[9])
        if content is not None and len(content) != node.size:
            raise DumpError('Invalid content size %d, must match size %d'
                            % (len(content), node.size))
        if self.strict and node.type not in (stat.S_IFCHR, stat.S_IFBLK) and node.rdev:
            raise DumpError('Non-zero devnum on non-device')
        if node.type == stat.S_IFLNK:
            self.symlink(node, payload, content)
        else:
            if payload is not None and len(payload) >= 4096:
                raise DumpError('Invalid payload')
            node.payload = payload or None
        if content:
            if len(content) > INLINE_MAX:
                raise DumpError('Inline content size %d exceeds maximum %d'
                                % (len(content), INLINE_MAX))
            if node.type == stat.S_IFREG:
                node.content = content
        self.set_digest(node, fields[10])

    def lax_number(self, node, text):
        """GID and RDEV: errors count only where UID is 0 (dump-format §2)."""
        try:
            return number(text) & 0xffffffff
        except DumpError:
            if node.uid == 0:
                raise
            return 0

    def symlink(self, node, payload, content):
        if not payload or len(payload) >= 4096:
            raise DumpError('Invalid symlink')
        if self.strict and node.size != len(payload):
            raise DumpError('Invalid symlink size %d, must match size %d'
                            % (len(payload), node.size))
        if self.strict and content:
            raise DumpError('Symlink cannot have content')
        node.payload = payload
        node.size = len(payload)

    def set_digest(self, node, text):
        if node.type != stat.S_IFREG or not node.size or node.content or text == b'-':
            return
        text = unescape(text)
        if not re.fullmatch(rb'([0-9a-fA-F]{64}){1,2}', text):
            raise DumpError('Invalid digest')
        node.digest = bytes.fromhex(text.decode())

    def set_xattrs(self, node, rest):
        if len(rest) > 65535:
            raise DumpError('Too many xattrs')
        tokens = rest.split(b' ')
        if not tokens[-1]:
            tokens.pop()
        for token in tokens:
            key, equals, value = token.partition(b'=')
            if not equals:
                raise DumpError('Missing = in xattr')
            key, value = cut(unescape(key)), unescape(value)
            try:
                node.xattrs.set(key, value)
            except WriteError:
                raise DumpError("Can't set xattr") from None

    def finish(self):
        for node, path in reversed(self.links):
            if path is None:
                raise DumpError('No target path for the hardlink')
            node.target = self.lookup(path)
            if not node.target:
                raise DumpError(b'No target at ' + path + b' for hardlink')
            if node.target is node:
                raise DumpError(b'Self-referential hardlink ' + path)
        if not self.root:
            raise DumpError('No files in dump file')
        return self.root


def parse(data, strict=False):
    """The root of the tree that @data describes."""
    parser = Parser(strict)
    lines = data.split(b'\n')
    unfinished = lines.pop()
    for line in lines:
        parser.line(line)
    if unfinished:
        parser.line(unfinished)
        if strict:
            raise DumpError('Missing trailing newline')
    return parser.finish()
