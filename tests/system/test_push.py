# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Container images out of a store: without loss where that can be, the same contents always, read by others."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import Faults  # noqa: E402
from programs import run  # noqa: E402
from registry import Layout, Registry, sha256  # noqa: E402
from test_pull import ENV, digest, pull, random_layers  # noqa: E402

pytestmark = pytest.mark.skipif(not shutil.which('skopeo'), reason='no skopeo')


def send(store, command, name, reference, *options, status=0):
    result = run('cairn', *command, '--json', '--store', store, *options, name, reference, env=ENV)
    assert result.returncode == status, result
    return json.loads(result.stdout) if status == 0 else result.stderr.decode()


def push(store, name, reference, *options, **more):
    return send(store, ['push'], name, reference, *options, **more)


def export(store, name, reference, *options, **more):
    return send(store, ['oci', 'export'], name, reference, *options, **more)


@pytest.fixture
def stored(tmp_path):
    layout = Layout(tmp_path / 'layout')
    layout.name(layout.image(random_layers(1, nr=2)), 'a')
    return layout


def manifest_of(layout, index=0):
    return layout.manifests[index]['digest']


def test_kept(stored, tmp_path):
    """With --keep-blobs everything goes out as it came."""
    pull(tmp_path / 's', f'oci:{stored.path}:a', '--profile', 'runtime', '--name', 'a', '--keep-blobs')
    # A collection leaves them as long as the image has its name, also when that was pulled again without the option.
    pull(tmp_path / 's', f'oci:{stored.path}:a', '--profile', 'runtime', '--name', 'a')
    assert run('cairn', 'gc', '-q', '--store', tmp_path / 's').returncode == 0
    found = export(tmp_path / 's', 'a', f'oci:{tmp_path}/out:b')
    assert (found['digest'], found['changed'], found['kept']) == (manifest_of(stored), False, 2)
    for folder, _, names in os.walk(tmp_path / 'out' / 'blobs'):
        for name in names:
            data = open(os.path.join(folder, name), 'rb').read()
            assert sha256(data)[7:] == name
            assert data == open(f'{stored.path}/blobs/sha256/{name}', 'rb').read()
    # A pull without it first, then with: the blobs are fetched after all.
    pull(tmp_path / 's2', f'oci:{stored.path}:a', '--profile', 'runtime', '--name', 'a')
    pull(tmp_path / 's2', f'oci:{stored.path}:a', '--profile', 'runtime', '--name', 'a', '--keep-blobs')
    assert export(tmp_path / 's2', 'a', f'oci:{tmp_path}/out2:b')['kept'] == 2


def test_made(stored, tmp_path):
    """Without, layers are compressed anew: other digests, the same diff_ids, config and image."""
    first = pull(tmp_path / 's', f'oci:{stored.path}:a', '--profile', 'runtime', '--name', 'a')
    result = run('cairn', 'oci', 'export', '--store', tmp_path / 's', 'a', f'oci:{tmp_path}/out:b')
    assert result.returncode == 0 and b'2 of 2 layers were compressed anew' in result.stderr
    found = json.loads(run('cairn', 'oci', 'inspect', '--json', f'oci:{tmp_path}/out:b').stdout)
    assert found['config'] == json.loads(
        run('cairn', 'oci', 'inspect', '--json', f'oci:{stored.path}:a').stdout)['config']
    assert digest(f'oci:{tmp_path}/out:b', '--profile', 'runtime') == first['digest']
    layers = [json.loads(line) for line in
              run('cairn', 'oci', 'layers', '--json', f'oci:{tmp_path}/out:b').stdout.splitlines()]
    assert {layer['compression'] for layer in layers} == {'zstd:chunked'}
    # The same again, byte for byte; and a second name beside the first.
    again = export(tmp_path / 's', 'a', f'oci:{tmp_path}/out:c')
    assert again['digest'] == found['digest'] and again['sent'] == 0
    assert len(json.load(open(tmp_path / 'out' / 'index.json'))['manifests']) == 2
    # Where the other side has the blobs already, they stay what they are.
    assert export(tmp_path / 's', 'a', f'oci:{stored.path}:z')['digest'] == manifest_of(stored)


