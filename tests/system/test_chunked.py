# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""zstd:chunked: writing it, fetching only what is missing, and tables of contents that lie."""

import json
import os
import random
import shutil
import struct
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from faults import Faults  # noqa: E402
from programs import GOLDEN, read, run  # noqa: E402
from registry import LAYER, Layout, Registry, sha256, tar  # noqa: E402

ENV = {'HOME': '/nonexistent', 'XDG_RUNTIME_DIR': '/nonexistent', 'CONTAINERS_REGISTRIES_CONF': '/dev/null'}
PREFIX = 'io.github.containers.zstd-chunked.'

pytestmark = pytest.mark.skipif(not shutil.which('zstd'), reason='no zstd')


def convert(folder, data, *options):
    """(the blob, what cairn says of it)"""
    (folder / 'in.tar').write_bytes(data)
    result = run('cairn', 'convert', '--json', '-o', folder / 'out.zst', *options, folder / 'in.tar')
    assert (result.returncode, result.stderr) == (0, b''), result
    return read(folder, 'out.zst'), json.loads(result.stdout)


def unzstd(data):
    return subprocess.run(['zstd', '-dqc'], input=data, capture_output=True, check=True).stdout


def zstd(data):
    return subprocess.run(['zstd', '-qc'], input=data, capture_output=True, check=True).stdout


def annotations_of(about):
    return {k: v for k, v in about.items() if k.startswith(PREFIX)}


def image(layout, name, layers):
    """An image of layers (blob, annotations, tar)."""
    parts = [layout.blob(blob, LAYER + '+zstd', annotations=notes) for blob, notes, _ in layers]
    about = {'os': 'linux', 'architecture': 'amd64', 'config': {},
             'rootfs': {'type': 'layers', 'diff_ids': [sha256(t) for _, _, t in layers]}}
    manifest = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
                'config': layout.blob(json.dumps(about).encode(), 'application/vnd.oci.image.config.v1+json'),
                'layers': parts}
    layout.name(layout.document(manifest), name)
    return f'oci:{layout.path}:{name}'


def chunked(folder, data):
    blob, about = convert(folder, data)
    return blob, annotations_of(about), data


def pull(store, reference, status=0):
    result = run('cairn', 'pull', '--json', '--store', store, '--profile', 'runtime', reference, env=ENV)
    assert result.returncode == status, result
    return json.loads(result.stdout) if status == 0 else result.stderr.decode()


def digest(reference):
    return run('cairn', 'oci', 'digest', '--profile', 'runtime', reference, env=ENV).stdout.decode().strip()


def contents(seed, changed=0, files=200):
    """A tree of @files files, the first @changed of which are others than without."""
    rng = random.Random(seed)
    entries = {'usr/': None, 'usr/d/': None}
    for i in range(files):
        size = rng.choice([0, 10, 64, 65, 3000, 20000])
        data = rng.randbytes(size)
        entries[f'usr/d/f{i}'] = data[::-1] + b'new' if i < changed else data
    return entries


def tables(blob):
    toc, toc_size, _, _, split, split_size, _ = struct.unpack('<7Q', blob[-64:-8])
    return toc, toc_size, split, split_size


@pytest.mark.parametrize('level', [1, 3, 19])
def test_convert(tmp_path, level):
    data = tar(contents(1, files=30))
    blob, about = convert(tmp_path, data, '--level', level)
    assert unzstd(blob) == data
    assert (about['diff_id'], about['digest'], about['size']) == (sha256(data), sha256(blob), len(blob))
    assert blob == convert(tmp_path, subprocess.run(['gzip', '-c'], input=data, capture_output=True,
                                                    check=True).stdout, '--level', level)[0]
    toc, toc_size, split, split_size = tables(blob)
    assert about[PREFIX + 'manifest-checksum'] == sha256(blob[toc:toc + toc_size])
    table = json.loads(unzstd(blob[toc:toc + toc_size]))
    assert table['tarSplitDigest'] == sha256(blob[split:split + split_size])
    for e in table['entries']:
        if e['type'] == 'reg' and e.get('size'):
            assert sha256(unzstd(blob[e['offset']:e['endOffset']])) == e['digest']


def test_convert_like_others(tmp_path):
    """The table of contents that containers/storage makes of the same tar, but for offsets."""
    blob, _ = convert(tmp_path, read(GOLDEN, 'oci', 'tiny.tar'))
    toc, toc_size, split, split_size = tables(blob)
    ours = json.loads(unzstd(blob[toc:toc + toc_size]))
    theirs = json.loads(read(GOLDEN, 'oci', 'zstd-chunked', 'tiny.toc.json'))
    for table in (ours, theirs):
        del table['tarSplitDigest']
        for e in table['entries']:
            e.pop('offset', 0), e.pop('endOffset', 0)
    assert ours == theirs
    lines = [json.loads(line) for line in unzstd(blob[split:split + split_size]).splitlines()]
    golden = [json.loads(line) for line in read(GOLDEN, 'oci', 'zstd-chunked', 'tiny.tarsplit.jsonl').splitlines()]
    assert [(e['name'], e.get('size'), e['payload']) for e in lines if e['type'] == 1] == \
        [(e['name'], e.get('size'), e['payload']) for e in golden if e['type'] == 1]


