# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Looking at images in registries: authentication, TLS, mirrors, and servers that misbehave."""

import base64
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from faults import Faults  # noqa: E402
from programs import output, run  # noqa: E402
from registry import Layout, Registry, auth_file, certificate, compress, sha256, tar  # noqa: E402

pytestmark = pytest.mark.skipif(not shutil.which('skopeo'), reason='no skopeo')

# Nothing of this machine's configuration.
ENV = {'HOME': '/nonexistent', 'XDG_RUNTIME_DIR': '/nonexistent', 'CONTAINERS_REGISTRIES_CONF': '/dev/null'}


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A registry with an image for two platforms, and its layout."""
    folder = tmp_path_factory.mktemp('registry')
    layout = Layout(folder / 'layout')
    images = {p: layout.image([tar({'usr/': None, 'usr/a': p.encode() * 100})], architecture=p.split('/')[1])
              for p in ('linux/amd64', 'linux/arm64')}
    layout.name(layout.index(images), 'both')
    layout.name(images['linux/amd64'], 'one')
    with Registry(folder / 'server') as registry:
        registry.push(f'oci:{layout.path}:both', 'test/a:both', '--all')
        registry.push(f'oci:{layout.path}:one', 'test/a:one')
        registry.layout, registry.images = layout, images
        yield registry


def inspect(reference, *options, env=None, status=0):
    result = run('cairn', 'oci', 'inspect', '--json', *options, reference, env={**ENV, **(env or {})})
    assert result.returncode == status, result
    return json.loads(result.stdout) if status == 0 else result.stderr.decode()


def test_inspect(place):
    amd, arm = place.images['linux/amd64']['digest'], place.images['linux/arm64']['digest']
    for reference in [f'{place.host}/test/a:both', f'docker://{place.host}/test/a:both',
                      f'oci:{place.layout.path}:both']:
        found = inspect(reference, '-p', 'amd64')
        assert (found['digest'], found['platform'], found['layers']) == (amd, 'linux/amd64', 1)
        assert inspect(reference, '-p', 'linux/arm64/v8')['digest'] == arm
        assert 'no image for linux/s390x' in inspect(reference, '-p', 's390x', status=1)
        assert inspect(reference, '-p', 'arm64')['index'] == place.layout.manifests[0]['digest']
    assert inspect(f'{place.host}/test/a@{arm}', '-p', 'arm64')['digest'] == arm
    assert inspect(f'{place.host}/test/a:one@{arm}', '-p', 'arm64')['digest'] == arm  # the digest decides
    assert 'is for linux/arm64, not linux/amd64' in inspect(f'{place.host}/test/a@{arm}', '-p', 'amd64', status=1)
    raw = output('cairn', 'oci', 'inspect', '--manifest', '-p', 'arm64', f'{place.host}/test/a:both', env=ENV)
    assert sha256(raw) == arm
    config = output('cairn', 'oci', 'inspect', '--config', f'{place.host}/test/a:one', env=ENV)
    assert json.loads(config)['architecture'] == 'amd64'
    assert 'answer 404, not found: MANIFEST_UNKNOWN' in inspect(f'{place.host}/test/a:none', status=1)


def test_lists(place):
    assert set(output('cairn', 'oci', 'ls', f'{place.host}/test/a', env=ENV).split()) == {b'both', b'one'}
    amd, arm = (place.images[p]['digest'] for p in ('linux/amd64', 'linux/arm64'))
    assert output('cairn', 'oci', 'ls', f'{place.host}/test/a:both', env=ENV).decode().splitlines() == [
        f'{amd} linux/amd64 both', f'{arm} linux/arm64 both']
    layers = output('cairn', 'oci', 'layers', '--json', f'{place.host}/test/a:one', env=ENV)
    assert json.loads(layers)['diff_id'] == sha256(tar({'usr/': None, 'usr/a': b'linux/amd64' * 100}))


def test_warnings(place):
    """What a registry wants people to read is told, once, and nothing else of that header."""
    with Faults(upstream=('127.0.0.1', int(place.host.split(':')[1]))) as server:
        server.add('.*/manifests/.*', 'header', 'Warning', '299 - "will \\"end\\" \x1b soon"')
        server.add('.*/blobs/.*', 'header', 'Warning', '199 - "not this"')
        found = run('cairn', 'oci', 'inspect', f'{server.url[7:]}/test/a:one', env=ENV)
        assert found.returncode == 0
        assert found.stderr.decode() == f'cairn: oci inspect: {server.url[7:]} warns: will "end" \\x1b soon\n', found.stderr


def test_skopeo_agrees(place):
    """The same manifest as another client finds."""
    theirs = subprocess.run(['skopeo', 'inspect', '--raw', '--tls-verify=false', f'docker://{place.host}/test/a:one'],
                            check=True, capture_output=True).stdout
    assert sha256(theirs) == inspect(f'{place.host}/test/a:one')['digest']


def test_basic_authentication(place, tmp_path):
    with Registry(tmp_path / 'server', user=('me', 'pass:word')) as registry:
        reference = registry.push(f'oci:{place.layout.path}:one', 'secret/a:1')
        assert 'access denied without credentials' in inspect(reference, status=1)
        wrong = auth_file(tmp_path / 'wrong.json', registry.host, 'me', 'nothing')
        assert 'access denied with the credentials' in inspect(reference, '--authfile', wrong, status=1)
        right = auth_file(tmp_path / 'right.json', registry.host, 'me', 'pass:word')
        assert inspect(reference, '--authfile', right)['layers'] == 1
        assert inspect(reference, env={'REGISTRY_AUTH_FILE': right})['layers'] == 1
        assert inspect(reference, '--creds', 'me:pass:word')['layers'] == 1

        # Where podman, docker and old docker keep them.
        for path, legacy in (('.config/containers/auth.json', 0), ('.docker/config.json', 0), ('.dockercfg', 1)):
            home = tmp_path / path.replace('/', '_')
            os.makedirs((home / path).parent)
            content = json.loads(open(right).read())
            (home / path).write_text(json.dumps(content['auths'] if legacy else content))
            assert inspect(reference, env={'HOME': str(home)})['layers'] == 1

        # A program that has them.
        helper = tmp_path / 'bin' / 'docker-credential-test'
        helper.parent.mkdir()
        helper.write_text('#!/bin/sh\nread -r key; [ "$1 $key" = "get %s" ] || { echo "credentials not found in '
                          'native keychain"; exit 1; }\necho \'{"ServerURL":"","Username":"me","Secret":"pass:word"}\'\n'
                          % registry.host)
        helper.chmod(0o755)
        asks = tmp_path / 'helper.json'
        path = {'PATH': f'{helper.parent}:{os.environ["PATH"]}'}
        asks.write_text(json.dumps({'credHelpers': {registry.host: 'test'}}))
        assert inspect(reference, '--authfile', asks, env=path)['layers'] == 1
        asks.write_text(json.dumps({'credsStore': 'test'}))
        assert inspect(reference, '--authfile', asks, env=path)['layers'] == 1
        assert inspect(f'{place.host}/test/a:one', '--authfile', asks, env=path)['layers'] == 1
        asks.write_text(json.dumps({'credHelpers': {registry.host: '../../bin/sh'}}))
        assert 'is not the name of a credential helper' in inspect(reference, '--authfile', asks, status=1)
        asks.write_text('{"auths":{}')
        assert f'{asks}: file: not JSON' in inspect(reference, '--authfile', asks, status=1)


def test_tls(place, tmp_path):
    certs = tmp_path / 'certs'
    certs.mkdir()
    cert, key = certificate(certs)
    with Registry(tmp_path / 'server', tls=(cert, key)) as registry:
        reference = registry.push(f'oci:{place.layout.path}:one', 'a:1')
        assert 'certificate' in inspect(reference, status=1)
        assert inspect(reference, '--insecure')['layers'] == 1
        (tmp_path / 'certs.d' / registry.host).mkdir(parents=True)
        shutil.copy(cert, tmp_path / 'certs.d' / registry.host / 'ca.crt')
        assert inspect(reference, '--cert-dir', tmp_path / 'certs.d')['layers'] == 1
        assert inspect(reference, '--plain-http', status=1)


class Tokens:
    """What a registry with tokens does: 401 with a challenge until a token is there that the realm gave."""

    def __init__(self, upstream, user=None, identity=None):
        self.server = Faults(upstream=upstream)
        self.user, self.identity, self.asked = user, identity, []
        self.server.answer = self.answer

    def answer(self, handler, body):
        if handler.path.startswith('/token'):
            self.asked.append((handler.command, handler.path, handler.headers.get('Authorization'), body))
            sent = handler.headers.get('Authorization')
            wanted = self.user and 'Basic ' + base64.b64encode(self.user.encode()).decode()
            good = (f'refresh_token={self.identity}'.encode() in body if self.identity else sent == wanted)
            return (200, {}, json.dumps({'token': 'let-me-in', 'expires_in': 60}).encode()) if good else (401, {}, b'')
        if handler.headers.get('Authorization') != 'Bearer let-me-in':
            return 401, {'WWW-Authenticate': f'Bearer realm="{self.server.url}/token",service="here",'
                                             'scope="repository:test/a:pull"'}, b'{"errors":[]}'
        return None


@pytest.mark.parametrize('user,identity', [(None, None), ('me:word', None), (None, 'long-lived')])
def test_tokens(place, tmp_path, user, identity):
    tokens = Tokens(('127.0.0.1', place.port), user, identity)
    with tokens.server as server:
        host = server.url[7:]
        auth = tmp_path / 'auth.json'
        entry = {'identitytoken': identity} if identity else {}
        auth.write_text(json.dumps({'auths': {host: entry}}))
        options = ['--creds', user] if user else ['--authfile', auth]
        assert inspect(f'{host}/test/a:both', *options)['layers'] == 1
        # One token for all requests, of the scope that was asked for.
        assert len(tokens.asked) == 1
        method, path, sent, body = tokens.asked[0]
        if identity:
            assert method == 'POST' and b'grant_type=refresh_token' in body and sent is None
        else:
            assert 'service=here' in path and 'scope=repository%3Atest%2Fa%3Apull' in path
            assert (sent is not None) == (user is not None)
        if user:
            assert 'access denied with the credentials' in inspect(f'{host}/test/a:both', '--creds', 'me:wrong', status=1)


def test_mirrors(place, tmp_path):
    conf = tmp_path / 'registries.conf'
    with Faults(upstream=('127.0.0.1', place.port)) as mirror:
        conf.write_text(f'''
# a registry that is not there, and where it can be had
[[registry]]
prefix = "example.invalid/x"
location = "{place.host}/test"
[[registry.mirror]]
location = "127.0.0.1:1/nobody"
[[registry.mirror]]
location = "{mirror.url[7:]}/test"

[[registry]]
location = "blocked.invalid"
blocked = true
''')
        reference = 'example.invalid/x/a:one'
        assert inspect(reference, '--registries-conf', conf)['layers'] == 1
        assert mirror.log
        assert inspect(reference, env={'CONTAINERS_REGISTRIES_CONF': str(conf)})['layers'] == 1
        # A mirror that fails or has it not: the next one.
        mirror.clear()
        mirror.add('/v2/test/.*', 'status', 404)
        assert inspect(reference, '--registries-conf', conf)['layers'] == 1
        # One that lies is found out, and not believed.
        mirror.clear()
        mirror.add('/v2/test/a/blobs/.*', 'flip', 5)
        assert 'it has digest' in inspect(reference, '--registries-conf', conf, status=3)
        assert 'blocks blocked.invalid/a' in inspect('blocked.invalid/a', '--registries-conf', conf, status=1)
        conf.write_text('[[registry]]\nprefix = 3\n')
        assert 'line 2: prefix is not a string' in inspect(reference, '--registries-conf', conf, status=1)


def test_bad_servers(place):
    reference, amd = 'test/a:one', place.images['linux/amd64']['digest']
    with Faults(upstream=('127.0.0.1', place.port)) as server:
        host = server.url[7:]
        manifest = '/v2/test/a/manifests/.*'
        server.add(manifest, 'status', 503, {'Retry-After': '0'}, times=2)
        assert inspect(f'{host}/{reference}')['digest'] == amd
        server.clear()
        server.add(manifest, 'flip', 0)
        assert 'but it says' in inspect(f'{host}/{reference}', status=3)
        assert 'the manifest that it sent has digest' in inspect(f'{host}/test/a@{amd}', status=3)
        server.clear()
        server.add('/v2/test/a/blobs/.*', 'shorter', 1)
        assert 'bytes, not' in inspect(f'{host}/{reference}', status=3)
        server.clear()
        server.add('/v2/test/a/blobs/.*', 'longer', 1)
        assert 'bytes, not' in inspect(f'{host}/{reference}', status=3)
        server.clear()
        server.add(manifest, 'status', 403)
        assert 'answer 403, access denied' in inspect(f'{host}/{reference}', status=1)
        server.clear()
        server.add('/v2/test/a/blobs/.*', 'redirect', f'http://{place.host}/v2/test/a/blobs/'
                   + json.loads(run('cairn', 'oci', 'inspect', '--json', f'{place.host}/{reference}',
                                    env=ENV).stdout)['config'])
        assert inspect(f'{host}/{reference}', '--creds', 'a:b')['digest'] == amd
        server.clear()
        server.add('/v2/', 'reset')
        assert inspect('127.0.0.1:1/a', status=1)


def test_accept(place):
    """Old registries give a manifest only to those who say that they take it."""
    with Faults(upstream=('127.0.0.1', place.port)) as server:
        inspect(f'{server.url[7:]}/test/a:one')
        asked = [a for a in server.log if '/manifests/' in a.path]
        assert all(t in asked[0].headers['Accept'] for t in ('image.index.v1', 'image.manifest.v1', 'list.v2',
                                                            'distribution.manifest.v2'))
        assert asked[0].headers['User-Agent'].startswith('cairn/')


def test_layouts(tmp_path):
    layout = Layout(tmp_path / 'layout')
    image = layout.image([tar({'usr/': None})])
    layout.name(image, 'a')
    assert inspect(f'oci:{layout.path}')['digest'] == image['digest']
    assert inspect(f'oci:{layout.path}@{image["digest"]}')['digest'] == image['digest']
    assert 'there is no image b in it' in inspect(f'oci:{layout.path}:b', status=1)
    layout.name(layout.image([tar({'usr/': None}), tar({'x': b'y'})]), 'b')
    assert '2 images are in it' in inspect(f'oci:{layout.path}', status=2)

    blob = os.path.join(layout.path, 'blobs/sha256', image['digest'][7:])
    data = open(blob, 'rb').read()
    os.truncate(blob, 10)
    assert f'it has 10 bytes, not {len(data)}' in inspect(f'oci:{layout.path}:a', status=3)
    open(blob, 'wb').write(data[:-1] + b' ')
    assert 'it has digest' in inspect(f'oci:{layout.path}:a', status=3)
    os.unlink(blob)
    os.symlink('/etc/passwd', blob)
    assert inspect(f'oci:{layout.path}:a', status=1)
    os.unlink(blob)
    os.mkfifo(blob)
    assert 'not a regular file' in inspect(f'oci:{layout.path}:a', status=1)
    layout.write('oci-layout', b'{"imageLayoutVersion":"2.0.0"}')
    assert "version '2.0.0'" in inspect(f'oci:{layout.path}:a', status=4)


def archive(path, entries, *, mode='w'):
    with tarfile.open(path, mode) as out:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            if content.startswith(b'->'):
                info.type, info.linkname = tarfile.SYMTYPE, content[2:].decode()
                out.addfile(info)
            else:
                info.size = len(content)
                out.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize('mode', ['w', 'w:gz'])
def test_oci_archive(place, tmp_path, mode):
    with tarfile.open(tmp_path / 'a.tar', mode) as out:
        out.add(place.layout.path, '.')
    reference = f'oci-archive:{tmp_path}/a.tar'
    assert inspect(f'{reference}:one')['digest'] == place.images['linux/amd64']['digest']
    assert inspect(f'{reference}:both', '-p', 'arm64')['digest'] == place.images['linux/arm64']['digest']
    assert 'there is no image x in it' in inspect(f'{reference}:x', status=1)
    os.truncate(tmp_path / 'a.tar', os.path.getsize(tmp_path / 'a.tar') // 2)
    assert inspect(f'{reference}:one', status=1)


def test_docker_archive(place, tmp_path):
    layers = [tar({'usr/': None, 'usr/a': b'x' * 100}), tar({'usr/b': b'y'})]
    config = json.dumps({'os': 'linux', 'architecture': 'amd64', 'config': {}, 'rootfs': {
        'type': 'layers', 'diff_ids': [sha256(t) for t in layers]}}).encode()
    about = json.dumps([{'Config': 'c.json', 'RepoTags': ['a:latest', 'q.io/b:1'],
                         'Layers': ['0/layer.tar', '1/layer.tar']}]).encode()
    # In any order, a layer behind a link, one compressed.
    entries = [('1/layer.tar', gzip.compress(layers[1])), ('0/layer.tar', b'->../0.tar'), ('manifest.json', about),
               ('./0.tar', layers[0]), ('c.json', config)]
    for mode in ('w', 'w:gz'):
        path = archive(tmp_path / 'd.tar', entries, mode=mode)
        found = inspect(f'docker-archive:{path}')
        assert (found['layers'], found['config'], found['size']) == (2, sha256(config), sum(map(len, layers)))
        for name in ('a', 'a:latest', 'docker.io/library/a:latest', 'q.io/b:1', '@0'):
            assert inspect(f'docker-archive:{path}:{name}')['digest'] == found['digest'], name
        assert 'there is no image b in it' in inspect(f'docker-archive:{path}:b', status=1)
        assert 'none has number 1' in inspect(f'docker-archive:{path}:@1', status=1)
    # What skopeo writes.
    subprocess.run(['skopeo', '--insecure-policy', 'copy', '--quiet', f'oci:{place.layout.path}:one',
                    f'docker-archive:{tmp_path}/s.tar:x:y'], check=True, capture_output=True)
    found = inspect(f'docker-archive:{tmp_path}/s.tar:x:y')
    assert (found['layers'], found['platform']) == (1, 'linux/amd64')

    def broken(*changed):
        archive(tmp_path / 'b.tar', [(n, dict(changed).get(n, c)) for n, c in entries])
        return inspect(f'docker-archive:{tmp_path}/b.tar', status=1)

    assert 'manifest.json has 1 layers, the config 2' in broken(
        ('manifest.json', about.replace(b'"0/layer.tar", ', b'')))
    assert 'said to be two different layers' in broken(('manifest.json', about.replace(b'1/layer', b'0/layer')))
    assert 'a link to a link' in broken(('./0.tar', b'->0/layer.tar'))
    assert '../c.json: No such file' in broken(('manifest.json', about.replace(b'"c.json"', b'"../c.json"')))
    archive(tmp_path / 'b.tar', entries + [('c.json', config)])
    assert "'c.json' is in the archive twice" in inspect(f'docker-archive:{tmp_path}/b.tar', status=1)


def test_tar(tmp_path):
    layer = tar({'usr/': None, 'usr/a': b'x' * 100})
    for how in ('none', 'gzip', 'zstd'):
        (tmp_path / 'l.tar').write_bytes(compress(layer, how))
        found = json.loads(output('cairn', 'oci', 'layers', '--json', f'tar:{tmp_path}/l.tar', env=ENV))
        assert (found['diff_id'], found['size']) == (sha256(layer), len(layer))
    assert 'not a regular file' in inspect(f'tar:{tmp_path}', status=2)


def test_dir(place, tmp_path):
    subprocess.run(['skopeo', '--insecure-policy', 'copy', '--quiet', f'oci:{place.layout.path}:one',
                    f'dir:{tmp_path}/d'], check=True, capture_output=True)
    assert inspect(f'dir:{tmp_path}/d')['layers'] == 1
