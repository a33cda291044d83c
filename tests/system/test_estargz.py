# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""eStargz, and zstd:chunked without tar-split: pulled in part only where the user lets the table vouch for the layer."""

import json
import os
import random
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from estargz import TOC_DIGEST, estargz  # noqa: E402
from faults import Faults  # noqa: E402
from programs import run  # noqa: E402
from registry import LAYER, Layout, Registry, sha256, tar  # noqa: E402

ENV = {'HOME': '/nonexistent', 'XDG_RUNTIME_DIR': '/nonexistent', 'CONTAINERS_REGISTRIES_CONF': '/dev/null'}


def contents(changed=0, files=150):
    """A tree, the first @changed files of which are others than without: small, large, in several chunks, empty, with links."""
    rng = random.Random(7)
    entries = {'usr/': None, 'usr/d/': None}
    for i in range(files):
        data = rng.randbytes(150000 if i % 50 == 3 else rng.choice([0, 10, 64, 65, 3000, 20000, 100]))
        entries[f'usr/d/f{i}'] = data[::-1] + b'new' if i < changed else data
    return entries


def image(layout, name, blob, data, notes, media=LAYER + '+gzip'):
    about = {'os': 'linux', 'architecture': 'amd64', 'config': {},
             'rootfs': {'type': 'layers', 'diff_ids': [sha256(data)]}}
    manifest = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
                'config': layout.blob(json.dumps(about).encode(), 'application/vnd.oci.image.config.v1+json'),
                'layers': [layout.blob(blob, media, annotations=notes)]}
    layout.name(layout.document(manifest), name)
    return f'oci:{layout.path}:{name}'


def stargz(layout, name, data, notes=None, **options):
    blob, digest, plain = estargz(data, chunk_size=65536, **options)
    return image(layout, name, blob, plain, {TOC_DIGEST: digest} if notes is None else notes)


def pull(store, reference, *options, status=0):
    result = run('cairn', 'pull', '--json', '--store', store, '--profile', 'runtime', *options, reference, env=ENV)
    assert result.returncode == status, result
    return dict(json.loads(result.stdout), said=result.stderr.decode()) if status == 0 else result.stderr.decode()


def layers(reference, store):
    return json.loads(run('cairn', 'oci', 'layers', '--json', '--store', store, reference, env=ENV).stdout)


def clean(store):
    result = run('cairn', 'fsck', '--store', store)
    assert (result.returncode, result.stderr) == (0, b''), result


@pytest.mark.parametrize('landmark', ['.prefetch.landmark', '.no.prefetch.landmark'])
def test_update(tmp_path, landmark):
    """Of an update its changed files come over; the tree is that of a full pull; and what is not known is not claimed."""
    layout, store = Layout(tmp_path / 'layout'), tmp_path / 's'
    old = stargz(layout, 'old', tar(contents()), landmark=landmark)
    new = stargz(layout, 'new', tar(contents(changed=3)), landmark=landmark)
    whole = pull(tmp_path / 'whole', new)
    size = layers(new, tmp_path / 'whole')['size']
    assert whole['fetched'] == size
    # Into an empty store nothing is gained by the table.
    assert pull(store, old, '--partial=table')['table_layers'] == 0
    shutil.copytree(store, tmp_path / 's2')
    found = pull(store, new, '--partial', 'table')
    assert (found['digest'], found['table_layers']) == (whole['digest'], 1), found
    assert 0 < found['fetched'] < size // 8, (found, size)
    assert 'their diff_ids were not computed' in found['said']
    about = layers(new, store)
    assert (about['stored'], about['by_table'], about['shared']) == (False, True, []), about
    clean(store)
    # Known by its table, from then on, and only for those who let it vouch.
    again = pull(store, new, '--partial', 'table')
    assert (again['digest'], again['fetched'], again['table_layers']) == (whole['digest'], 0, 1), again
    result = run('cairn', 'push', '--store', store, again['name'], f'oci:{tmp_path}/out', env=ENV)
    assert result.returncode == 1 and b'by its table of contents alone' in result.stderr, result
    result = run('cairn', 'oci', 'digest', '--store', store, 'store:' + again['name'], '--profile', 'runtime', env=ENV)
    assert result.returncode == 1 and b'the store has not its tar' in result.stderr, result
    run('cairn', 'gc', '--store', store)
    clean(store)
    # Of a copy in another store the image is one as any other, the container image stays where it is.
    result = run('cairn', 'copy', '--from', store, '--to', tmp_path / 'copy', again['name'])
    assert result.stdout.decode().strip() == whole['digest'] and b'only the image' in result.stderr, result
    assert pull(store, new, '--partial', 'table')['fetched'] == 0
    full = pull(store, new)
    assert (full['digest'], full['fetched'], full['table_layers']) == (whole['digest'], size, 0)
    assert layers(new, store)['stored'] is True
    assert run('cairn', 'push', '--store', store, again['name'], f'oci:{tmp_path}/out', env=ENV).returncode == 0
    run('cairn', 'gc', '--store', store)
    clean(store)
    # By default the table is not believed.
    assert pull(tmp_path / 's2', new)['fetched'] == size


