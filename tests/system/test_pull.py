# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Container images into a store: the golden digests, sharing, mounting against umoci, failing, and going on."""

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import refimage  # noqa: E402
from faults import Faults  # noqa: E402
from programs import GOLDEN, STRACE, output, program, run  # noqa: E402
from registry import Layout, Registry, sha256, tar  # noqa: E402

ENV = {'HOME': '/nonexistent', 'XDG_RUNTIME_DIR': '/nonexistent', 'CONTAINERS_REGISTRIES_CONF': '/dev/null'}
SEALED = 'c80449620920f329addb8afc8f5febf1a83d77f0b4794bbf6b31a4c6976b21f4'
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason='not root')
needs_umoci = pytest.mark.skipif(not shutil.which('umoci') or not shutil.which('skopeo'),
                                 reason='no umoci, no skopeo')


def pull(store, reference, *options, status=0):
    result = run('cairn', 'pull', '--json', '--store', store, *options, reference, env=ENV)
    assert result.returncode == status, result
    return json.loads(result.stdout) if status == 0 else result.stderr.decode()


def digest(reference, *options):
    result = run('cairn', 'oci', 'digest', *options, reference, env=ENV)
    assert (result.returncode, result.stderr) == (0, b''), result
    return result.stdout.decode().strip()


@pytest.fixture
def sealed(tmp_path):
    """The layout with the golden digests."""
    with tarfile.open(os.path.join(GOLDEN, 'oci', 'oci-layout.tar')) as archive:
        archive.extractall(tmp_path / 'sealed')
    return f'oci:{tmp_path}/sealed'


def random_layers(seed, nr=3, files=60):
    """Layers that change what is below them, with files of every way to be stored."""
    rng = random.Random(seed)
    layers = []
    for layer in range(nr):
        entries = {'usr/': None, f'usr/l{layer}/': None}
        for i in range(files):
            size = rng.choice([0, 1, 64, 65, 4096, 5000, 70000])
            entries[f'usr/l{layer}/f{i}'] = rng.randbytes(size)
        if layer:
            for i in rng.sample(range(files), 5):
                entries[f'usr/l{layer - 1}/f{i}'] = rng.randbytes(100)
            entries[f'usr/l{layer - 1}/.wh.f{rng.randrange(files)}'] = b''
        link = tarfile.TarInfo(f'usr/l{layer}/link')
        link.type, link.linkname = tarfile.SYMTYPE, 'f0'
        entries[link.name] = link
        hard = tarfile.TarInfo(f'usr/l{layer}/hard')
        hard.type, hard.linkname = tarfile.LNKTYPE, f'usr/l{layer}/f3'
        entries[hard.name] = hard
        layers.append(tar(entries))
    return layers


def test_golden(sealed, tmp_path):
    found = pull(tmp_path / 's', f'{sealed}:plain', '--name', 'a/b:c%')
    assert (found['digest'], found['format'], found['layers'], found['known_layers']) == (SEALED, 'V1', 2, 0)
    assert digest(f'{sealed}:plain') == SEALED
    assert digest(f'{sealed}:plain', '--xattrs', 'user').startswith('76068eae9ce35816')
    assert digest(f'{sealed}:plain', '--format', '0').startswith('7b7b9449b413344d')
    # The names of the family (repository.md §9).
    streams = tmp_path / 's' / 'streams'
    names = {n.split('-')[1] for n in os.listdir(streams) if n != 'refs'}
    assert names == {'layer', 'config', 'manifest'}
    assert os.listdir(streams / 'refs' / 'oci') == ['a%2Fb:c%25']
    assert os.readlink(streams / 'refs' / 'oci' / 'a%2Fb:c%25') == f'../../oci-manifest-{found["manifest"]}'
    assert os.readlink(tmp_path / 's' / 'images' / 'refs' / 'a' / 'b:c%') == f'../../{SEALED}'
    # The documents lie there as they came.
    blobs = tmp_path / 'sealed' / 'blobs' / 'sha256'
    raw = open(blobs / found['manifest'][7:], 'rb').read()
    assert refimage.fsverity(raw) == 'b70dc47716699d64d25804cabc728b6d9001f1b5cf7bffb8b63b1925dd33c619'
    assert open(tmp_path / 's' / 'objects' / 'b7' / '0dc47716699d64d25804cabc728b6d9001f1b5cf7bffb8b63b1925dd33c619',
                'rb').read() == raw

    again = pull(tmp_path / 's', f'{sealed}:plain', '--name', 'again')
    assert (again['digest'], again['known_layers'], again['fetched'], again['new_objects']) == (SEALED, 2, 0, 0)


