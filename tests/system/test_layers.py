# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Layers that other tools made come out of the store as they went in; what overlayfs changed becomes one."""

import gzip
import json
import os
import random
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from programs import BUILD, GOLDEN, output, run  # noqa: E402
from registry import Layout  # noqa: E402

LAYERTOOL = os.path.join(BUILD, 'tests', 'lib', 'layertool')
OCI = os.path.join(GOLDEN, 'oci')


def layertool(store, *layers):
    """[(diff_id, bytes, compression)] of layers that made the way into the store and back."""
    result = subprocess.run([LAYERTOOL, store, *layers], capture_output=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    return [line.split() for line in result.stdout.decode().splitlines()]


def fill(top, seed):
    rng = random.Random(seed)
    for i in range(60):
        folder = top / 'usr' / f'd{i % 7}'
        folder.mkdir(parents=True, exist_ok=True)
        size = rng.choice([0, 1, 64, 65, 511, 512, 513, 4096, 70000])
        (folder / f'file{i}').write_bytes(rng.randbytes(size))
    (top / 'usr' / 'large').write_bytes(rng.randbytes(5 << 20))  # more than is held in memory
    os.link(top / 'usr' / 'large', top / 'usr' / 'link')
    os.symlink('usr/large', top / 'sym')


def config_of(layout):
    """(diff_ids, layer files) of the only image of an OCI layout."""
    def blob(digest):
        return os.path.join(layout, 'blobs', *digest.split(':'))

    with open(os.path.join(layout, 'index.json'), encoding='utf-8') as f:
        manifest = json.load(f)['manifests'][0]
    with open(blob(manifest['digest']), encoding='utf-8') as f:
        manifest = json.load(f)
    with open(blob(manifest['config']['digest']), encoding='utf-8') as f:
        config = json.load(f)
    return config['rootfs']['diff_ids'], [blob(layer['digest']) for layer in manifest['layers']]


@pytest.fixture(name='layout', scope='module')
def make_layout(tmp_path_factory):
    """An image of two layers by umoci, gzip."""
    if os.geteuid() != 0 or not shutil.which('umoci'):
        pytest.skip('needs root and umoci')
    top = tmp_path_factory.mktemp('umoci')
    name = f'{top}/layout:t'
    for command in (['init', '--layout', f'{top}/layout'], ['new', '--image', name]):
        subprocess.run(['umoci', *command], check=True, capture_output=True)
    for seed in range(2):
        bundle = top / f'bundle{seed}'
        subprocess.run(['umoci', 'unpack', '--image', name, bundle], check=True, capture_output=True)
        if seed:
            shutil.rmtree(bundle / 'rootfs' / 'usr' / 'd1')
            os.unlink(bundle / 'rootfs' / 'sym')
            (bundle / 'rootfs' / 'usr' / 'new').write_bytes(b'n' * 100)
        else:
            fill(bundle / 'rootfs', 1)
        subprocess.run(['umoci', 'repack', '--image', name, bundle], check=True, capture_output=True)
    return str(top / 'layout')


def test_umoci(layout, tmp_path):
    diff_ids, layers = config_of(layout)
    assert len(layers) == 2
    found = layertool(tmp_path / 'store', *layers)
    assert [f[0] for f in found] == diff_ids and {f[2] for f in found} == {'gzip'}


@pytest.mark.parametrize('form', ['zstd', 'docker-archive'])
def test_skopeo(form, layout, tmp_path):
    if not shutil.which('skopeo'):
        pytest.skip('needs skopeo')
    diff_ids, _ = config_of(layout)
    if form == 'zstd':
        subprocess.run(['skopeo', 'copy', '--dest-compress-format', 'zstd', '--dest-compress',
                        f'oci:{layout}:t', f'oci:{tmp_path}/z:t'], check=True, capture_output=True)
        _, layers = config_of(tmp_path / 'z')
    else:
        subprocess.run(['skopeo', 'copy', f'oci:{layout}:t', f'docker-archive:{tmp_path}/a:x:t'],
                       check=True, capture_output=True)
        subprocess.run(['tar', '-C', tmp_path, '-xf', tmp_path / 'a'], check=True)
        with open(tmp_path / 'manifest.json', encoding='utf-8') as f:
            layers = [tmp_path / layer for layer in json.load(f)[0]['Layers']]
    found = layertool(tmp_path / 'store', *layers)
    assert [f[0] for f in found] == diff_ids
    assert {f[2] for f in found} == {'zstd' if form == 'zstd' else 'none'}


def test_unpacked_is_merged(layout, tmp_path):
    """What umoci unpacks of the two layers is the image that they give."""
    subprocess.run(['umoci', 'unpack', '--image', f'{layout}:t', tmp_path / 'b'], check=True,
                   capture_output=True)
    _, layers = config_of(layout)
    output('cairn', 'oci', 'merge', '-q', '--profile', 'runtime', *layers, '-o', tmp_path / 'i')
    result = run('cairn', 'diff', tmp_path / 'b' / 'rootfs', tmp_path / 'i')
    lines = result.stdout.decode().splitlines()
    assert [line for line in lines if line.startswith('/')] in ([], ['/: mtime']), lines


def test_golden(tmp_path):
    """Layers with trailing bytes, without an end, with every oddity that is accepted."""
    cases = os.path.join(OCI, 'layer-cases')
    names = ['noeof.tar', 'hl_lower.1.tar', 'neg_mtime.0.tar', 'global_pax.0.tar', 'v7dir.0.tar',
             'aufs_plnk.0.tar', 'opq_before.1.tar']
    layertool(tmp_path / 'store', os.path.join(OCI, 'tiny.tar'), os.path.join(OCI, 'seal/layer0.tar'),
              *(os.path.join(cases, name) for name in names))


def test_more_than_a_part(tmp_path):
    """Two members, and what follows the end of the archive."""
    with open(os.path.join(OCI, 'tiny.tar'), 'rb') as f:
        data = f.read() + bytes(range(256)) * 100
    (tmp_path / 'l').write_bytes(gzip.compress(data[:700]) + gzip.compress(data[700:]))
    (_, size, how), = layertool(tmp_path / 'store', tmp_path / 'l')
    assert (int(size), how) == (len(data), 'gzip')


# --- commit ---------------------------------------------------------------------------------------

@pytest.fixture(name='overlay')
def mount_overlay(tmp_path):
    """lower, merged, upper of an overlay mount."""
    if os.geteuid() != 0:
        pytest.skip('not root')
    subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', tmp_path], check=True)
    for name in ('lower', 'upper', 'work', 'merged'):
        (tmp_path / name).mkdir()
    fill(tmp_path / 'lower', 2)
    options = ','.join(f'{n}dir={tmp_path}/{n}' for n in ('lower', 'upper', 'work'))
    result = subprocess.run(['mount', '-t', 'overlay', 'overlay', '-o',
                             options + ',redirect_dir=off,metacopy=off', tmp_path / 'merged'],
                            capture_output=True, check=False)
    if result.returncode:
        subprocess.run(['umount', tmp_path], check=True)
        pytest.skip('no overlayfs here: ' + result.stderr.decode().strip())
    yield tmp_path
    subprocess.run(['umount', tmp_path / 'merged'], check=True)
    subprocess.run(['umount', tmp_path], check=True)


def change(top):
    """Some of everything that overlayfs keeps in a way of its own."""
    shutil.rmtree(top / 'usr' / 'd0')                                # a whiteout
    shutil.rmtree(top / 'usr' / 'd1')
    (top / 'usr' / 'd1').mkdir()                                     # an opaque directory
    (top / 'usr' / 'd1' / '-before the mark').write_bytes(b'b' * 90)
    (top / 'usr' / 'd2' / 'file2').write_bytes(b'changed' * 20)
    os.chmod(top / 'usr' / 'd3', 0o700)                              # only its facts
    os.unlink(top / 'sym')
    os.symlink('elsewhere', top / 'sym')
    os.unlink(top / 'usr' / 'd4' / 'file4')
    (top / 'usr' / 'd4' / 'file4').mkdir()                           # a directory for a file
    os.link(top / 'usr' / 'd2' / 'file2', top / 'hard')
    os.setxattr(top / 'hard', 'security.capability',
                bytes.fromhex('0100000200040000000000000000000000000000'))
    os.mkfifo(top / 'usr' / 'fifo')
    os.mknod(top / 'usr' / 'null', 0o20666, os.makedev(1, 3))


def test_commit(overlay):
    change(overlay / 'merged')
    os.sync()
    store = overlay / 'store'
    diff_id = output('cairn', 'oci', 'commit', '-q', overlay / 'upper', '-o', overlay / 'layer',
                     '-s', store).decode().strip()
    again = json.loads(output('cairn', 'oci', 'commit', '-q', '--json', overlay / 'upper', '-o',
                              overlay / 'again', '-s', store))
    assert again['diff_id'] == diff_id and layertool(store, overlay / 'layer')[0][0] == diff_id

    subprocess.run(['tar', '--format=posix', '--xattrs', '-C', overlay / 'lower', '-cf',
                    overlay / 'base', '.'], check=True)
    output('cairn', 'oci', 'merge', '-q', '--profile', 'runtime', overlay / 'base', overlay / 'layer',
           '-o', overlay / 'image')
    result = run('cairn', 'diff', overlay / 'merged', overlay / 'image')
    lines = result.stdout.decode().splitlines()
    # The root's own facts are not the layer's.
    assert {line for line in lines if line.startswith('/')} <= {'/: mtime'}, lines

    # Marks come first, for readers that apply them at once.
    names = subprocess.run(['tar', '-tf', overlay / 'layer'], check=True,
                           capture_output=True).stdout.decode().splitlines()
    assert './' not in names
    assert names.index('usr/d1/.wh..wh..opq') < names.index('usr/d1/-before the mark')
    assert 'usr/.wh.d0' in names


def test_commit_upon_an_image(overlay):
    """The changes of a mount, upon the image that it is of, are an image like any other."""
    layout = Layout(overlay / 'layout')
    with open(overlay / 'base', 'wb') as f:
        subprocess.run(['tar', '--format=posix', '--xattrs', '-C', overlay / 'lower', '-c', '.'], check=True, stdout=f)
    base = (overlay / 'base').read_bytes()
    layout.name(layout.image([base], config={'Cmd': ['x']}, annotations={'about': 'the base'}), 'a')
    store = ['-s', overlay / 'store']
    output('cairn', 'pull', '-q', *store, '--profile', 'runtime', '-n', 'a', f'oci:{layout.path}:a')
    change(overlay / 'merged')
    os.sync()
    words = ['oci', 'commit', '-q', '--json', *store, '--profile', 'runtime', '-m', 'why', '-n', 'b', overlay / 'upper', 'a']
    env = {'SOURCE_DATE_EPOCH': '1700000000'}
    made = json.loads(output('cairn', *words, env=env))
    again = json.loads(output('cairn', *words, env=env))
    assert again == made
    result = run('cairn', 'diff', overlay / 'merged', 'ref:b', *store)
    lines = result.stdout.decode().splitlines()
    assert {line for line in lines if line.startswith('/')} <= {'/: mtime'}, lines

    # Its documents: those of the base, one layer and one entry of history more.
    output('cairn', 'oci', 'export', '-q', *store, 'b', f'oci:{overlay}/out:b')
    config = json.loads(output('cairn', 'oci', 'inspect', '-c', f'oci:{overlay}/out:b'))
    assert config['config'] == {'Cmd': ['x']} and config['rootfs']['diff_ids'][1] == made['diff_id']
    assert config['history'] == [{'created': '2023-11-14T22:13:20Z', 'created_by': 'cairn oci commit', 'comment': 'why'}]
    assert 'annotations' not in json.loads(output('cairn', 'oci', 'inspect', '-m', f'oci:{overlay}/out:b'))
    shared = [json.loads(line) for line in output('cairn', 'oci', 'layers', '--json', *store,
                                                  f'oci:{overlay}/out:b').splitlines()]
    assert [(layer['stored'], layer['shared']) for layer in shared] == [(True, ['a', 'b']), (True, ['b'])]
    # Without a name of its own it takes over that of the base.
    words = ['oci', 'commit', '-q', *store, '--profile', 'runtime', overlay / 'upper', 'b']
    moved = output('cairn', *words).decode().strip()
    assert output('cairn', 'digest', 'ref:b', *store).decode().split()[0] == moved
    assert run('cairn', 'fsck', '-q', *store).returncode == 0
    assert b'no container image of that name' in run('cairn', 'oci', 'commit', *store, overlay / 'upper', 'c').stderr


@pytest.mark.parametrize('attribute, words', [
    ('trusted.overlay.redirect', 'was renamed (overlay.redirect)'),
    ('trusted.overlay.metacopy', 'has no content of its own (overlay.metacopy)')])
def test_commit_refused(attribute, words, tmp_path):
    if os.geteuid() != 0:
        pytest.skip('not root')
    subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', tmp_path], check=True)
    try:
        (tmp_path / 'upper' / 'd').mkdir(parents=True)
        os.setxattr(tmp_path / 'upper' / 'd', attribute, b'x')
        result = run('cairn', 'oci', 'commit', tmp_path / 'upper', '-o', tmp_path / 'l', '-s',
                     tmp_path / 's')
        assert result.returncode == 4 and words in result.stderr.decode()
        assert not (tmp_path / 'l').exists()
    finally:
        subprocess.run(['umount', tmp_path], check=True)