def test_golden(tmp_path):
    """Blobs of both generations, and eStargz, give the same layer, read in full or in part."""
    data = read(GOLDEN, 'oci', 'tiny.tar')
    layout = Layout(tmp_path / 'layout')
    folder = os.path.join(GOLDEN, 'oci', 'zstd-chunked')
    current = (read(folder, 'tiny.tar.zstd'), json.loads(read(folder, 'tiny.annotations.json')), data)
    reference = image(layout, 'current', [current])
    wanted = digest(reference)
    assert pull(tmp_path / 's', reference)['digest'] == wanted
    assert pull(tmp_path / 's', reference)['digest'] == wanted
    legacy = read(folder, 'legacy-v0', 'tiny.tar.zstd')
    notes = json.loads(read(folder, 'legacy-v0', 'tiny.annotations.json'))
    assert pull(tmp_path / 's2', image(layout, 'legacy', [(legacy, notes, unzstd(legacy))]))['layers'] == 1
    for name in ('tiny.esgz', 'tiny.stargz'):
        blob = read(GOLDEN, 'oci', 'estargz', name)
        plain = subprocess.run(['gzip', '-dcq'], input=blob, capture_output=True, check=False).stdout
        part = layout.blob(blob, LAYER + '+gzip')
        about = {'os': 'linux', 'architecture': 'amd64',
                 'rootfs': {'type': 'layers', 'diff_ids': [sha256(plain)]}}
        manifest = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
                    'config': layout.blob(json.dumps(about).encode(), 'application/vnd.oci.image.config.v1+json'),
                    'layers': [part]}
        layout.name(layout.document(manifest), name)
        assert pull(tmp_path / name, f'oci:{layout.path}:{name}')['layers'] == 1