def test_all_digests(sealed, tmp_path):
    lines = digest(f'{sealed}:plain', '--all').splitlines()
    assert lines[0] == f'image   V1 sha256 {SEALED}' and len(lines) == 3 * 4
    assert {(f[-3], f[-2]) for f in map(str.split, lines)} == {(v, a) for v in ('V1', 'V2') for a in ('sha256', 'sha512')}
    for alg in ('sha256', 'sha512'):
        for form in '12':
            assert digest(f'{sealed}:plain', '--alg', alg, '--format', form) in lines[2 * int(form) - 2 + (alg == 'sha512')]
    # Those of the layers are what merging calls M1, M2.
    for number in range(2):
        layer = os.path.join(GOLDEN, 'oci', 'seal', f'layer{number}.tar')
        assert output('cairn', 'oci', 'merge', '-q', '--partial', layer).decode().strip() == lines[4 * number + 4].split()[-1]


def test_match(sealed):
    for wanted, words in ((SEALED, 'composefs V1, xattrs: allowlist, times: nanoseconds'),
                          ('258d0def0ee924770d6a873d6b29d9497bb83834fadfe0c88eeef967c87c22d9',
                           'composefs V0, xattrs: user, times: nanoseconds')):
        assert digest(f'{sealed}:plain', '--match', wanted) == words
    result = run('cairn', 'oci', 'digest', '--match', '0' * 64, f'{sealed}:plain')
    assert (result.returncode, result.stdout) == (3, b'')


def test_expected(sealed, tmp_path):
    assert pull(tmp_path / 's', f'{sealed}:plain', '--digest', SEALED)['digest'] == SEALED
    wrong = pull(tmp_path / 's', f'{sealed}:plain', '--digest', '0' * 64, '--name', 'wrong', status=3)
    assert f'the image has digest {SEALED}, not 0000' in wrong
    assert os.listdir(tmp_path / 's' / 'images' / 'refs') == ['sealed:plain']


def test_removed(sealed, tmp_path):
    """Who drops the name of an image and collects has the space of its layers back."""
    store = ['--store', tmp_path / 's']
    for name in ('a/b:1', 'c'):
        pull(tmp_path / 's', f'{sealed}:plain', '--name', name)
    assert run('cairn', 'untag', *store, 'a/b:1').returncode == 0
    run('cairn', 'gc', '-q', '--empty', *store)
    assert pull(tmp_path / 's', f'{sealed}:plain', '--name', 'c')['known_layers'] == 2
    assert run('cairn', 'untag', *store, 'c').returncode == 0
    assert b'no such name' in run('cairn', 'untag', *store, 'c').stderr
    run('cairn', 'gc', '-q', '--empty', *store)
    left = [name for folder in ('objects', 'streams', 'images') for _, _, names in os.walk(tmp_path / 's' / folder)
            for name in names]
    assert left == []