def test_plain(tmp_path):
    """Plain layers are kept anyway: their tar is the blob."""
    layout = Layout(tmp_path / 'layout')
    layout.name(layout.image(random_layers(2, nr=2), 'none'), 'a')
    pull(tmp_path / 's', f'oci:{layout.path}:a', '--profile', 'runtime', '--name', 'a')
    found = export(tmp_path / 's', 'a', f'oci:{tmp_path}/out:b')
    assert (found['digest'], found['changed']) == (manifest_of(layout), False)


@pytest.mark.parametrize('user', [None, ('me', 'word')])
def test_registry(stored, tmp_path, user):
    first = pull(tmp_path / 's', f'oci:{stored.path}:a', '--profile', 'runtime', '--name', 'a', '--keep-blobs')
    creds = ['--creds', ':'.join(user)] if user else []
    with Registry(tmp_path / 'server', user=user) as registry:
        assert push(tmp_path / 's', 'a', f'{registry.host}/x/y:z', *creds)['digest'] == manifest_of(stored)
        if user:
            assert 'access denied' in push(tmp_path / 's', 'a', f'{registry.host}/x/y:z', status=1)
        again = push(tmp_path / 's', 'a', f'{registry.host}/x/y:again', *creds)
        assert (again['sent'], again['digest']) == (0, manifest_of(stored))
        found = pull(tmp_path / 's2', f'{registry.host}/x/y:z', '--profile', 'runtime', *creds)
        assert found['digest'] == first['digest']
        skopeo = [f'--src-creds={":".join(user)}'] if user else []
        subprocess.run(['skopeo', '--insecure-policy', 'copy', '--quiet', '--src-tls-verify=false', *skopeo,
                        f'docker://{registry.host}/x/y:z', f'oci:{tmp_path}/theirs:z'], check=True,
                       capture_output=True)
        assert digest(f'oci:{tmp_path}/theirs:z', '--profile', 'runtime') == first['digest']


def test_mounted(stored, tmp_path):
    """What another repository of the registry has need not be sent; without it, and where that cannot be, it is."""
    with Registry(tmp_path / 'server') as registry, Faults(upstream=('127.0.0.1', registry.port)) as server:
        host = server.url[7:]
        registry.push(f'oci:{stored.path}:a', 'first/a:1')
        pull(tmp_path / 's', f'{host}/first/a:1', '--profile', 'runtime')
        found = push(tmp_path / 's', f'{host}/first/a:1', f'{host}/second/b:1')
        assert (found['mounted'], found['kept'], found['sent'], found['digest']) == (2, 2, 0, manifest_of(stored))
        server.add('/v2/third/c/blobs/uploads/.mount.*', 'status', 403, times=1, method='POST')
        found = push(tmp_path / 's', f'{host}/first/a:1', f'{host}/third/c:1', '-j', '1')
        assert (found['mounted'], found['made']) == (1, 1), found
        # That of the other repository is gone: an upload is begun instead, and cancelled.
        pull(tmp_path / 's', f'oci:{stored.path}:a', '--profile', 'runtime', '--name', f'{host}/gone:1')
        run('cairn', 'untag', '--store', tmp_path / 's', f'{host}/first/a:1')
        found = push(tmp_path / 's', f'{host}/gone:1', f'{host}/fourth/d:1')
        assert (found['mounted'], found['made']) == (0, 2)
        assert {a.method for a in server.log if '/fourth/' in a.path} >= {'DELETE'}
        assert pull(tmp_path / 's2', f'{host}/fourth/d:1', '--profile', 'runtime')


