# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Random damage to dump texts: mkcomposefs refuses what the second parser refuses, in the same words."""

import errno
import os
import random
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import refdump  # noqa: E402
import refimage  # noqa: E402
from programs import run  # noqa: E402
from randomtree import Tree  # noqa: E402

SEED = int(os.environ.get('CAIRN_SEED', '0'))
ROUNDS = int(os.environ.get('CAIRN_ROUNDS', '8')) * 10
TOKENS = [b' ', b'  ', b'\n', b'\n\n', b'-', b'@', b'=', b'\\', b'\\x', b'\\x0', b'\\xzz', b'\\q', b'\\x00',
          b'\0', b'/', b'//', b'/.', b'/..', b'.', b'', b'9', b'0', b'x', b'\r', b'\t', b'40755', b'@0',
          b'@40755', b'100644', b'-1', b'18446744073709551616', b'1.1.1', b'1e3', b'0x1']


def damage(text, rng):
    lines = text.split(b'\n')
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        at = rng.randrange(len(lines))
        kind = rng.randrange(8)
        if kind == 0:
            lines.insert(rng.randrange(len(lines)), lines[at])
        elif kind == 1:
            del lines[at]
            lines = lines or [b'']
        elif kind == 2:
            lines[at] = lines[at][:rng.randrange(len(lines[at]) + 1)]
        elif kind == 3:
            place = rng.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:place] + rng.choice(TOKENS) + lines[at][place:]
        elif kind == 4:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        else:
            fields = lines[at].split(b' ')
            fields[rng.randrange(len(fields))] = rng.choice(TOKENS)
            lines[at] = b' '.join(fields)
    return b'\n'.join(lines)


def expected(text, strict):
    try:
        refimage.write(refdump.parse(text, strict))
        return b''
    except refdump.DumpError as e:
        return b'mkcomposefs: ' + e.message + b'\n'
    except refdump.WriteError as e:
        words = os.strerror(getattr(errno, str(e))).encode()
        return b'mkcomposefs: cannot write file: ' + words + b'\n'


@pytest.mark.parametrize('seed', range(SEED, SEED + ROUNDS))
def test_message(seed):
    rng = random.Random(seed)
    text = damage(Tree(seed, rng.choice(['links', 'mixed', 'plain'])).text(rng.choice([None, 1])), rng)
    strict = rng.random() < 0.2
    result = run('mkcomposefs', '--print-digest-only', '--from-file', '-', stdin=text,
                 env={'CFS_PARSE_STRICT': '1'} if strict else None)
    message = expected(text, strict)
    if message and result.stderr.startswith(b'mkcomposefs: Invalid digest '):
        assert result.returncode == 1      # the words are ours (dump-format §2)
    else:
        assert result.stderr[:200] == message[:200]
        assert result.returncode == bool(message)