def test_waits_for_the_disk(tmp_path):
    """One syncfs, and a directory's fsync once, however many names there are."""
    if not shutil.which('strace'):
        pytest.skip('no strace')
    layout = Layout(tmp_path / 'layout')
    for name, seed in (('a', 1), ('b', 2)):
        layout.name(layout.image(random_layers(seed, nr=5, files=10)), name)
    pull(tmp_path / 's', f'oci:{layout.path}:a', '--profile', 'runtime')
    subprocess.run([*STRACE, tmp_path / 'log', '-e', 'trace=fsync,syncfs,symlinkat', program('cairn'), 'pull',
                    '--store', tmp_path / 's', '--profile', 'runtime', f'oci:{layout.path}:b'], check=True, env={**os.environ, **ENV})
    calls = [line.split()[1].split('(')[0] for line in open(tmp_path / 'log') if 'sync' in line or 'symlinkat' in line]
    names = [line for line in open(tmp_path / 'log') if 'symlinkat' in line]
    # Objects, then 5 layers, config, manifest and image, then the two references.
    assert calls == ['syncfs'] + ['symlinkat'] * 8 + ['fsync'] * 2 + ['symlinkat'] * 2 + ['fsync'] * 2, calls
    assert all('../objects/' in line for line in names[:8])


@pytest.mark.parametrize('how', ['none', 'gzip', 'zstd'])
def test_compression_does_not_matter(tmp_path, how):
    layers = random_layers(1)
    layout = Layout(tmp_path / 'layout')
    layout.name(layout.image(layers, how), 'a')
    found = pull(tmp_path / 's', f'oci:{layout.path}:a', '--profile', 'runtime')
    reference = Layout(tmp_path / 'reference')
    reference.name(reference.image(layers, 'none'), 'a')
    assert found['digest'] == digest(f'oci:{reference.path}:a', '--profile', 'runtime')


@needs_root
@needs_umoci
def test_mounted_like_unpacked(tmp_path):
    """What umoci unpacks and what cairn mounts are the same."""
    for seed in (1, 2):
        layout = Layout(tmp_path / f'layout{seed}')
        layout.name(layout.image(random_layers(seed)), 'a')
        subprocess.run(['umoci', 'unpack', '--image', f'{layout.path}:a', tmp_path / f'bundle{seed}'], check=True,
                       capture_output=True)
        pull(tmp_path / 's', f'oci:{layout.path}:a', '--profile', 'runtime', '--name', f'i{seed}')
        (tmp_path / 'm').mkdir(exist_ok=True)
        mounted = run('cairn', 'mount', '--store', tmp_path / 's', f'i{seed}', tmp_path / 'm')
        assert mounted.returncode == 0, mounted
        try:
            subprocess.run(['diff', '-r', '--no-dereference', tmp_path / 'm', tmp_path / f'bundle{seed}' / 'rootfs'],
                           check=True)
        finally:
            run('cairn', 'umount', tmp_path / 'm')


def test_shared_layers(tmp_path):
    """The base of a second image costs nothing, nor does a layer that comes twice."""
    base, one, two = random_layers(3)
    layout = Layout(tmp_path / 'layout')
    layout.name(layout.image([base, one]), 'a')
    layout.name(layout.image([base, two, two]), 'b')
    with Registry(tmp_path / 'server') as registry, Faults(upstream=('127.0.0.1', registry.port)) as watched:
        registry.push(f'oci:{layout.path}:a', 'x:a')
        registry.push(f'oci:{layout.path}:b', 'x:b')
        first = pull(tmp_path / 's', f'{watched.url[7:]}/x:a', '--profile', 'runtime')
        assert (first['layers'], first['known_layers']) == (2, 0)
        watched.log.clear()
        second = pull(tmp_path / 's', f'{watched.url[7:]}/x:b', '--profile', 'runtime')
        assert (second['layers'], second['known_layers']) == (3, 2)
        assert len([a for a in watched.log if '/blobs/' in a.path]) == 2  # config, one layer
        assert second['digest'] == digest(f'oci:{layout.path}:b', '--profile', 'runtime')


