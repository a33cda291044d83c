# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""The variants V0, V1, V2 in SHA-256 and SHA-512, and the inputs on which implementations differ."""

import os
import sys

import pytest

GOLDEN = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(GOLDEN), 'lib'))
from programs import output, run  # noqa: E402

REPO = os.path.join(GOLDEN, 'repo')
DIVERGE = os.path.join(REPO, 'diverge')


def table(folder):
    with open(os.path.join(folder, 'digests.txt'), encoding='ascii') as f:
        return [line.split() for line in f if not line.startswith('#')]


VARIANTS = [(name, alg, form, digest)
            for name, alg, *digests in table(REPO)
            for form, digest in zip(('v0', 'v1', 'v2'), digests) if digest != '-']
DIFFERENT = [(name, version, digest)
             for name, *digests in table(DIVERGE)
             for version, digest in enumerate(digests)]


@pytest.mark.parametrize('name, alg, form, digest', VARIANTS)
def test_variant(name, alg, form, digest, tmp_path):
    path = os.path.join(REPO, name)
    said = output('cairn', 'build', path, '-o', tmp_path / 'i', '--format', form, '--alg', alg)
    assert digest in said.decode()
    said = output('cairn', 'measure', tmp_path / 'i')
    assert digest in said.decode() or alg == 'sha512'
    assert digest in output('cairn', 'digest', '--format', form, '--alg', alg, path).decode()
    assert digest in output('cairn', 'digest', '--all', path).decode()
    said = output('cairn', 'check', tmp_path / 'i')
    assert b'OK canonical V' + form[1:].encode() in said


@pytest.mark.parametrize('name, version, digest', DIFFERENT)
def test_different(name, version, digest):
    path = os.path.join(DIVERGE, name)
    result = run('mkcomposefs', '--print-digest-only', f'--min-version={version}',
                 f'--max-version={version}', '--from-file', path)
    other = run('cairn', 'digest', '--format', f'v{version}', path)
    if digest == 'error':
        assert result.returncode == 1 and other.returncode == 1
    else:
        assert result.stdout.decode() == digest + '\n'
        assert digest in other.stdout.decode()