def drop_chunk_digests(table):
    for entry in table['entries']:
        entry.pop('chunkDigest', None)


def share_member(table):
    next(e for e in table['entries'] if e.get('size', 0) > 64)['innerOffset'] = 1


WHOLE = {
    'no annotation': ({'notes': {}}, 'no table of contents that the manifest pins'),
    'no chunk digests': ({'change': drop_chunk_digests}, 'does not tell the digest of each chunk'),
    'stargz': ({'old': True}, 'does not tell the digest of each chunk'),
    'shared member': ({'change': share_member}, 'share a member'),
    'unusual header': ({'table_mode': 0o644}, 'not to be had'),
}


@pytest.mark.parametrize('case', WHOLE)
def test_whole(tmp_path, case):
    """What cannot be used is fetched whole, with words."""
    options, words = WHOLE[case]
    layout, store = Layout(tmp_path / 'layout'), tmp_path / 's'
    pull(store, stargz(layout, 'old', tar(contents(files=20))))
    new = stargz(layout, 'new', tar(contents(changed=1, files=20)), **options)
    found = pull(store, new, '--partial', 'table')
    assert (found['digest'], found['table_layers']) == (pull(tmp_path / 'whole', new)['digest'], 0)
    assert found['fetched'] == layers(new, store)['size'] and words in found['said'], found


def files_of(table, size):
    return [e for e in table['entries'] if e['type'] == 'reg' and e.get('size') == size]


def swap(keys, size):
    def change(table):
        a, b = files_of(table, size)[:2]
        for name in keys:
            a[name], b[name] = b[name], a[name]
    return change


def wrong_chunk(table):
    next(e for e in table['entries'] if e['type'] == 'chunk')['chunkDigest'] = sha256(b'other')


LIES = {
    'file digests': (swap(['digest', 'chunkDigest'], 20003), {}, 'does not have the digest', 3),
    'one digest': (swap(['digest'], 3000), {}, 'a file of one chunk with two digests', 1),
    'chunk digest': (wrong_chunk, {}, 'a chunk of it does not have the digest', 3),
    'table': (None, {'notes': {TOC_DIGEST: sha256(b'x')}}, 'table of contents: it has digest', 3),
    'annotation': (None, {'notes': {TOC_DIGEST: 'sha256:12'}}, 'annotation', 1),
    'no such type': (lambda t: t['entries'][0].update(type='door'), {}, 'unknown type', 1),
    'time': (lambda t: t['entries'][0].update(modtime='2023-02-30T25:00:00Z'), {}, 'modification time', 1),
    'xattr': (lambda t: t['entries'][0].update(xattrs={'user.a': '*'}), {}, 'not base64', 1),
    'outside': (lambda t: files_of(t, 3000)[-1].update(offset=1 << 40), {}, 'not in the blob', 1),
}


@pytest.mark.parametrize('lie', LIES)
def test_lies(tmp_path, lie):
    change, options, words, status = LIES[lie]
    layout, store = Layout(tmp_path / 'layout'), tmp_path / 's'
    pull(store, stargz(layout, 'old', tar(contents())))
    before = sorted(os.listdir(store / 'images' / 'refs'))
    evil = stargz(layout, 'evil', tar(contents(changed=20)), change=change, **options)
    error = pull(store, evil, '--partial', 'table', status=status)
    assert words in error, error
    assert sorted(os.listdir(store / 'images' / 'refs')) == before
    clean(store)


def test_same_claim(tmp_path):
    """Two layers that claim one diff_id, which nobody computes, are two layers."""
    layout, store = Layout(tmp_path / 'layout'), tmp_path / 's'
    pull(store, stargz(layout, 'old', tar(contents())))
    parts, plain = [], None
    for changed in (1, 2):
        blob, digest, plain = estargz(tar(contents(changed=changed)), chunk_size=65536)
        parts.append(layout.blob(blob, LAYER + '+gzip', annotations={TOC_DIGEST: digest}))
    about = {'os': 'linux', 'architecture': 'amd64', 'rootfs': {'type': 'layers', 'diff_ids': [sha256(plain)] * 2}}
    manifest = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
                'config': layout.blob(json.dumps(about).encode(), 'application/vnd.oci.image.config.v1+json'),
                'layers': parts}
    layout.name(layout.document(manifest), 'two')
    found = pull(store, f'oci:{layout.path}:two', '--partial', 'table')
    single = pull(tmp_path / 'one', stargz(layout, 'one', tar(contents(changed=2))))
    assert (found['table_layers'], found['known_layers'], found['digest']) == (2, 0, single['digest']), found
    assert 'expected' in pull(tmp_path / 'full', f'oci:{layout.path}:two', status=3)


