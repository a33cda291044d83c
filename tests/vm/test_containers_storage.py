# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""What podman has unpacked on a file system that can share blocks becomes objects without being copied."""

import base64
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile

import pytest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TESTS, 'lib'), os.path.join(TESTS, 'system')]
from programs import run  # noqa: E402
from registry import LAYER, MANIFEST, sha256, tar  # noqa: E402
from test_pull import pull  # noqa: E402

DISK = os.environ.get('SCRATCH_BTRFS', '')
pytestmark = pytest.mark.skipif(not DISK or not shutil.which('filefrag'), reason='needs a guest with btrfs, and filefrag')


def extents(path):
    os.sync()
    return subprocess.run(['filefrag', '-v', path], check=True, capture_output=True).stdout.decode()


def split_of(data):
    """The tar-split of a tar."""
    lines, at = [], 0
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            lines.append({'type': 2, 'payload': base64.b64encode(data[at:member.offset_data]).decode()})
            lines.append({'type': 1, 'name': member.name, 'size': member.size, 'payload': None})
            at = member.offset_data + member.size
    lines.append({'type': 2, 'payload': base64.b64encode(data[at:]).decode()})
    return gzip.compress(b''.join(json.dumps(line).encode() + b'\n' for line in lines))


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as f:
        f.write(data)


def storage(root, data):
    """A storage of the driver vfs with an image "a:1" of the layer, as its tools write it (which would take long here)."""
    layer = hashlib.sha256(b'layer').hexdigest()
    config = json.dumps({'os': 'linux', 'architecture': 'amd64', 'config': {},
                         'rootfs': {'type': 'layers', 'diff_ids': [sha256(data)]}}).encode()
    manifest = json.dumps({'schemaVersion': 2, 'mediaType': MANIFEST,
                           'config': {'mediaType': 'application/vnd.oci.image.config.v1+json', 'digest': sha256(config),
                                      'size': len(config)},
                           'layers': [{'mediaType': LAYER + '+gzip', 'digest': 'sha256:' + '1' * 64, 'size': 7}]}).encode()
    image = sha256(config)[7:]
    key = base64.b64encode(sha256(config).encode()).decode()
    write(f'{root}/vfs-images/images.json', json.dumps([{'id': image, 'names': ['localhost/a:1'], 'layer': layer}]).encode())
    write(f'{root}/vfs-images/{image}/manifest', manifest)
    write(f'{root}/vfs-images/{image}/={key}', config)
    write(f'{root}/vfs-layers/layers.json', json.dumps([{'id': layer, 'diff-digest': sha256(data)}]).encode())
    write(f'{root}/vfs-layers/{layer}.tar-split.gz', split_of(data))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(f'{root}/vfs/dir/{layer}')


def test_cloned():
    top = f'{DISK}/storage'
    os.mkdir(top)
    big, small = random.Random(1).randbytes(1 << 20), random.Random(2).randbytes(5000)
    root = f'{top}/root'
    storage(root, tar({'usr/': None, 'usr/big': big, 'usr/small': small}))
    found = pull(f'{top}/s', f'containers-storage:[{root}]a:1', '--profile', 'runtime')
    assert found['new_objects'] == 2 and found['new_bytes'] == len(big) + len(small)
    objects = {os.path.getsize(os.path.join(d, n)): os.path.join(d, n) for d, _, names in os.walk(f'{top}/s/objects')
               for n in names}
    assert 'shared' in extents(objects[len(big)])
    with open(objects[len(big)], 'rb') as f:
        assert f.read() == big
    assert run('cairn', 'fsck', '-q', '--store', f'{top}/s').returncode == 0
