# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""tar archives that others made, and broken ones: what we see is what others see.

 * A directory packed by GNU tar, by libarchive and by Python in each of their formats is, to us, the
   directory.
 * Of archives with changed headers: where our reader and Python's or libarchive's both accept an entry, it
   is the same entry. (That we refuse more is meant; that we see something else would be an attack.)

CAIRN_SEED: a number to begin with (default 1).
"""

import ctypes
import ctypes.util
import io
import math
import os
import random
import shutil
import subprocess
import sys
import tarfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'lib'))
from programs import BUILD, output, run  # noqa: E402

SEED = int(os.environ.get('CAIRN_SEED', '1'))
TARLIST = os.path.join(BUILD, 'tests', 'lib', 'tarlist')
ROUNDS = 40     # archives
MUTATIONS = 12  # of each


# --- packers --------------------------------------------------------------------------------------

def make_tree(top, rng, names):
    """A directory with some of everything that tar can have; whole seconds, short names for old formats."""
    os.makedirs(top / 'd' / 'e')
    for i in range(names):
        path = top / rng.choice(['', 'd', 'd/e']) / f'f{i}'
        path.write_bytes(rng.randbytes(rng.choice([0, 1, 64, 65, 511, 512, 513, 5000])))
        os.chmod(path, rng.choice([0o644, 0o4755, 0o600, 0]))
        os.utime(path, (0, rng.randrange(2**31)))
        if os.geteuid() == 0:
            os.chown(path, rng.randrange(60000), rng.randrange(60000))
    os.symlink('d/e', top / 'sym')
    os.mkfifo(top / 'fifo', 0o640)
    (top / 'one').write_bytes(b'1' * 100)
    os.link(top / 'one', top / 'd' / 'two')
    if os.geteuid() == 0:
        os.mknod(top / 'null', 0o20666, os.makedev(1, 3))
    for folder, folders, files in os.walk(top, topdown=False):
        for name in files + folders:
            os.utime(os.path.join(folder, name), (0, rng.randrange(2**31)), follow_symlinks=False)
    os.utime(top, (0, rng.randrange(2**31)))


def pack_python(top, archive, form):
    with tarfile.open(archive, 'w', format=form) as tar:
        tar.add(top, '.')


PACKERS = {
    'gnu': lambda top, out: ['tar', '--format=gnu', '-C', top, '-cf', out, '.'],
    'oldgnu': lambda top, out: ['tar', '--format=oldgnu', '-C', top, '-cf', out, '.'],
    'posix': lambda top, out: ['tar', '--format=posix', '-C', top, '-cf', out, '.'],
    'ustar': lambda top, out: ['tar', '--format=ustar', '-C', top, '-cf', out, '.'],
    'bsd-pax': lambda top, out: ['bsdtar', '--format=pax', '-C', top, '-cf', out, '.'],
    'bsd-gnutar': lambda top, out: ['bsdtar', '--format=gnutar', '-C', top, '-cf', out, '.'],
    'bsd-ustar': lambda top, out: ['bsdtar', '--format=ustar', '-C', top, '-cf', out, '.'],
}


@pytest.mark.parametrize('packer', [*PACKERS, 'python-pax', 'python-gnu', 'python-ustar'])
def test_packers(packer, tmp_path):
    top, archive = tmp_path / 'tree', tmp_path / 'archive'
    make_tree(top, random.Random(SEED), 20)
    if packer in PACKERS:
        command = PACKERS[packer](top, archive)
        if not shutil.which(command[0]):
            pytest.skip(command[0] + ' is not installed')
        subprocess.run(command, check=True, capture_output=True)
    else:
        pack_python(top, archive, {'pax': tarfile.PAX_FORMAT, 'gnu': tarfile.GNU_FORMAT,
                                   'ustar': tarfile.USTAR_FORMAT}[packer.split('-')[1]])
    result = run('cairn', 'diff', '--skip-xattrs', top, archive)
    assert (result.returncode, result.stdout) == (0, b'no difference\n'), result


def test_long_names(tmp_path):
    """What only extensions can say, by those that have one."""
    top = tmp_path / 'tree'
    deep = top / ('n' * 120) / ('m' * 200)
    deep.mkdir(parents=True)
    (deep / ('f' * 255)).write_bytes(b'x' * 70)
    os.symlink('t' * 500, top / 'sym')
    os.link(deep / ('f' * 255), top / 'hard')
    for packer in ('gnu', 'posix', 'bsd-pax', 'bsd-gnutar'):
        command = PACKERS[packer](top, tmp_path / packer)
        if not shutil.which(command[0]):
            continue
        for folder, _, _ in os.walk(top, topdown=False):
            os.utime(folder, (0, 5))
        for name in (deep / ('f' * 255), top / 'sym'):
            os.utime(name, (0, 7), follow_symlinks=False)
        subprocess.run(command, check=True, capture_output=True)
        result = run('cairn', 'diff', '--skip-xattrs', top, tmp_path / packer)
        assert (result.returncode, result.stdout) == (0, b'no difference\n'), (packer, result)


# --- readers --------------------------------------------------------------------------------------

def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & 2**64 - 1
    return value


def ours(paths):
    """For each archive the entries that we see, and the error, if any."""
    text = subprocess.run([TARLIST, *paths], check=True, capture_output=True).stdout.decode('latin-1')
    found, entries = [], []
    for line in text.splitlines():
        if line == 'end' or line.startswith('error: '):
            found.append((entries, None if line == 'end' else line[7:]))
            entries = []
            continue
        fields = line.split(' ')
        entries.append({
            'type': fields[0],
            'path': bytes.fromhex(fields[1]),
            'target': bytes.fromhex(fields[2][1:]),
            'mode': int(fields[3], 8),
            'uid': int(fields[4]),
            'gid': int(fields[5]),
            'mtime': int(fields[6]),
            'size': int(fields[8]),
            'sum': int(fields[-1], 16) if fields[0] == '0' else None,
        })
    return found


TYPES = {tarfile.AREGTYPE: '0', tarfile.CONTTYPE: '0'}


def python_sees(path):
    entries = []
    try:
        with tarfile.open(path, 'r:', encoding='utf-8', errors='surrogateescape') as tar:
            for m in tar:
                kind = TYPES.get(m.type, m.type.decode('latin-1'))
                entries.append({
                    'type': kind,
                    'path': m.name.encode('utf-8', 'surrogateescape'),
                    'target': m.linkname.encode('utf-8', 'surrogateescape') if kind in '12' else b'',
                    'mode': m.mode & 0o7777,
                    'uid': m.uid,
                    'gid': m.gid,
                    'mtime': math.floor(m.mtime),
                    'size': m.size if kind == '0' else 0,
                    'sum': fnv(tar.extractfile(m).read()) if kind == '0' and m.size < 10000 else None,
                })
    except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError, KeyError):
        pass
    return entries


class Libarchive:
    """Just enough of it, through ctypes."""

    def __init__(self):
        name = ctypes.util.find_library('archive')
        self.lib = ctypes.CDLL(name) if name else None
        if not self.lib:
            return
        for function, result in (('archive_read_new', ctypes.c_void_p),
                                 ('archive_entry_pathname', ctypes.c_char_p),
                                 ('archive_entry_hardlink', ctypes.c_char_p),
                                 ('archive_entry_symlink', ctypes.c_char_p),
                                 ('archive_entry_size', ctypes.c_int64),
                                 ('archive_entry_uid', ctypes.c_int64),
                                 ('archive_entry_gid', ctypes.c_int64),
                                 ('archive_entry_mtime', ctypes.c_int64),
                                 ('archive_entry_filetype', ctypes.c_uint32),
                                 ('archive_entry_perm', ctypes.c_uint32)):
            getattr(self.lib, function).restype = result

    def sees(self, path):
        lib, entries = self.lib, []
        archive = ctypes.c_void_p(lib.archive_read_new())
        lib.archive_read_support_format_tar(archive)
        entry = ctypes.c_void_p()
        if lib.archive_read_open_filename(archive, os.fsencode(path), ctypes.c_size_t(10240)) == 0:
            # Not with warnings, which it gives where it has given up on a pax header.
            while lib.archive_read_next_header(archive, ctypes.byref(entry)) == 0:
                name = lib.archive_entry_pathname(entry)
                hard = lib.archive_entry_hardlink(entry)
                sym = lib.archive_entry_symlink(entry)
                mode = lib.archive_entry_perm(entry)
                kind = {0o10: '0', 0o12: '2', 0o2: '3', 0o6: '4', 0o4: '5',
                        0o1: '6'}.get(lib.archive_entry_filetype(entry) >> 12, '?')
                kind = '1' if hard is not None else kind
                entries.append({'type': kind, 'path': name, 'target': hard or sym or b'',
                                'mode': mode & 0o7777, 'uid': lib.archive_entry_uid(entry),
                                'gid': lib.archive_entry_gid(entry),
                                'mtime': lib.archive_entry_mtime(entry),
                                'size': lib.archive_entry_size(entry) if kind == '0' else 0})
        lib.archive_read_free(archive)
        return entries


# --- mutations ------------------------------------------------------------------------------------

def random_archive(path, rng):
    form = rng.choice([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
    with tarfile.open(path, 'w', format=form) as tar:
        for i in range(rng.randrange(1, 6)):
            m = tarfile.TarInfo(rng.choice(['f', 'd/', 'a/b/', './', '']) + f'n{i}'
                                + 'x' * rng.choice([0, 0, 120 if form != tarfile.USTAR_FORMAT else 20]))
            m.type = rng.choice([tarfile.REGTYPE] * 4 + [tarfile.AREGTYPE, tarfile.DIRTYPE,
                                tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
            m.mode = rng.randrange(0o10000)
            m.uid, m.gid = rng.randrange(1 << 20), rng.randrange(1 << 20)
            m.mtime = rng.randrange(1 << 33)
            if form == tarfile.PAX_FORMAT and rng.random() < .5:
                m.mtime += .5
                m.pax_headers = {'SCHILY.xattr.user.x': 'v', 'comment': 'c'}
            data = b''
            if m.isfile():
                data = rng.randbytes(rng.choice([0, 1, 511, 512, 513, 1500]))
                m.size = len(data)
            elif m.islnk() or m.issym():
                m.linkname = rng.choice(['f', 'a/b', 'l' * 90])
            tar.addfile(m, io.BytesIO(data))


def fix_sums(data):
    for at in range(0, len(data) - 511, 512):
        if data[at + 257:at + 262] == b'ustar':
            data[at + 148:at + 156] = b' ' * 8
            data[at + 148:at + 156] = b'%06o\0 ' % sum(data[at:at + 512])


def mutate(data, rng):
    """Changes some bytes of headers, mostly to what means something there."""
    data = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        headers = [at for at in range(0, len(data) - 511, 512) if data[at + 257:at + 262] == b'ustar']
        if not headers:
            break
        at = rng.choice(headers)
        field, size = rng.choice([(0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12),
                                  (156, 1), (157, 100), (257, 8), (329, 8), (345, 155), (512, 40)])
        where = min(at + field + rng.randrange(min(size, 14)), len(data) - 1)
        data[where] = rng.choice([0, 0x20, 0x2f, 0x30, 0x31, 0x37, 0x39, 0x80, 0xff, 0x0a, 0x3d,
                                  *b'xgLK0156', rng.randrange(256)])
    fix_sums(data)
    return bytes(data)


def same(mine, theirs, fields):
    """Whether they are one entry; a slash at the end of a name is nothing."""
    for field in fields:
        a, b = mine[field], theirs[field]
        if field == 'path':
            a, b = a.rstrip(b'/'), (b or b'').rstrip(b'/')
        if b is not None and a != b:
            return False
    return True


def has_global(data):
    return any(data[at + 156:at + 157] == b'g' for at in range(0, len(data) - 511, 512)
               if data[at + 257:at + 262] == b'ustar')


def test_mutations(tmp_path):
    rng = random.Random(SEED)
    libarchive = Libarchive()
    paths = []
    for i in range(ROUNDS):
        random_archive(tmp_path / 'base', rng)
        base = (tmp_path / 'base').read_bytes()
        for j in range(MUTATIONS):
            data = base if not j else mutate(base, rng)
            # Others take global headers for what they say, and that is known.
            if has_global(data):
                continue
            paths.append(tmp_path / f'{i}.{j}')
            paths[-1].write_bytes(data)
    accepted = whole = 0
    for path, (entries, error) in zip(paths, ours(paths)):
        if error:
            continue
        accepted += 1
        seen = python_sees(path)
        whole += len(seen) == len(entries)
        for mine, theirs in zip(entries, seen):
            # Python looks for a prefix where GNU has times, and at the short name of what has a long
            # one for the slash of an old directory. Go and we do not.
            if theirs['path'].endswith(b'/' + mine['path'].rstrip(b'/')) or (
                    mine['type'] == '5' and theirs['type'] == '0'):
                break
            assert same(mine, theirs, ('type', 'path', 'target', 'mode', 'uid', 'gid', 'mtime',
                                       'size', 'sum')), (path, mine, theirs)
        if libarchive.lib:
            for mine, theirs in zip(entries, libarchive.sees(path)):
                # To libarchive every file whose name ends in a slash is a directory, and a link to
                # nothing is none; Go and we follow the type.
                if ((mine['type'] == '0' and mine['path'].endswith(b'/'))
                        or (mine['type'] == '1' and not mine['target'])):
                    break
                assert same(mine, theirs, ('type', 'path', 'target', 'mode', 'uid', 'gid', 'mtime',
                                           'size')), (path, mine, theirs)
    # The test would pass as well if nothing were ever read.
    assert accepted > len(paths) / 5 and whole > accepted / 2, (len(paths), accepted, whole)