def test_hostile_layers(tmp_path):
    layout = Layout(tmp_path / 'layout')
    layout.name(layout.image([tar({'usr/': None})], wrong_diff_id=True), 'lies')
    assert 'expected sha256:' in pull(tmp_path / 's', f'oci:{layout.path}:lies', status=3)

    bad = [({'usr/': None, 'usr/../../x': b'x'}, '..'), ({'usr/a': b'x'}, 'usr')]
    for entries, words in bad:
        layout.name(layout.image([tar(entries)]), 'bad')
        error = pull(tmp_path / 's', f'oci:{layout.path}@{layout.manifests[-1]["digest"]}', status=1)
        assert 'layer 0' in error or words in error, error
    assert not os.path.exists(tmp_path / 's' / 'images')
    # An entry that another tool wrote under a diff_id that its content has not is not believed.
    good = tar({'usr/': None, 'usr/good': b'g' * 100})
    layout.name(layout.image([tar({'usr/': None, 'usr/evil': b'e' * 100})]), 'evil')
    layout.name(layout.image([good]), 'good')
    pull(tmp_path / 's', f'oci:{layout.path}:evil')
    streams = tmp_path / 's' / 'streams'
    evil = next(n for n in os.listdir(streams) if n.startswith('oci-layer'))
    os.symlink(os.readlink(streams / evil), streams / f'oci-layer-{sha256(good)}')
    found = pull(tmp_path / 's', f'oci:{layout.path}:good')
    assert (found['known_layers'], found['digest']) == (0, digest(f'oci:{layout.path}:good'))


def test_foreign_streams(tmp_path):
    """A layer that somebody else put there is taken, after it was read and hashed."""
    layout = Layout(tmp_path / 'layout')
    layout.name(layout.image(random_layers(4)), 'a')
    first = pull(tmp_path / 's', f'oci:{layout.path}:a', '--profile', 'runtime')
    shutil.rmtree(tmp_path / 's' / 'cairn')
    again = pull(tmp_path / 's', f'oci:{layout.path}:a', '--profile', 'runtime')
    assert (again['digest'], again['known_layers'], again['fetched']) == (first['digest'], 3, 0)
    # One with a missing object is fetched again, known or not.
    victim = max((os.path.join(d, f) for d, _, names in os.walk(tmp_path / 's' / 'objects') for f in names),
                 key=os.path.getsize)
    os.unlink(victim)
    again = pull(tmp_path / 's', f'oci:{layout.path}:a', '--profile', 'runtime')
    assert again['digest'] == first['digest'] and os.path.exists(victim)


def test_bad_lines(tmp_path):
    """A registry over a bad line: every byte of the layers is asked for about once."""
    layers = random_layers(5, files=120)
    layout = Layout(tmp_path / 'layout')
    layout.name(layout.image(layers), 'a')
    wanted = digest(f'oci:{layout.path}:a', '--profile', 'runtime')
    with Registry(tmp_path / 'server') as registry, Faults(upstream=('127.0.0.1', registry.port)) as server:
        registry.push(f'oci:{layout.path}:a', 'x:a')
        reference = f'{server.url[7:]}/x:a'
        server.add('/v2/x/blobs/.*', 'cut', 300000, times=4)
        server.add('/v2/.*', 'status', 503, {'Retry-After': '0'}, times=3)
        assert pull(tmp_path / 's1', reference, '--profile', 'runtime')['digest'] == wanted
        server.clear()
        server.add('/v2/x/blobs/.*', 'flip', 200000, times=1)
        assert pull(tmp_path / 's2', reference, '--profile', 'runtime')['digest'] == wanted  # the second time
        server.clear()
        server.add('/v2/x/blobs/.*', 'flip', 200000)
        error = pull(tmp_path / 's3', reference, '--profile', 'runtime', status=3)
        assert error.startswith(f'cairn: pull: {reference}: layer ') or 'layer' in error
        assert not os.path.exists(tmp_path / 's3' / 'images')


