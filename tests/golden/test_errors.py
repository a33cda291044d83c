# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Every broken golden dump is refused, by mkcomposefs with the reference's words."""

import os
import sys

import pytest

GOLDEN = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(GOLDEN), 'lib'))
from programs import read, run  # noqa: E402

ERRORS = os.path.join(GOLDEN, 'errors')
NAMES = sorted(n[:-5] for n in os.listdir(ERRORS) if n.endswith('.dump'))
STRICT = {'CFS_PARSE_STRICT': ''}


def dump(name):
    return os.path.join(ERRORS, name + '.dump')


def is_strict(name):
    return name.startswith('strict-')


@pytest.mark.parametrize('name', NAMES)
def test_mkcomposefs(name, tmp_path):
    for sink in ['--print-digest-only'], [str(tmp_path / 'i')]:
        result = run('mkcomposefs', '--from-file', dump(name), *sink,
                     env=STRICT if is_strict(name) else None)
        assert result.returncode == 1
        assert result.stdout == b''
        expected = read(ERRORS, name + '.err').rstrip(b'\n')
        assert result.stderr == b'mkcomposefs: ' + expected + b'\n'
    assert os.path.exists(tmp_path / 'i')


@pytest.mark.parametrize('name', [n for n in NAMES if is_strict(n)])
def test_lax_accepts(name):
    assert run('mkcomposefs', '--print-digest-only', '--from-file', dump(name)).returncode == 0


@pytest.mark.parametrize('name', [n for n in NAMES if not is_strict(n)])
def test_cairn(name, tmp_path):
    result = run('cairn', 'build', dump(name), '-o', tmp_path / 'i')
    assert result.returncode in (1, 2, 4)
    assert result.stdout == b''
    assert result.stderr.startswith(b'cairn: ') and result.stderr.count(b'\n') == 1
    assert os.listdir(tmp_path) == []


def test_every_golden_dump_is_strict_or_says_why(tmp_path):
    """Strict mode refuses only what dump-format §5 lists."""
    reasons = (b'Non-zero devnum on non-device', b'Invalid symlink size', b'Symlink cannot have',
               b'Missing trailing newline')
    for name in sorted(n for n in os.listdir(GOLDEN) if n.endswith('.dump')):
        result = run('mkcomposefs', '--print-digest-only', '--from-file',
                     os.path.join(GOLDEN, name), env=STRICT)
        assert result.returncode == 0 or any(r in result.stderr for r in reasons), (name, result)


@pytest.mark.parametrize('size', [65535, 65536, 65537, 131072])
def test_missing_newline(size):
    """At every size of the input, a full read buffer included."""
    text = b'/ 0 40755 2 0 0 0 0.0 - - -\n'
    line = b'/%s 0 100644 1 0 0 0 0.0 - - -\n'
    number = 0
    while size - len(text) > 270:
        text += line % (b'%0200d' % number)
        number += 1
    text += (line % (b'x' * (size + 1 - len(text) - len(line) + 2)))[:-1]
    assert len(text) == size
    result = run('mkcomposefs', '--print-digest-only', '--from-file', '-', stdin=text, env=STRICT)
    assert (result.returncode, result.stderr) == (1, b'mkcomposefs: Missing trailing newline\n')
