# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Container images for the tests: layouts that we write ourselves, and Debian's registry on loopback."""

import base64
import gzip
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time

LAYER = 'application/vnd.oci.image.layer.v1.tar'
MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
INDEX = 'application/vnd.oci.image.index.v1+json'
CONFIG = 'application/vnd.oci.image.config.v1+json'


def sha256(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()


def tar(entries):
    """A layer: {name: bytes | None (directory) | tarfile.TarInfo}, in that order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as archive:
        for name, content in entries.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.mtime = 1700000000
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def compress(data, how):
    if how == 'gzip':
        return gzip.compress(data, 6, mtime=0)
    if how == 'zstd':
        return subprocess.run(['zstd', '-q', '-c', '-3'], input=data, capture_output=True, check=True).stdout
    return data


class Layout:
    """An OCI layout that is being written."""

    def __init__(self, path):
        self.path = str(path)
        os.makedirs(os.path.join(self.path, 'blobs', 'sha256'), exist_ok=True)
        self.manifests = []
        self.write('oci-layout', b'{"imageLayoutVersion":"1.0.0"}')
        self.write_index()

    def write(self, name, data):
        with open(os.path.join(self.path, name), 'wb') as f:
            f.write(data)

    def write_index(self):
        self.write('index.json', json.dumps({'schemaVersion': 2, 'manifests': self.manifests}).encode())

    def blob(self, data, media_type, **more):
        digest = sha256(data)
        self.write('blobs/sha256/' + digest[7:], data)
        return {'mediaType': media_type, 'digest': digest, 'size': len(data), **more}

    def document(self, document, **more):
        return self.blob(json.dumps(document).encode(), document['mediaType'], **more)

    def image(self, layers, how='gzip', architecture='amd64', config=None, annotations=None, wrong_diff_id=False):
        """The descriptor of the manifest of an image with these tars as layers."""
        parts = [self.blob(compress(t, how), LAYER + {'gzip': '+gzip', 'zstd': '+zstd', 'none': ''}[how])
                 for t in layers]
        ids = [sha256(t + b'x' if wrong_diff_id else t) for t in layers]
        about = {'os': 'linux', 'architecture': architecture, 'config': config or {},
                 'rootfs': {'type': 'layers', 'diff_ids': ids}}
        manifest = {'schemaVersion': 2, 'mediaType': MANIFEST,
                    'config': self.blob(json.dumps(about).encode(), CONFIG), 'layers': parts}
        if annotations:
            manifest['annotations'] = annotations
        return self.document(manifest)

    def index(self, entries):
        """The descriptor of an index: {platform: descriptor}."""
        listed = []
        for platform, descriptor in entries.items():
            words = dict(zip(('os', 'architecture', 'variant'), platform.split('/')))
            listed.append({**descriptor, 'platform': words})
        return self.document({'schemaVersion': 2, 'mediaType': INDEX, 'manifests': listed})

    def name(self, descriptor, name):
        """Lists it in index.json. Returns its digest."""
        self.manifests.append({**descriptor, 'annotations': {'org.opencontainers.image.ref.name': name}})
        self.write_index()
        return descriptor['digest']


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def certificate(folder, name='localhost'):
    """(certificate, key) for 127.0.0.1, signed by itself."""
    cert, key = os.path.join(folder, f'{name}.crt'), os.path.join(folder, f'{name}.key')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                    '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=localhost', '-addext',
                    'subjectAltName=IP:127.0.0.1,DNS:localhost'], check=True, capture_output=True)
    return cert, key


class Registry:
    """Debian's docker-registry: with Registry(folder) as r: … r.host"""

    def __init__(self, folder, user=None, tls=None):
        if not shutil.which('docker-registry'):
            import pytest
            pytest.skip('no docker-registry')
        self.folder, self.user = str(folder), user
        os.makedirs(self.folder, exist_ok=True)
        self.port = free_port()
        self.host = f'127.0.0.1:{self.port}'
        lines = ['version: 0.1', 'log: {level: error}', 'storage:',
                 f'  filesystem: {{rootdirectory: {self.folder}/data}}', '  delete: {enabled: true}', 'http:',
                 f'  addr: {self.host}']
        if tls:
            lines.append(f'  tls: {{certificate: {tls[0]}, key: {tls[1]}}}')
        if user:
            # A bcrypt of the password: the registry takes no other hash.
            import crypt
            salt = '$2b$05$' + 'abcdefghijklmnopqrstuu'
            hashed = crypt.crypt(user[1], salt).replace('$2b$', '$2y$')
            with open(f'{self.folder}/htpasswd', 'w') as f:
                f.write(f'{user[0]}:{hashed}\n')
            lines += ['auth:', f'  htpasswd: {{realm: here, path: {self.folder}/htpasswd}}']
        with open(f'{self.folder}/config.yml', 'w') as f:
            f.write('\n'.join(lines) + '\n')

    def __enter__(self):
        self.process = subprocess.Popen(['docker-registry', 'serve', f'{self.folder}/config.yml'],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as s:
                if not s.connect_ex(('127.0.0.1', self.port)):
                    return self
            time.sleep(0.05)
        raise AssertionError('docker-registry does not answer')

    def __exit__(self, *args):
        self.process.kill()
        self.process.wait()

    def push(self, source, name, *options):
        """Copies an image of skopeo's notation into the registry. Returns its reference for cairn."""
        creds = [f'--dest-creds={self.user[0]}:{self.user[1]}'] if self.user else []
        subprocess.run(['skopeo', '--insecure-policy', 'copy', '--quiet', '--dest-tls-verify=false', *creds, *options,
                        source, f'docker://{self.host}/{name}'], check=True, capture_output=True)
        return f'{self.host}/{name}'


def auth_file(path, host, user, password):
    with open(path, 'w') as f:
        json.dump({'auths': {host: {'auth': base64.b64encode(f'{user}:{password}'.encode()).decode()}}}, f)
    return str(path)