@pytest.mark.parametrize('where', ['layout', 'registry', 'no ranges'])
def test_update(tmp_path, where):
    """Of an update only the changed files come over."""
    layout = Layout(tmp_path / 'layout')
    old = image(layout, 'old', [chunked(tmp_path, tar(contents(1)))])
    new = image(layout, 'new', [chunked(tmp_path, tar(contents(1, changed=4)))])
    wanted = digest(new)
    size = json.loads(run('cairn', 'oci', 'layers', '--json', new).stdout)['size']
    if where == 'layout':
        assert pull(tmp_path / 's', old)['fetched'] == json.loads(
            run('cairn', 'oci', 'layers', '--json', old).stdout)['size']
        # The pull of the whole layer has told which contents there are: 32 bytes of SHA-256, 32 of the object's name.
        objects = {data for data in contents(1).values() if data and len(data) > 64}
        assert os.path.getsize(tmp_path / 's' / 'cairn' / 'cache' / 'contents') == 16 + 64 * len(objects)
        found = pull(tmp_path / 's', new)
        assert (found['digest'], found['fetched'] < size // 4) == (wanted, True), (found, size)
        # Also what was not chunked serves: its files are hashed when one of that size is looked for.
        layout.name(layout.image([tar(contents(1))]), 'gzip')
        pull(tmp_path / 's2', f'oci:{layout.path}:gzip')
        found = pull(tmp_path / 's2', new)
        assert (found['digest'], found['fetched'] < size // 4) == (wanted, True), (found, size)
        return
    with Registry(tmp_path / 'server') as registry, Faults(upstream=('127.0.0.1', registry.port)) as watched:
        for name in ('old', 'new'):
            registry.push(f'oci:{layout.path}:{name}', f'x:{name}')
        host = watched.url[7:]
        pull(tmp_path / 's', f'{host}/x:old')
        watched.clear()
        if where == 'no ranges':
            watched.add('/v2/x/blobs/.*', 'no_range')
        found = pull(tmp_path / 's', f'{host}/x:new')
        assert found['digest'] == wanted
        ranges = [a.headers['Range'] for a in watched.log if a.headers['Range']]
        if where == 'registry':
            assert found['fetched'] < size // 4 and 2 <= len(ranges) <= 40
            # A cut in a range is resumed.
            watched.add('/v2/x/blobs/.*', 'cut', 100, times=3)
            shutil.rmtree(tmp_path / 's')
            pull(tmp_path / 's', f'{host}/x:old')
            assert pull(tmp_path / 's', f'{host}/x:new')['digest'] == wanted
        else:
            assert found['fetched'] == size


def repack(blob, change_toc=None, change_split=None):
    """The blob with other tables, and annotations that fit them."""
    toc, toc_size, split, split_size = tables(blob)
    table = json.loads(unzstd(blob[toc:toc + toc_size]))
    lines = unzstd(blob[split:split + split_size])
    if change_split:
        lines = change_split(lines)
    packed_split = zstd(lines)
    table['tarSplitDigest'] = sha256(packed_split)
    if change_toc:
        change_toc(table)
    plain = json.dumps(table).encode()
    packed = zstd(plain)
    out = blob[:toc - 8] + struct.pack('<II', 0x184D2A50, len(packed)) + packed
    at = len(out) + 8
    out += struct.pack('<II', 0x184D2A50, len(packed_split)) + packed_split
    return out, {PREFIX + 'manifest-checksum': sha256(packed),
                 PREFIX + 'manifest-position': f'{toc}:{len(packed)}:{len(plain)}:1',
                 PREFIX + 'tarsplit-position': f'{at}:{len(packed_split)}:{len(lines)}'}


def files_of(table):
    return [e for e in table['entries'] if e['type'] == 'reg' and e.get('size', 0) > 64]


def swap_digests(table):
    a, b = [f for f in files_of(table) if f['size'] == 3000][:2]
    a['digest'], b['digest'] = b['digest'], a['digest']


def swap_everything(table):
    a, b = [f for f in files_of(table) if f['size'] == 3000][:2]
    for key in ('digest', 'offset', 'endOffset'):
        a[key], b[key] = b[key], a[key]


LIES = {
    'swap digests': (swap_digests, None, 'layer 0'),
    'swap contents': (swap_everything, None, 'expected sha256:'),
    'rename': (lambda t: files_of(t)[0].update(name='usr/evil'), None, 'do not agree about'),
    'drop': (lambda t: t['entries'].remove(files_of(t)[0]), None, 'do not agree about'),
    'outside': (lambda t: files_of(t)[-1].update(endOffset=1 << 40), None, 'not in the blob'),
    'backwards': (lambda t: files_of(t)[-1].update(endOffset=1), None, 'not in the blob'),
    'no digest': (lambda t: files_of(t)[0].pop('digest'), None, 'without a sha256 digest'),
    'chunk first': (lambda t: t['entries'].insert(0, {'type': 'chunk', 'name': 'x'}), None, 'a chunk without a file'),
    'version': (lambda t: t.update(version=2), None, 'not of version 1'),
    'mode': (None, lambda s: s.replace(b'MDAwMDY0NA', b'MDAwNDc1NQ', 1), 'layer 0'),
    'split line': (None, lambda s: s + b'{"type":3}\n', 'of an unknown type'),
    'split digest': (lambda t: t.update(tarSplitDigest=sha256(b'x')), None, 'tar-split: it has digest'),
}


@pytest.mark.parametrize('lie', LIES)
def test_lies(tmp_path, lie):
    """A table that does not tell the truth fails the image: the tar would not have its diff_id."""
    change_toc, change_split, words = LIES[lie]
    layout = Layout(tmp_path / 'layout')
    first = tar(contents(1))
    pull(tmp_path / 's', image(layout, 'old', [chunked(tmp_path, first)]))
    second = tar(contents(1, changed=3))
    blob, _ = convert(tmp_path, second)
    evil, notes = repack(blob, change_toc, change_split)
    before = sorted(os.listdir(tmp_path / 's' / 'images' / 'refs'))
    error = pull(tmp_path / 's', image(layout, 'evil', [(evil, notes, second)]), status=3 if lie in (
        'swap digests', 'swap contents', 'split digest') else 1 if lie != 'mode' else 1)
    assert words in error, error
    assert sorted(os.listdir(tmp_path / 's' / 'images' / 'refs')) == before
    # And the honest one is taken.
    assert pull(tmp_path / 's', image(layout, 'good', [repack(blob) + (second,)]))['digest']


@pytest.mark.parametrize('key,value', [
    ('manifest-position', '1:2:3'), ('manifest-position', '-1:2:3:1'), ('manifest-position', '9999999999:2:3:1'),
    ('tarsplit-position', '1:2:3'), ('manifest-checksum', 'sha256:12')])
def test_bad_annotations(tmp_path, key, value):
    layout = Layout(tmp_path / 'layout')
    data = tar(contents(1, files=9))
    blob, notes, _ = chunked(tmp_path, data)
    pull(tmp_path / 's', image(layout, 'other', [chunked(tmp_path, tar(contents(2, files=3)))]))
    assert 'annotation' in pull(tmp_path / 's', image(layout, 'a', [(blob, {**notes, PREFIX + key: value}, data)]),
                                status=1)
