# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Layers: the golden image of two of them, and one case for each row of the rules in both profiles.

What the runtime profile gives is compared with what umoci unpacked (measured.json); where the two are
meant to differ, DIFFERENT says so.
"""

import glob
import gzip
import json
import os
import sys
import tarfile

import pytest

GOLDEN = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(GOLDEN), 'lib'))
from programs import output, read, run  # noqa: E402

OCI = os.path.join(GOLDEN, 'oci')
CASES = os.path.join(OCI, 'layer-cases')
SEAL = os.path.join(OCI, 'seal')
DIGEST = 'c80449620920f329addb8afc8f5febf1a83d77f0b4794bbf6b31a4c6976b21f4'

with open(os.path.join(CASES, 'measured.json'), encoding='utf-8') as measured:
    MEASURED = json.load(measured)['cases']

LOWER = 'd d/a d/b d/s d/s/x top'  # the base of many cases

# case: what the profile runtime says, or None: what umoci unpacks; the same for composefs, where a
# list of names is what is there (below a layer that has only /usr).
RUNTIME = {
    'bigname256': 'a name of more than 255 bytes',
    'dotdot': '../evil (tar header at byte 0): a name with `..` in it',
    'dotdot_mid': 'd/../top2 (tar header at byte 0): a name with `..` in it',
    'hl_forward': 'layer 1: /h: the target of the hard link is not there',
    'hl_missing': 'layer 1: /h: the target of the hard link is not there',
    'hl_outside': 'h (tar header at byte 0): a hard link to a name that cannot be there',
    'hl_size': 'h (tar header at byte 1024): only files have content, this has a size',
    'hl_to_dir': 'h (tar header at byte 512): a hard link to a directory',
    'root_file': './ (tar header at byte 0): the root can only be a directory',
    'single_zero_block': 'tar header at byte 1536: something follows a single zero block',
    'unknown_type': "tar header at byte 0: entries of type 'Z' are not supported",
    'wh_dotdot': 'd/.wh... (tar header at byte 0): a mark (.wh.) that names nothing',
    'wh_empty': '.wh. (tar header at byte 0): a mark (.wh.) that names nothing',
}
DIFFERENT = {
    'aufs_plnk': 'f',  # what AUFS left is not shown
    'global_pax': 'f',  # umoci refuses global headers
}
MISSING = 'the directory is not there, only names below it'
COMPOSEFS = {
    'abs': 'layer 2: /abs: ' + MISSING,
    'aufs_plnk': '.wh..wh.plnk/1.2 (tar header at byte 512): its directory is not there',
    'chr00': ['w'],
    'dblslash': ['a', 'a/b', 'a/c'],
    'dir_over_file': LOWER.split(),
    'dir_over_symlink': ['ln', 'ln/f', 'real'],
    'dup_dir_file': ['x'],
    'dup_file': ['f'],
    'file_over_dir': ['d', 'top'],
    'global_pax': ['f'],
    'hl_abs': ['h', 't'],
    'hl_forward': 'layer 2: /h: the target of the hard link is not there',
    'hl_lower': LOWER.split() + ['h'],
    'hl_missing': 'layer 2: /h: the target of the hard link is not there',
    'hl_to_symlink': ['h', 's', 't'],
    'missing_parent': 'layer 3: /p: ' + MISSING,
    'neg_mtime': 'f (tar header at byte 0): a time before 1970',
    'opq_after_siblings': ['d', 'top'],  # marks also remove what the same layer had before them
    'opq_before': ['d', 'd/new', 'top'],
    'paxpath_slash': ['dirx'],
    'recreate_then_wh_dir': ['top'],
    'root_entry': ['f'],
    'through_abs_symlink_out': 'the layers below have something there that is no directory',
    'through_symlink': 'the layers below have something there that is no directory',
    'v7dir': 'olddir/f (tar header at byte 512): what should be its directory is none',
    'wh_after_same_layer': LOWER.split(),
    'wh_dir_then_recreate': ['d', 'd/new', 'top'],
    'wh_dotdot': LOWER.split(),
    'wh_empty': LOWER.split(),
    'wh_missing': LOWER.split(),
    'wh_missing_parent': 'layer 3: /no: ' + MISSING,
}
TYPES = {0o4: 'd', 0o10: 'f', 0o2: 'c', 0o12: 'l'}


def layers_of(case):
    return sorted(glob.glob(os.path.join(CASES, case + '.[0-9].tar')))


def merge(profile, layers, image):
    return run('cairn', 'oci', 'merge', '-q', '--profile', profile, *layers, '-o', image)


def entries(image):
    """{path: (type, mode, uid, links)} of an image."""
    found = {}
    for line in output('cairn', 'dump', image).decode().splitlines():
        path, _, mode, nlink, uid = line.split(' ')[:5]
        mode = int(mode.lstrip('@'), 8)
        kind = TYPES[mode >> 12]
        found[path.strip('/')] = (kind, f'{mode & 0o7777:o}', int(uid),
                                  0 if kind == 'd' else int(nlink))
    return found


@pytest.fixture(name='usr', scope='module')
def make_usr(tmp_path_factory):
    """A layer that has only /usr, which the profile composefs wants."""
    path = tmp_path_factory.mktemp('usr') / 'usr.tar'
    with tarfile.open(path, 'w') as tar:
        entry = tarfile.TarInfo('usr')
        entry.type = tarfile.DIRTYPE
        entry.mode = 0o755
        tar.addfile(entry)
    return path


@pytest.mark.parametrize('case', sorted(MEASURED))
def test_runtime(case, tmp_path):
    result = merge('runtime', layers_of(case), tmp_path / 'i')
    if case in RUNTIME:
        assert result.returncode in (1, 4) and RUNTIME[case] in result.stderr.decode()
        return
    assert result.returncode == 0, result.stderr
    found = entries(tmp_path / 'i')
    del found['']  # the root without an entry is each tool's own affair
    if case in DIFFERENT:
        assert ' '.join(found) == DIFFERENT[case]
        return
    theirs = {e['path']: (e['type'], e['mode'], e['uid'], 0 if e['type'] == 'd' else e['nlink'])
              for e in MEASURED[case]['umoci']['tree'] if e['path'] != '/'}
    assert found == theirs


@pytest.mark.parametrize('case', sorted(MEASURED))
def test_composefs(case, usr, tmp_path):
    result = merge('composefs', [usr, *layers_of(case)], tmp_path / 'i')
    want = COMPOSEFS.get(case, RUNTIME.get(case))
    if isinstance(want, str):
        assert result.returncode in (1, 4) and want in result.stderr.decode()
        return
    assert result.returncode == 0, result.stderr
    assert [p for p in entries(tmp_path / 'i') if p not in ('', 'usr')] == sorted(want)


@pytest.mark.parametrize('profile', ['composefs', 'runtime'])
@pytest.mark.parametrize('case', sorted(MEASURED))
def test_metadata_images(case, profile, usr, tmp_path):
    """Metadata images, one for each layer or one for several, give what the archives give."""
    archives = [usr, *layers_of(case)]
    whole = merge(profile, archives, tmp_path / 'i')
    if whole.returncode:
        return
    images = []
    for i, archive in enumerate(archives):
        images.append(tmp_path / f'm{i}')
        output('cairn', 'oci', 'merge', '-q', '--profile', profile, '--partial', archive,
               '-o', images[-1])
    assert merge(profile, images, tmp_path / 'j').stdout == whole.stdout
    assert read(tmp_path / 'i') == read(tmp_path / 'j')
    output('cairn', 'oci', 'merge', '-q', '--profile', profile, '--partial', *images[1:],
           '-o', tmp_path / 'upper')
    assert merge(profile, [images[0], tmp_path / 'upper'], tmp_path / 'k').stdout == whole.stdout


def test_seal(tmp_path):
    """The image of two layers, byte for byte; from archives however they are compressed."""
    archives = [os.path.join(SEAL, f'layer{i}.tar') for i in range(2)]
    with open(tmp_path / 'z', 'wb') as f:
        for start in range(0, 4096, 1024):  # members one behind the other
            f.write(gzip.compress(read(archives[1])[start:start + 1024]))
        f.write(gzip.compress(read(archives[1])[4096:]))
    for layers in (archives, [archives[0], tmp_path / 'z']):
        said = output('cairn', 'oci', 'merge', '-q', *layers, '-o', tmp_path / 'i')
        assert said.decode() == DIGEST + '\n'
        assert read(tmp_path / 'i') == read(SEAL, 'allowlist.v1.erofs')


def test_parser_weird():
    """One archive with most oddities of headers, the last of which is refused."""
    result = run('cairn', 'ls', os.path.join(CASES, 'parser-weird.tar'))
    assert b'usr/hlsz (tar header at byte 5632): only files have content' in result.stderr


@pytest.mark.parametrize('name, words', [('trail', 'a single zero block'), ('noeof', None),
                                         ('trunc', 'the archive ends inside of')])
def test_ends(name, words, tmp_path):
    result = run('cairn', 'build', '-q', os.path.join(CASES, name + '.tar'), '-o', tmp_path / 'i')
    assert result.returncode == (1 if words else 0)
    assert (words or '') in result.stderr.decode()