def test_interrupted(tmp_path):
    """Ctrl-C leaves a clean store, and the next pull goes on with the layers that were complete."""
    layout = Layout(tmp_path / 'layout')
    image = layout.image(random_layers(6))
    layout.name(image, 'a')
    manifest = json.loads(open(f'{layout.path}/blobs/sha256/{image["digest"][7:]}').read())
    slow = manifest['layers'][2]['digest']
    with Registry(tmp_path / 'server') as registry, Faults(upstream=('127.0.0.1', registry.port)) as server:
        registry.push(f'oci:{layout.path}:a', 'x:a')
        server.add(f'/v2/x/blobs/{slow}', 'drip', 1000, 0.5)
        process = subprocess.Popen(
            [program('cairn'), 'pull', '--store', tmp_path / 's', '--profile', 'runtime', '-j', '3',
             f'{server.url[7:]}/x:a'], env=dict(os.environ, **ENV), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(200):
            if len([a for a in server.log if '/blobs/' in a.path]) >= 4:
                break
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        assert process.returncode == -signal.SIGINT
        assert not os.path.exists(tmp_path / 's' / 'images')
        for folder, _, names in os.walk(tmp_path / 's' / 'objects'):
            for name in names:
                data = open(os.path.join(folder, name), 'rb').read()
                assert refimage.fsverity(data) == os.path.basename(folder) + name
        server.clear()
        found = pull(tmp_path / 's', f'{server.url[7:]}/x:a', '--profile', 'runtime')
        assert (found['layers'], found['known_layers']) == (3, 2)
        assert found['digest'] == digest(f'oci:{layout.path}:a', '--profile', 'runtime')


def storage_of(tmp_path, layout, name, driver):
    """A containers-storage with the image, by skopeo."""
    folder = f'{tmp_path}/{driver}'
    copied = subprocess.run(['skopeo', '--insecure-policy', '--tmpdir', tmp_path, 'copy', '-q', f'oci:{layout.path}:{name}',
                             f'containers-storage:[{driver}@{folder}/root+{folder}/run]localhost/{name}:1'], capture_output=True,
                            check=False)
    if copied.returncode:
        pytest.skip(f'no containers-storage with {driver} here: ' + copied.stderr.decode().strip()[-200:])
    return f'{folder}/root'


@needs_root
@needs_umoci
@pytest.mark.parametrize('driver', ['vfs', 'overlay'])
def test_containers_storage(tmp_path, driver):
    """What podman and others have unpacked here is read as it lies, under the manifest that it came with."""
    layout = Layout(tmp_path / 'layout')
    big = random.Random(9).randbytes(300000)
    layers = random_layers(8) + [tar({'usr/': None, 'usr/big': big})]
    wanted = layout.name(layout.image(layers), 'a')
    root = storage_of(tmp_path, layout, 'a', driver)
    found = pull(tmp_path / 's', f'containers-storage:[{root}]a:1', '--profile', 'runtime')
    assert (found['manifest'], found['known_layers']) == (wanted, 0)
    assert found['digest'] == digest(f'oci:{layout.path}:a', '--profile', 'runtime')
    assert os.listdir(tmp_path / 's' / 'images' / 'refs') == ['a:1']
    assert run('cairn', 'fsck', '-q', '--store', tmp_path / 's').returncode == 0
    if driver == 'vfs':
        return  # what follows is the same for both
    # Also by other names, by its id, and where storage.conf says that it is.
    conf = tmp_path / 'storage.conf'
    conf.write_text(f'[storage]\ndriver = "{driver}"\ngraphroot = "{root}"\n')
    image = json.load(open(f'{root}/{driver}-images/images.json'))[0]['id']
    for name, env in ((f'[{driver}@{root}+/run/x]localhost/a:1', {}), ('a:1', {'CONTAINERS_STORAGE_CONF': str(conf)}),
                      (f'[{root}]{image[:12]}', {}), (f'[{root}]a:1@{wanted}', {})):
        result = run('cairn', 'oci', 'digest', '-q', '--profile', 'runtime', f'containers-storage:{name}', env={**ENV, **env})
        assert result.stdout.decode().strip() == found['digest'], result

    def fails(words, name='a:1', *options, status=1):
        result = run('cairn', 'pull', '-q', '--store', tmp_path / 's2', '--profile', 'runtime', *options,
                     f'containers-storage:[{root}]{name}', env=ENV)
        assert (result.returncode, words in result.stderr.decode()) == (status, True), result

    fails('no such image', 'c:1')
    fails('its blob is not to be had', 'a:1', '--keep-blobs', status=4)
    # While podman and its kin write there, which is when they have a lock exclusively, it waits; and others may come and go.
    layout.name(layout.image([tar({'usr/': None, 'usr/other': big[::-1]})]), 'b')
    with open(f'{root}/{driver}-layers/layers.lock', 'r+b') as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        waiting = subprocess.Popen(['cairn', 'pull', '-q', '--store', tmp_path / 's3', '--profile', 'runtime',
                                    f'containers-storage:[{root}]a:1'], env={**os.environ, **ENV}, stdout=subprocess.PIPE)
        time.sleep(0.3)
        assert waiting.poll() is None
    assert waiting.communicate()[0].decode().strip() == found['digest']
    coming = subprocess.Popen(['skopeo', '--insecure-policy', '--tmpdir', tmp_path, 'copy', '-q', f'oci:{layout.path}:b',
                               f'containers-storage:[{driver}@{root}+{root}/../run]localhost/b:1'])
    while coming.poll() is None:
        result = run('cairn', 'oci', 'digest', '-q', '--profile', 'runtime', f'containers-storage:[{root}]a:1', env=ENV)
        assert result.stdout.decode().strip() == found['digest'], result
    assert coming.returncode == 0
    # Somebody has changed a file of it.
    changed = next(os.path.join(d, 'big') for d, _, names in os.walk(root) if 'big' in names and b'/usr' in os.fsencode(d))
    with open(changed, 'r+b') as f:
        f.write(b'x')
    fails('expected sha256:', status=3)
    os.truncate(changed, 5)
    fails('usr/big: not a file of 300000 bytes any more', status=3)
    os.unlink(changed)
    os.symlink('/etc/passwd', changed)
    fails('usr/big')
    assert not os.path.exists(tmp_path / 's2' / 'images')


@needs_root
def test_no_room(tmp_path):
    layout = Layout(tmp_path / 'layout')
    layout.name(layout.image([tar({'usr/': None, 'usr/big': random.Random(7).randbytes(8 << 20)})]), 'a')
    small = tmp_path / 'small'
    small.mkdir()
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=4m', 'none', small], check=True)
    try:
        error = pull(small / 's', f'oci:{layout.path}:a', '--profile', 'runtime', status=1)
        assert 'layers to be fetched have 8 MiB, compressed' in error and 'has room for' in error
        assert not os.path.exists(small / 's' / 'streams')
    finally:
        subprocess.run(['umount', small], check=True)


def test_platforms(tmp_path):
    layout = Layout(tmp_path / 'layout')
    images = {p: layout.image([tar({'usr/': None, 'usr/a': p.encode() * 9})], architecture=p.split('/')[1])
              for p in ('linux/amd64', 'linux/arm64')}
    layout.name(layout.index(images), 'both')
    reference = f'oci:{layout.path}:both'
    arm = pull(tmp_path / 's', reference, '--platform', 'arm64', '--name', 'arm')
    assert (arm['platform'], arm['manifest']) == ('linux/arm64', images['linux/arm64']['digest'])
    result = run('cairn', 'pull', '--store', tmp_path / 's', '--all-platforms', '--name', 'x', reference, env=ENV)
    assert result.returncode == 0 and arm['digest'].encode() in result.stdout.split()
    assert sorted(os.listdir(tmp_path / 's' / 'images' / 'refs' / 'x' / 'linux')) == ['amd64', 'arm64']


def test_artifacts(tmp_path):
    layout = Layout(tmp_path / 'layout')
    manifest = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
                'config': layout.blob(b'{}', 'application/vnd.oci.empty.v1+json'), 'layers': [],
                'artifactType': 'text/x-poem'}
    layout.name(layout.document(manifest), 'a')
    assert 'not a container image but an artifact of type text/x-poem' in pull(
        tmp_path / 's', f'oci:{layout.path}:a', status=4)


