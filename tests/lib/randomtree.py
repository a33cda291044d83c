# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Random trees as composefs-dump(5) text, with a liking for the edges of the format.

A tree follows from its seed and profile alone. Entries are kept apart from their text, so that the
same tree can be written down in many ways.
"""

import random
import stat

PROFILES = ('mixed', 'layout', 'directories', 'xattrs', 'overlay', 'links', 'plain')

REG, DIR, LNK = stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK
CHR, BLK, FIFO, SOCK = stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK

XATTR_NAMES = [
    b'user.a', b'user.b', b'user.', b'user', b'security.selinux', b'security.capability',
    b'security.ima', b'trusted.x', b'trusted.', b'system.posix_acl_access',
    b'system.posix_acl_default', b'system.posix_acl_accessory', b'system.nfs4_acl', b'lustre.lov',
    b'other', b'a=b', b'user.\xc3\xa9', b'user.with space', b'user.' + b'n' * 250, b'U' * 255]
OVERLAY_NAMES = [
    b'trusted.overlay.opaque', b'trusted.overlay.whiteout', b'trusted.overlay.whiteouts',
    b'trusted.overlay.redirect', b'trusted.overlay.metacopy', b'trusted.overlay.overlay.opaque',
    b'trusted.overlay.overlay.whiteouts', b'trusted.overlay.', b'trusted.overlay',
    b'trusted.overlayx', b'user.overlay.opaque', b'user.overlay.whiteout',
    b'user.overlay.whiteouts', b'user.overlay.redirect', b'trusted.overlay.' + b'o' * 239]


class Entry:
    """One line of a dump, decoded."""

    def __init__(self, path, mode):
        self.path = path          # b'' is the root, else b'/a/b'
        self.mode = mode
        self.nlink = 1
        self.uid = self.gid = self.rdev = self.size = self.mtime = self.nsec = 0
        self.payload = self.content = self.digest = None
        self.xattrs = {}
        self.link = None          # path of the target


class Tree:
    def __init__(self, seed, profile, version2=False, digest_size=32, link_dirs=False):
        self.rng = random.Random(f'{profile}/{seed}')
        self.profile = profile
        self.version2 = version2  # only what V2 can hold and has one meaning in every writer
        self.digest_size = digest_size
        self.link_dirs = link_dirs
        self.entries = [Entry(b'', DIR | 0o755)]
        self.dirs = [b'']
        self.taken = {b''}
        self.pool = self.make_pool()
        self.times = [(0, 0)] if self.chance(0.3) else [
            (1700000000, 0), (1700000000, 5), (-5, 999999999), (2**40, 1), (0, 0)]
        self.ids = [0, 0, 0, 1000, 65535, 65536, 2**32 - 1]
        self.fill_root()
        for _ in range(self.rng.choice([0, 3, 20, 60, 150])):
            self.add()
        if profile in ('links', 'mixed') or link_dirs:
            for _ in range(self.rng.randrange(12)):
                self.add_link()

    def chance(self, p):
        return self.rng.random() < p

    # --- names ----------------------------------------------------------------------------------

    def name(self):
        r = self.rng
        kind = r.randrange(10)
        if kind < 4:
            return b'%s%d' % (r.choice([b'f', b'g', b'z', b'.', b'-', b'_', b'A']), r.randrange(999))
        if kind < 5:
            return b'%02x' % r.randrange(256)
        if kind < 6:
            return r.choice([b' ', b'!', b'-', b'=', b'\\', b'\n', b'\t', b'\r', b'...', b'.a', b'..b',
                             b'\xff', b'\x7f', b'\x01', b'\xc3\xa9', b'a b', b'a=b', b'@', b'AB', b'aF',
                             b'000', b'0', b'\\x2d', b'a\\nb'])
        if kind < 7:
            return bytes(r.choice([c for c in range(1, 256) if c != 0x2f])
                         for _ in range(r.randrange(1, 9)))
        length = r.choice([8, 14, 50, 100, 200, 254, 255]) if kind < 9 else r.randrange(1, 256)
        return (b'%d-' % r.randrange(10**6) + bytes([r.randrange(97, 123)]) * 255)[:length]

    def path(self, parent=None):
        while True:
            if parent is None:
                weights = self.dirs[-3:] + self.dirs[:2] + [self.rng.choice(self.dirs)]
                directory = self.rng.choice(weights)
            else:
                directory = parent
            name = self.name()
            path = directory + b'/' + name
            if name not in (b'.', b'..') and path not in self.taken:
                self.taken.add(path)
                return path

    # --- facts ----------------------------------------------------------------------------------

    def make_pool(self):
        """(name, value) pairs that many inodes have in common."""
        r = self.rng
        names = XATTR_NAMES + (OVERLAY_NAMES if self.profile in ('overlay', 'xattrs') else [])
        pool = []
        for _ in range({'plain': 0, 'xattrs': 12}.get(self.profile, 5)):
            pool.append((r.choice(names), self.value()))
        if self.profile == 'xattrs' and self.chance(0.3):
            pool += [(b'user.k%03d' % i, b'v') for i in range(r.choice([126, 128, 129, 150, 200]))]
        return pool

    def value(self):
        r = self.rng
        size = r.choice([0, 0, 1, 2, 3, 4, 5, 8, 20, 36, 60, 100]) if self.chance(0.9) \
            else r.randrange(6000)
        if self.chance(0.5):
            return b'v' * size
        return bytes(r.randrange(256) for _ in range(size))

    def set_xattrs(self, entry):
        r = self.rng
        if self.profile == 'plain' or self.chance(0.4):
            return
        if len(self.pool) > 100 and self.chance(0.2):
            chosen = list(self.pool)
        else:
            chosen = [r.choice(self.pool) for _ in range(r.randrange(4))]
        names = XATTR_NAMES + (OVERLAY_NAMES if self.profile in ('overlay', 'xattrs') else [])
        chosen += [(r.choice(names), self.value()) for _ in range(r.randrange(3))]
        total = 12
        for name, value in chosen:
            total += 7 + len(name) + len(value)
            if total < 32000:
                entry.xattrs[name] = value

    def set_owner(self, entry):
        r = self.rng
        entry.uid, entry.gid = (0, 0) if self.chance(0.6) else (r.choice(self.ids),
                                                                r.choice(self.ids))
        entry.mtime, entry.nsec = r.choice(self.times)
        if self.version2:
            entry.nsec = 0
        entry.mode |= r.choice([0o644, 0o755, 0o600, 0, 0o7777, 0o4755, 0o1777])
        if not self.version2:
            entry.nlink = r.choice([1, 1, 1, 1, 2, 0, 65535, 65536, 2**32 - 1])

    def fill_root(self):
        root = self.entries[0]
        if self.profile != 'plain':
            self.set_owner(root)
        self.set_xattrs(root)
        if self.chance(0.3):
            root.xattrs[b'security.selinux'] = b'system_u:object_r:root_t:s0\0'
        if self.profile in ('layout', 'xattrs') and self.chance(0.4):
            root.xattrs[b'user.big'] = b'r' * self.rng.randrange(1, 9000)

    # --- entries --------------------------------------------------------------------------------

    def add(self):
        kinds = {
            'directories': [self.directory, self.crowd, self.regular],
            'layout': [self.inline, self.symlink, self.symlink, self.external, self.directory],
            'overlay': [self.whiteout, self.directory, self.external, self.regular, self.device],
        }.get(self.profile, [self.directory, self.regular, self.inline, self.external,
                             self.external, self.symlink, self.device, self.whiteout])
        self.rng.choice(kinds)()

    def new(self, mode, parent=None):
        entry = Entry(self.path(parent), mode)
        self.entries.append(entry)
        self.set_owner(entry)
        self.set_xattrs(entry)
        return entry

    def directory(self):
        entry = self.new(DIR)
        self.dirs.append(entry.path)
        entry.size = self.rng.choice([0, 4096, 2**33])

    def crowd(self):
        """A directory whose names fill about one half or one whole block."""
        r = self.rng
        self.directory()
        parent = self.dirs[-1]
        length = r.choice([20, 60, 150, 243])
        room = r.choice([2048, 4096, 8192, 6144]) - 27 + r.randrange(-4, 5)
        number = 0
        while room > 0:
            cost = min(room, 12 + length)
            if cost < 15:
                break
            name = (b'%03d' % number + b'n' * 255)[:cost - 12]
            number += 1
            path = parent + b'/' + name
            if path not in self.taken:
                self.taken.add(path)
                entry = Entry(path, REG | 0o644)
                self.entries.append(entry)
            room -= cost

    def regular(self):
        self.new(REG)

    def inline(self):
        r = self.rng
        entry = self.new(REG)
        edges = [1, 2, 31, 32, 33, 64, 65, 500, 512]
        if not self.version2:
            edges += [2000, 2047, 2048, 2049, 4000, 4095, 4096, 4097, 4999, 5000, 3000]
        entry.size = r.choice(edges)
        entry.content = b'-' if entry.size == 1 and self.chance(0.3) else \
            bytes([r.randrange(256)]) * entry.size
        if not self.version2 and self.chance(0.1):
            entry.payload = b'not/used'

    def external(self):
        r = self.rng
        entry = self.new(REG)
        entry.size = r.choice([1, 65, 4096, 4097, 100000, 2**32 - 1, 2**32, 2**43, 2**43 + 1, 2**45])
        if self.profile == 'layout':
            entry.size = r.choice([2**43 * 100, 2**43 * 1000 - 1, 2**43 * r.randrange(1, 1025),
                                   2**43 * r.randrange(1000, 1025), entry.size])
        if self.chance(0.8):
            entry.digest = bytes(r.randrange(256) for _ in range(self.digest_size)) \
                if self.chance(0.7) else b'\x5a' * self.digest_size
            text = entry.digest.hex().encode()
            entry.payload = text[:2] + b'/' + text[2:]
        if not self.version2 and self.chance(0.2):
            entry.payload = r.choice([None, b'abc', b'/abs', b'//x', b'-', b'a b', b'/', b'd/' * 9,
                                      b'p' * 4095, b'=', b'\\', b'x\n'])

    def symlink(self):
        r = self.rng
        entry = self.new(LNK)
        edges = [1, 2, 5, 31, 32, 33, 64, 100, 200]
        if not self.version2:
            edges += [1000, 2000, 3000, 3900, 4031, 4032, 4033, 4063, 4064, 4065, 4094, 4095,
                      r.randrange(1, 4096), r.randrange(3900, 4096)]
        size = r.choice(edges)
        entry.payload = (r.choice([b'-', b'../', b'/t ', b'\xc3\xa9', b'x']) * size)[:size]
        entry.size = len(entry.payload)

    def device(self):
        r = self.rng
        entry = self.new(r.choice([CHR, BLK, FIFO, SOCK]))
        if stat.S_IFMT(entry.mode) in (CHR, BLK):
            entry.rdev = r.choice([1, 0x103, 2**32 - 1]) if stat.S_IFMT(entry.mode) == CHR \
                else r.choice([0, 0x801])
        if not self.version2 and self.chance(0.2):
            entry.size = r.choice([1, 2**32 - 1, 2**32])

    def whiteout(self):
        parent = b'' if self.chance(0.3) else None
        if self.version2 and parent == b'':
            parent = None
        self.new(CHR, parent)

    def add_link(self):
        r = self.rng
        avoid = set() if self.link_dirs else {DIR}
        if self.version2:
            avoid.add(CHR)
        targets = [e.path for e in self.entries if stat.S_IFMT(e.mode) not in avoid
                   and not (self.version2 and e.link is not None)]
        if not targets:
            return
        entry = Entry(self.path(), r.choice([REG, LNK, CHR]) | 0o644)
        entry.link = r.choice(targets)
        self.entries.append(entry)

    # --- text -----------------------------------------------------------------------------------

    def order(self, rng):
        """The entries, parents before children, otherwise in any order."""
        rest = self.entries[1:]
        if rng:
            rng.shuffle(rest)
            rest.sort(key=lambda e: e.path.count(b'/'))
        return self.entries[:1] + rest

    def text(self, seed=None):
        """The dump. @seed: None for the plain way, else one of many equivalent ways."""
        rng = None if seed is None else random.Random(seed)
        return b''.join(line(entry, rng) for entry in self.order(rng))


def escape(text, rng, equals=False):
    if text == b'-' and not equals:
        return b'\\x2d'
    out = bytearray()
    for c in text:
        plain = 0x21 <= c <= 0x7e and c != 0x5c and not (equals and c == 0x3d)
        if rng and rng.random() < 0.1:
            plain = not plain and c >= 0x80
        if plain:
            out.append(c)
        elif rng and c in b'\\\n\r\t' and rng.random() < 0.5:
            out += {0x5c: b'\\\\', 0x0a: b'\\n', 0x0d: b'\\r', 0x09: b'\\t'}[c]
        else:
            out += (b'\\x%02X' if rng and rng.random() < 0.5 else b'\\x%02x') % c
    return bytes(out)


def integer(n, rng):
    text = b'%d' % n
    if not rng or rng.random() < 0.8:
        return text
    if n < 0:
        return b'\t' + text
    return rng.choice([b'0' + text, b'+' + text, b'\t' + text,
                       b'%d' % (n - 2**64) if n > 0 else text])


def spell_path(path, rng):
    text = b'/'.join(escape(part, rng, True) for part in path.split(b'/')) or b'/'
    if rng and path and rng.random() < 0.2:
        text = rng.choice([text[1:], text.replace(b'/', b'//'), b'/' + text])
    return text


def line(entry, rng=None):
    """One line of a dump, in one of many ways of spelling it."""
    mode = b'%o' % entry.mode
    if entry.link is not None:
        filler = [b'-'] * 7
        if rng and rng.random() < 0.5:
            filler = [rng.choice([b'-', b'', b'x', b'7']) for _ in range(7)]
        target = spell_path(entry.link, rng)
        fields = [spell_path(entry.path, rng), filler[0], b'@' + mode, *filler[1:5], b'-', target,
                  b'-', b'-']
        return b' '.join(fields) + b'\n'

    external = entry.payload is not None
    fields = [
        spell_path(entry.path, rng), integer(entry.size, rng), mode, integer(entry.nlink, rng),
        integer(entry.uid, rng), integer(entry.gid, rng), integer(entry.rdev, rng),
        integer(entry.mtime, rng) + b'.' + integer(entry.nsec, rng),
        escape(entry.payload, rng) if external else b'-',
        escape(entry.content, rng) if entry.content else b'-',
        entry.digest.hex().encode() if entry.digest else b'-',
    ]
    xattrs = list(entry.xattrs.items())
    if rng:
        rng.shuffle(xattrs)
        if entry.digest and rng.random() < 0.3:
            fields[10] = fields[10].upper()
        if xattrs and rng.random() < 0.2:
            xattrs.insert(0, (xattrs[-1][0], b'replaced later'))
    fields += [escape(k, rng, True) + b'=' + escape(v, rng, True) for k, v in xattrs]
    return b' '.join(fields) + (b' ' if rng and rng.random() < 0.1 else b'') + b'\n'
