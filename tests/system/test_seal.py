# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Seals: what others sign and what we sign, both modes, and everything that can be wrong with them."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tarfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from programs import GOLDEN, run  # noqa: E402
from registry import Layout, Registry, sha256, tar  # noqa: E402
from test_pull import ENV, SEALED, pull  # noqa: E402

KEY = 'composefs.merged.erofs.v1.fsverity-sha256-12'
TYPE = 'application/vnd.composefs.metadata.v1'


def cairn(*words, status=0):
    result = run('cairn', 'oci', *words, env=ENV)
    assert result.returncode == status, result
    return result.stdout.decode() if status == 0 else result.stderr.decode()


def verify(reference, *options, status=0):
    return cairn('verify', *options, reference, status=status)


@pytest.fixture(scope='module')
def keys(tmp_path_factory):
    """{name: (key, certificate)}, two of RSA and one of an elliptic curve."""
    folder, made = tmp_path_factory.mktemp('keys'), {}
    for name, kind in (('ours', ['rsa:2048']), ('theirs', ['rsa:2048']),
                       ('curve', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'])):
        key, cert = folder / f'{name}.key', folder / f'{name}.pem'
        subprocess.run(['openssl', 'req', '-x509', '-newkey', *kind, '-nodes', '-keyout', key, '-out', cert, '-days',
                        '2', '-subj', f'/CN={name}'], check=True, capture_output=True)
        made[name] = (str(key), str(cert))
    return made


@pytest.fixture
def layout(tmp_path):
    with tarfile.open(os.path.join(GOLDEN, 'oci', 'oci-layout.tar')) as archive:
        archive.extractall(tmp_path / 'l')
    return f'oci:{tmp_path}/l'


def blob(layout, digest):
    return open(f'{layout[4:]}/blobs/sha256/{digest[7:]}', 'rb').read()


def formatted(digest):
    return b'FSVerity' + bytes([1, 0, 32, 0]) + bytes.fromhex(digest)


def test_golden(layout):
    assert verify(f'{layout}:inline-sealed') == f'{SEALED}  signature not checked\n'
    assert 'the image is not sealed' in verify(f'{layout}:plain', status=3)
    assert 'the seal is not signed' in verify(f'{layout}:inline-sealed', '--cert',
                                              os.path.join(GOLDEN, 'oci', 'seal', 'cert.pem'), status=3)
    assert 'not sealed with sha512' in verify(f'{layout}:inline-sealed', '--alg', 'sha512', status=3)


def test_golden_signature(layout, tmp_path):
    """A signature that fsverity and openssl made is taken, in a manifest of its own."""
    written = Layout(tmp_path / 'other')
    shutil.copytree(layout[4:], written.path, dirs_exist_ok=True)
    written.manifests = json.load(open(f'{written.path}/index.json'))['manifests']
    plain = written.manifests[0]
    with open(os.path.join(GOLDEN, 'oci', 'seal', 'allowlist.v1.sig.p7'), 'rb') as f:
        signature = f.read()
    part = written.blob(signature, 'application/vnd.composefs.signature.v1+pkcs7', annotations={KEY: SEALED})
    artifact = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json', 'artifactType': TYPE,
                'config': written.blob(b'{}', 'application/vnd.oci.empty.v1+json'), 'layers': [part],
                'subject': {k: plain[k] for k in ('mediaType', 'digest', 'size')}}
    written.manifests.append(written.document(artifact, artifactType=TYPE))
    written.write_index()
    cert = os.path.join(GOLDEN, 'oci', 'seal', 'cert.pem')
    assert verify(f'oci:{written.path}:plain', '--cert', cert) == f'{SEALED}  signed: yes\n'


@pytest.mark.parametrize('name', ['ours', 'curve'])
def test_artifact(layout, keys, name):
    key, cert = keys[name]
    image, manifest = cairn('seal', '--key', key, '--cert', cert, f'{layout}:plain').split()
    assert image == SEALED
    assert verify(f'{layout}:plain', '--cert', cert) == f'{SEALED}  signed: yes\n'
    assert 'does not verify' in verify(f'{layout}:plain', '--cert', keys['theirs'][1], status=3)
    # One of several certificates is enough.
    assert verify(f'{layout}:plain', '--cert', keys['theirs'][1], '--cert', cert)
    artifact = json.loads(blob(layout, manifest))
    assert artifact['artifactType'] == TYPE
    assert [list(p['annotations'])[0].split('.')[1] for p in artifact['layers']] == ['manifest', 'config', 'merged']
    signature = blob(layout, artifact['layers'][2]['digest'])
    folder = layout[4:]
    open(f'{folder}/sig', 'wb').write(signature)
    open(f'{folder}/fd', 'wb').write(formatted(SEALED))
    subprocess.run(['openssl', 'smime', '-verify', '-binary', '-inform', 'DER', '-in', f'{folder}/sig', '-content',
                    f'{folder}/fd', '-certfile', cert, '-CAfile', cert, '-purpose', 'any'], check=True,
                   capture_output=True)
    if name == 'ours':
        # The very bytes that openssl and fsverity make.
        theirs = subprocess.run(['openssl', 'smime', '-sign', '-binary', '-in', f'{folder}/fd', '-signer', cert,
                                 '-inkey', key, '-outform', 'DER', '-noattr', '-nocerts', '-md', 'sha256'],
                                check=True, capture_output=True).stdout
        assert signature == theirs
        if shutil.which('fsverity'):
            shutil.copy(os.path.join(GOLDEN, 'oci', 'seal', 'allowlist.v1.erofs'), f'{folder}/image')
            subprocess.run(['fsverity', 'sign', f'{folder}/image', f'{folder}/sig2', f'--key={key}',
                            f'--cert={cert}'], check=True, capture_output=True)
            assert signature == open(f'{folder}/sig2', 'rb').read()


def test_inline(layout, keys):
    key, cert = keys['ours']
    cairn('seal', '--inline', 'bare', f'{layout}:plain')
    assert verify(f'{layout}:bare') and 'not signed' in verify(f'{layout}:bare', '--cert', cert, status=3)
    cairn('seal', '--inline', 'good', '--key', key, '--cert', cert, f'{layout}:plain')
    assert verify(f'{layout}:good', '--cert', cert) == f'{SEALED}  signed: yes\n'
    cairn('seal', '--inline', 'user', '--xattrs', 'user', f'{layout}:plain')
    assert verify(f'{layout}:user').startswith('76068eae9ce35816')
    cairn('seal', '--inline', 'long', '--alg', 'sha512', f'{layout}:plain')
    assert len(verify(f'{layout}:long', '--alg', 'sha512').split()[0]) == 128


def test_pull(layout, keys, tmp_path):
    key, cert = keys['ours']
    assert 'not sealed' in pull(tmp_path / 's', f'{layout}:plain', '--require-seal', status=3)
    assert not os.path.exists(tmp_path / 's' / 'images')
    cairn('seal', '--key', key, '--cert', cert, f'{layout}:plain')
    assert pull(tmp_path / 's', f'{layout}:plain', '--seal-cert', cert)['digest'] == SEALED
    assert 'does not verify' in pull(tmp_path / 's2', f'{layout}:plain', '--seal-cert', keys['theirs'][1], status=3)
    # In whatever format the image is written, the seal is about V1.
    assert pull(tmp_path / 's', f'{layout}:plain', '--require-seal', '--format', '0')['digest'] != SEALED
    assert 'it is sealed with' in pull(tmp_path / 's3', f'{layout}:plain', '--require-seal', '--xattrs', 'user',
                                       status=3)


def spec(store, *options, status=0):
    result = run('cairn', 'mount', '--spec', '--store', store, *options)
    assert result.returncode == status, result
    return result.stderr.decode()


def test_mount(layout, keys, tmp_path):
    """What the store keeps of a seal is asked for when an image is mounted."""
    (key, cert), other, store = keys['ours'], keys['theirs'][1], tmp_path / 's'
    pull(store, f'{layout}:plain', '--name', 'x')
    assert 'the store has no seal of it' in spec(store, '--require-seal', 'x', status=3)
    pull(store, f'{layout}:inline-sealed', '--name', 'x', '--require-seal')
    spec(store, '--require-seal', 'x')
    assert 'the seal is not signed' in spec(store, '--seal-cert', cert, 'x', status=3)

    cairn('seal', '--key', key, '--cert', cert, f'{layout}:plain')
    pulled = pull(store, f'{layout}:plain', '--name', 'x', '--seal-cert', cert)
    assert pulled['sealed'] and pulled['kernel_signature'] in ('unsupported', 'no key')
    pull(store, f'{layout}:inline-sealed', '--name', 'y', '--require-seal')  # says less, and changes nothing
    run('cairn', 'untag', '--store', store, 'y')
    run('cairn', 'gc', '--store', store, '-q')
    assert run('cairn', 'fsck', '-q', '--store', store).returncode == 0
    spec(store, '--seal-cert', cert, 'x')
    spec(store, '--seal-cert', cert, SEALED)
    assert 'does not verify' in spec(store, '--seal-cert', other, 'x', status=3)
    image = f'{store}/objects/{SEALED[:2]}/{SEALED[2:]}'
    assert 'is a file' in spec(store, '--require-seal', image, status=2)
    # A seal is about format 1.
    pull(store, f'{layout}:plain', '--name', 'v0', '--seal-cert', cert, '--format', '0')
    assert 'the store has no seal of it' in spec(store, '--require-seal', 'v0', status=3)


@pytest.mark.skipif(not shutil.which('skopeo'), reason='no skopeo')
def test_registry(layout, keys, tmp_path):
    """Through Debian's registry, which knows nothing of referrers: they are listed under a tag."""
    key, cert = keys['ours']
    with Registry(tmp_path / 'server') as registry:
        reference = registry.push(f'{layout}:plain', 'a:1')
        cairn('seal', '--key', key, '--cert', cert, reference)
        assert verify(reference, '--cert', cert) == f'{SEALED}  signed: yes\n'
        assert pull(tmp_path / 's', reference, '--seal-cert', cert)['digest'] == SEALED
        cairn('seal', '--key', key, '--cert', cert, reference)  # the same once more is the same
        assert verify(reference, '--cert', cert)


def reseal(layout, change, keys):
    """Seals with an artifact, changes it, and verifies."""
    key, cert = keys['ours']
    _, manifest = cairn('seal', '--key', key, '--cert', cert, f'{layout}:plain').split()
    artifact = json.loads(blob(layout, manifest))
    index = json.load(open(f'{layout[4:]}/index.json'))
    change(artifact)
    data = json.dumps(artifact).encode()
    digest = sha256(data)
    open(f'{layout[4:]}/blobs/sha256/{digest[7:]}', 'wb').write(data)
    for entry in index['manifests']:
        if entry['digest'] == manifest:
            entry.update(digest=digest, size=len(data))
    json.dump(index, open(f'{layout[4:]}/index.json', 'w'))
    result = run('cairn', 'oci', 'verify', '--cert', cert, f'{layout}:plain', env=ENV)
    return result.returncode, result.stderr.decode()


def rename(part, old, new):
    (name, value), = part['annotations'].items()
    part['annotations'] = {name.replace(old, new): value}


def change_value(part, value):
    part['annotations'] = {k: value for k in part['annotations']}


WRONG = {
    'subject': (lambda a: a['subject'].update(digest='sha256:' + '0' * 64), 3, 'not sealed'),
    'order': (lambda a: a['layers'].reverse(), 1, 'not in the order'),
    'no merged': (lambda a: a['layers'].pop(), 1, 'does not seal the merged image'),
    'two algorithms': (lambda a: rename(a['layers'][2], 'sha256', 'sha512'), 1, 'two algorithms'),
    'unknown role': (lambda a: rename(a['layers'][0], 'manifest', 'other'), 1, 'a layer that is no seal'),
    'media type': (lambda a: a['layers'][0].update(mediaType='text/plain'), 1, 'a layer that is no seal'),
    'upper case': (lambda a: change_value(a['layers'][2], SEALED.upper()), 1, 'in lower case'),
    'short': (lambda a: change_value(a['layers'][2], SEALED[2:]), 1, 'not a digest'),
    'other image': (lambda a: change_value(a['layers'][2], '0' * 64), 3, 'it is sealed with 0000'),
    'other config': (lambda a: change_value(a['layers'][1], '0' * 64), 3, 'the config has digest'),
    # A signature that is good, but of something else.
    'replayed': (lambda a: a['layers'][2].update({k: a['layers'][1][k] for k in ('digest', 'size')}), 3,
                 'does not verify'),
}


@pytest.mark.parametrize('what', WRONG)
def test_wrong_artifacts(layout, keys, what):
    change, status, words = WRONG[what]
    assert reseal(layout, change, keys)[0] == status
    assert words in reseal(layout, change, keys)[1]


def test_wrong_inline(layout, keys):
    key, cert = keys['ours']
    cairn('seal', '--inline', 'good', '--key', key, '--cert', cert, f'{layout}:plain')
    index = json.load(open(f'{layout[4:]}/index.json'))
    entry = next(e for e in index['manifests'] if e.get('annotations', {}).get(
        'org.opencontainers.image.ref.name') == 'good')
    manifest = json.loads(blob(layout, entry['digest']))

    def changed(**notes):
        data = json.dumps({**manifest, 'annotations': {**manifest['annotations'], **notes}}).encode()
        entry.update(digest=sha256(data), size=len(data))
        open(f'{layout[4:]}/blobs/sha256/{sha256(data)[7:]}', 'wb').write(data)
        json.dump(index, open(f'{layout[4:]}/index.json', 'w'))

    changed(**{KEY + '.sig': '%%'})
    assert 'not base64' in verify(f'{layout}:good', '--cert', cert, status=1)
    changed(**{KEY + '.sig': base64.b64encode(b'junk').decode()})
    assert 'does not verify' in verify(f'{layout}:good', '--cert', cert, status=3)
    changed(**{KEY: '0' * 64})
    assert 'it is sealed with' in verify(f'{layout}:good', status=3)
    changed(**{'composefs.new.fsverity-sha256-12': 'what is not known is passed over'})
    assert verify(f'{layout}:good', '--cert', cert)


def test_refusals(layout, keys, tmp_path):
    key, cert = keys['ours']
    assert 'needs a key' in cairn('seal', f'{layout}:plain', status=2)
    assert 'a key needs its certificate' in cairn('seal', '--key', key, f'{layout}:plain', status=2)
    assert 'no certificate in PEM' in verify(f'{layout}:inline-sealed', '--cert', key, status=1)
    order = Layout(tmp_path / 'order')
    order.name(order.image([tar({'usr/': None, 'usr/d/': None, 'usr/d/x': b'x', 'usr/d/.wh.x': b''})]), 'a')
    assert 'depends on the order of its entries' in cairn('seal', '--inline', 'b', f'oci:{order.path}:a', status=1)