@needs_umoci
def test_images_of_others(tmp_path):
    """umoci's and skopeo's images."""
    bundle = tmp_path / 'bundle'
    layout = Layout(tmp_path / 'layout')
    layout.name(layout.image([tar({'usr/': None})]), 'a')
    for command in (['umoci', 'unpack', '--image', f'{layout.path}:a', bundle],
                    ['sh', '-c', f'head -c 300000 /dev/urandom > {bundle}/rootfs/usr/x; echo hi > {bundle}/rootfs/usr/y'],
                    ['umoci', 'repack', '--image', f'{layout.path}:b', bundle]):
        subprocess.run(command, check=True, capture_output=True)
    wanted = pull(tmp_path / 's', f'oci:{layout.path}:b', '--profile', 'runtime')['digest']
    for target, options in ((f'oci:{tmp_path}/z:z', ['--dest-compress-format', 'zstd']),
                            (f'docker-archive:{tmp_path}/d.tar:a:b', []), (f'oci-archive:{tmp_path}/o.tar:z', []),
                            (f'dir:{tmp_path}/d', [])):
        subprocess.run(['skopeo', '--insecure-policy', 'copy', '--quiet', *options, f'oci:{layout.path}:b', target],
                       check=True, capture_output=True)
        found = pull(tmp_path / 's', target, '--profile', 'runtime', '--name', 'z')
        assert (found['digest'], found['known_layers']) == (wanted, found['layers']), target
        fresh = pull(tmp_path / 'fresh', target, '--profile', 'runtime', '--name', 'z')
        assert fresh['digest'] == wanted
        shutil.rmtree(tmp_path / 'fresh')