def test_seal(tmp_path):
    result = run('cairn', 'pull', '--store', tmp_path / 's', '--partial=table', '--require-seal', 'oci:x', env=ENV)
    assert result.returncode == 2 and b'exclude each other' in result.stderr, result


def test_registry(tmp_path):
    """Through a registry: some requests of ranges; one that gives no ranges gives the whole."""
    layout, store = Layout(tmp_path / 'layout'), tmp_path / 's'
    old, new = [stargz(layout, str(n), tar(contents(changed=n))) for n in (0, 3)]
    whole = pull(tmp_path / 'whole', new)
    pull(store, old)
    shutil.copytree(store, tmp_path / 's2')
    with Registry(tmp_path / 'server') as registry, Faults(upstream=('127.0.0.1', registry.port)) as watched:
        registry.push(new, 'x:3')
        host = watched.url[7:]
        watched.clear()
        found = pull(store, f'{host}/x:3', '--partial', 'table')
        assert (found['digest'], found['table_layers']) == (whole['digest'], 1), found
        assert 3 <= len([a for a in watched.log if a.headers['Range']]) <= 40
        watched.add('/v2/x/blobs/.*', 'no_range')
        found = pull(tmp_path / 's2', f'{host}/x:3', '--partial', 'table')
        assert (found['digest'], found['table_layers'], found['fetched']) == (whole['digest'], 0, whole['fetched'])


@pytest.mark.skipif(not shutil.which('skopeo'), reason='no skopeo')
def test_skopeo(tmp_path):
    """What Debian's skopeo makes: zstd:chunked of the first generation, which has no tar-split."""
    layout, store = Layout(tmp_path / 'layout'), tmp_path / 's'
    theirs = f'oci:{tmp_path}/theirs'
    for changed in (0, 3):
        # It drops what follows the two blocks of zeros.
        data = tar(contents(changed=changed)).rstrip(b'\0')
        data += bytes(-len(data) % 512 + 1024)
        layout.name(layout.image([data], how='none'), f'plain{changed}')
        result = subprocess.run(['skopeo', '--insecure-policy', 'copy', '--quiet', '--dest-compress-format', 'zstd:chunked',
                                 f'oci:{layout.path}:plain{changed}', f'{theirs}:{changed}'], capture_output=True, check=False)
        assert result.returncode == 0, result
    whole = pull(tmp_path / 'whole', f'{theirs}:3')
    assert whole['digest'] == pull(tmp_path / 'plain', f'oci:{layout.path}:plain3')['digest']
    pull(store, f'{theirs}:0')
    shutil.copytree(store, tmp_path / 's2')
    assert pull(tmp_path / 's2', f'{theirs}:3')['fetched'] == whole['fetched']
    found = pull(store, f'{theirs}:3', '--partial', 'table')
    assert (found['digest'], found['table_layers']) == (whole['digest'], 1), found
    assert found['fetched'] < whole['fetched'] // 4, (found, whole)
    clean(store)


def test_none(tmp_path):
    """Who wants no partial pull gets none, also where the diff_id could be computed."""
    layout, store = Layout(tmp_path / 'layout'), tmp_path / 's'
    prefix = 'io.github.containers.zstd-chunked.'
    for changed in (0, 3):
        data = tar(contents(changed=changed))
        (tmp_path / 'in.tar').write_bytes(data)
        result = run('cairn', 'convert', '--json', '-o', tmp_path / 'out', tmp_path / 'in.tar')
        notes = {k: v for k, v in json.loads(result.stdout).items() if k.startswith(prefix)}
        reference = image(layout, str(changed), (tmp_path / 'out').read_bytes(), data, notes, LAYER + '+zstd')
        if not changed:
            pull(store, reference)
    shutil.copytree(store, tmp_path / 's2')
    size = layers(reference, store)['size']
    assert pull(store, reference, '--partial', 'none')['fetched'] == size
    # And where it can be computed it is.
    found = pull(tmp_path / 's2', reference, '--partial', 'table')
    assert found['fetched'] < size // 4 and found['table_layers'] == 0, found
