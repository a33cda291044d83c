# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Signatures of seals in the kernel's hands: with a certificate in its keyring it checks them, without one that is said."""

import ctypes
import os
import subprocess
import sys
import tarfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'system'))
from programs import GOLDEN, output, run  # noqa: E402
from test_pull import ENV, SEALED, pull  # noqa: E402

SCRATCH = os.environ.get('SCRATCH', '')
FEATURE = os.path.exists('/proc/sys/fs/verity/require_signatures')
pytestmark = pytest.mark.skipif(not SCRATCH or not FEATURE, reason='needs a guest whose kernel checks signatures')


def openssl(*words):
    subprocess.run(['openssl', *words], check=True, capture_output=True)


def add_certificate(path):
    """Into the kernel's keyring .fs-verity."""
    with open('/proc/keys', encoding='ascii') as f:
        ring = next(int(line.split()[0], 16) for line in f if ' .fs-verity:' in line)
    openssl('x509', '-in', path, '-outform', 'DER', '-out', path + '.der')
    with open(path + '.der', 'rb') as f:
        data = f.read()
    libc = ctypes.CDLL(None, use_errno=True)
    add_key = 248  # x86-64
    assert libc.syscall(add_key, b'asymmetric', b'', data, len(data), ring) > 0, os.strerror(ctypes.get_errno())


def image_signature(store, top):
    path = f'{top}/signature'
    with open(path, 'wb') as f:
        subprocess.run(['fsverity', 'dump_metadata', 'signature', f'{store}/objects/{SEALED[:2]}/{SEALED[2:]}'], check=False, stdout=f)
    return os.path.getsize(path)


def test_signatures(tmp_path):
    if os.uname().machine != 'x86_64':
        pytest.skip('the number of add_key is known for x86-64 only')
    top = f'{SCRATCH}/seal'
    os.mkdir(top)
    key, cert, store = f'{top}/key', f'{top}/cert', f'{top}/store'
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=x')
    with tarfile.open(os.path.join(GOLDEN, 'oci', 'oci-layout.tar')) as archive:
        archive.extractall(tmp_path)
    reference = f'oci:{tmp_path}:plain'
    output('cairn', 'oci', 'seal', '-q', '--key', key, '--cert', cert, reference)
    pulled = pull(store, reference, '--name', 'x', '--seal-cert', cert)
    assert (pulled['digest'], pulled['kernel_signature'], image_signature(store, top)) == (SEALED, 'no key', 0)
    said = run('cairn', 'pull', '--store', store, '--name', 'x', '--seal-cert', cert, reference, env=ENV)
    assert b'keyring .fs-verity has no certificate' in said.stderr

    add_certificate(cert)
    # The image that is there without is replaced; the second time all is as it should be.
    for _ in range(2):
        assert pull(store, reference, '--name', 'x', '--seal-cert', cert)['kernel_signature'] == 'set'
        assert image_signature(store, top) > 100
    assert run('cairn', 'fsck', '-q', '--store', store).returncode == 0
    os.mkdir(f'{top}/mnt')
    output('cairn', 'mount', '--store', store, '--seal-cert', cert, '--require', 'enforced', 'x', f'{top}/mnt')
    assert os.listdir(f'{top}/mnt')
    output('cairn', 'umount', f'{top}/mnt')