@pytest.fixture
def podman(tmp_path):
    """Runs podman with a storage of its own; skips where it cannot run anything."""
    busybox = shutil.which('busybox')
    if os.geteuid() != 0 or not shutil.which('podman') or not shutil.which('runc') or not busybox:
        pytest.skip('needs root, podman, runc and busybox')

    runroot = tempfile.mkdtemp(dir='/tmp')  # it takes paths of at most 50 characters

    def command(*words, check=True):
        # Nothing of systemd's, and limits that need no privilege: what works in containers, too.
        return subprocess.run(['podman', '--root', tmp_path / 'root', '--runroot', runroot, '--storage-driver', 'vfs',
                               '--cgroup-manager', 'cgroupfs', '--events-backend', 'none', '--runtime', 'runc', *words],
                              check=check, capture_output=True, env={**os.environ, 'HOME': str(tmp_path)})

    command.run = ('run', '--rm', '--network', 'none', '--ulimit', 'nofile=1000:1000', '--ulimit', 'nproc=1000:1000')
    with open(busybox, 'rb') as f:
        program = tarfile.TarInfo('bin/busybox')
        program.mode, program.size = 0o755, os.fstat(f.fileno()).st_size
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode='w') as archive:
            for name in ('bin/', 'usr/', 'proc/', 'dev/', 'sys/', 'etc/', 'tmp/'):
                info = tarfile.TarInfo(name)
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
            archive.addfile(program, f)
    layout = Layout(tmp_path / 'busybox')
    layout.name(layout.image([out.getvalue()]), 'a')
    command.layout = layout
    yield command
    shutil.rmtree(runroot, ignore_errors=True)


def test_podman(podman, tmp_path):
    """An image that cairn pushed is run by podman, and one that podman pushed by cairn."""
    store = ('--store', tmp_path / 's')
    with Registry(tmp_path / 'server') as registry:
        pull(tmp_path / 's', f'oci:{podman.layout.path}:a', '--profile', 'runtime', '--name', 'a')
        assert push(tmp_path / 's', 'a', f'{registry.host}/ours:1')['made'] == 1
        said = podman(*podman.run, '--tls-verify=false', f'{registry.host}/ours:1', '/bin/busybox', 'echo', 'hello', check=False)
        if said.returncode and b'runc' in said.stderr:
            pytest.skip('podman cannot run containers here: ' + said.stderr.decode().strip()[-200:])
        assert said.stdout == b'hello\n', said

        policy = tmp_path / 'policy.json'
        policy.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
        podman('push', '-q', '--tls-verify=false', '--signature-policy', policy, f'{registry.host}/ours:1', f'{registry.host}/theirs:1')
        pull(tmp_path / 's', f'{registry.host}/theirs:1', '--profile', 'runtime', '--name', 'theirs')
        ran = run('cairn', 'run', *store, 'theirs', '--', '/bin/busybox', 'echo', 'hello')
        assert ran.stdout == b'hello\n', ran


def test_bad_registry(stored, tmp_path):
    pull(tmp_path / 's', f'oci:{stored.path}:a', '--profile', 'runtime', '--name', 'a', '--keep-blobs')
    with Registry(tmp_path / 'server') as registry, Faults(upstream=('127.0.0.1', registry.port)) as server:
        server.add('/v2/x/blobs/uploads/.*', 'status', 503, {'Retry-After': '0'}, times=2, method='POST')
        server.add('/v2/x/.*', 'reset', times=2, method='PUT')
        server.add('/v2/x/manifests/.*', 'status', 500, times=1, method='PUT')
        assert push(tmp_path / 's', 'a', f'{server.url[7:]}/x:z')['digest'] == manifest_of(stored)
        server.clear()
        server.add('/v2/y/.*', 'status', 403, method='POST')
        assert 'answer 403, access denied' in push(tmp_path / 's', 'a', f'{server.url[7:]}/y:z', status=1)


def test_refusals(stored, tmp_path):
    pull(tmp_path / 's', f'oci:{stored.path}:a', '--profile', 'runtime', '--name', 'a')
    assert 'no container image of that name' in export(tmp_path / 's', 'b', f'oci:{tmp_path}/o:b', status=1)
    assert 'only OCI layouts' in export(tmp_path / 's', 'a', 'q.invalid/a', status=2)
    assert 'cannot be chosen' in push(tmp_path / 's', 'a', f'q.invalid/a@{manifest_of(stored)}', status=2)
    assert 'only registries and OCI layouts' in push(tmp_path / 's', 'a', f'dir:{tmp_path}/d', status=2)