def test_no_layers(tmp_path):
    """`FROM scratch` and nothing more is an image with nothing in its root."""
    layout = Layout(tmp_path / 'layout')
    layout.name(layout.image([]), 'a')
    reference = f'oci:{layout.path}:a'
    assert 'profile composefs' in pull(tmp_path / 's', reference, status=1)
    found = pull(tmp_path / 's', reference, '--profile', 'runtime', '--name', 'empty')
    assert output('cairn', 'dump', 'empty', '--store', tmp_path / 's') == b'/ 4096 40755 2 0 0 0 0.0 - - -\n'
    assert digest(reference, '--profile', 'runtime') == found['digest']
    for store in 'copy', 'again':
        output('cairn', 'copy', 'empty', '--from', tmp_path / 's', '--to', tmp_path / store, '-q')
    assert output('cairn', 'oci', 'ls', 'store:', '-s', tmp_path / 'copy') == b'empty\n'


@needs_umoci
def test_no_padding(tmp_path):
    """umoci inserts layers that end with their last content."""
    layout = tmp_path / 'layout'
    (tmp_path / 'tree').mkdir()
    (tmp_path / 'tree' / 'new').write_bytes(b'hi\n')
    for command in (['init', '--layout', layout], ['new', '--image', f'{layout}:a'],
                    ['insert', '--image', f'{layout}:a', tmp_path / 'tree', '/usr']):
        subprocess.run(['umoci', *command], check=True, capture_output=True)
    pull(tmp_path / 's', f'oci:{layout}:a', '--name', 'x')
    assert output('cairn', 'cat', 'x', '/usr/new', '--store', tmp_path / 's') == b'hi\n'
