# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""A secure store: every object has fs-verity, what has none is found and mended, and nothing else is put in."""

import json
import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from programs import output, run  # noqa: E402

SCRATCH = os.environ.get('SCRATCH', '')
pytestmark = pytest.mark.skipif(not SCRATCH, reason='needs a guest with fs-verity')


@pytest.mark.parametrize('alg', ['sha256', 'sha512'])
def test_secure(alg):
    store, tree = f'{SCRATCH}/secure-{alg}', f'{SCRATCH}/tree-{alg}'
    info = json.loads(output('cairn', 'store', 'init', '--secure', '--alg', alg, '--json', store))
    assert info['secure']
    os.mkdir(tree)
    for name in 'a', 'b':
        with open(f'{tree}/{name}', 'w') as f:
            f.write(name * 5000)
    output('cairn', 'build', tree, '--name', 'x', '-q', '--store', store)
    assert output('cairn', 'fsck', '-q', '--store', store) == b''

    # The same bytes, but nobody enforces them: not for a secure store.
    path = f'{store}/objects/' + json.loads(output('cairn', 'ls', '--json', 'ref:x', '/a', '--store', store)
                                            )['object']
    shutil.copy(path, f'{SCRATCH}/copy')
    os.rename(f'{SCRATCH}/copy', path)
    found = run('cairn', 'fsck', '-q', '--json', '--store', store)
    assert found.returncode == 3
    assert [json.loads(line)['kind'] for line in found.stdout.splitlines()][0] == 'verity'
    assert run('cairn', 'fsck', '-q', '--repair', '--store', store).returncode == 0
    assert output('cairn', 'fsck', '-q', '--store', store) == b''

    # Other bytes are not sealed in its place, but brought from where they are right.
    second = f'{SCRATCH}/second-{alg}'
    output('cairn', 'store', 'init', '--alg', alg, second)
    output('cairn', 'copy', 'ref:x', '-q', '--from', store, '--to', second)
    for options, kind in (([], 'object'), (['--metadata-only'], 'verity')):
        with open(f'{SCRATCH}/wrong', 'w') as f:
            f.write('wrong')
        os.rename(f'{SCRATCH}/wrong', path)
        found = run('cairn', 'fsck', '-q', '--json', *options, '--store', store)
        assert (found.returncode, json.loads(found.stdout.splitlines()[0])['kind']) == (3, kind)
        done = run('cairn', 'fsck', '-q', '--json', '--repair', *options, '--from', second, '--store', store)
        assert (done.returncode, json.loads(done.stdout.splitlines()[0])['kind']) == (0, 'object'), done
        assert output('cairn', 'fsck', '-q', '--store', store) == b''

    # An image without fs-verity is no image of a secure store.
    digest = output('cairn', 'digest', 'ref:x', '--store', store).decode().strip()
    image = f'{store}/objects/{digest[:2]}/{digest[2:]}'
    shutil.copy(image, f'{SCRATCH}/copy')
    os.rename(f'{SCRATCH}/copy', image)
    assert run('cairn', 'ls', 'ref:x', '--store', store).returncode == 3
    assert run('cairn', 'gc', '--store', store).returncode == 3
    assert run('cairn', 'fsck', '-q', '--repair', '--store', store).returncode == 0
    output('cairn', 'ls', 'ref:x', '--store', store)

    output('cairn', 'untag', 'x', '--store', store)
    output('cairn', 'gc', '--empty', '-q', '--store', store)
    assert sum(len(files) for _, _, files in os.walk(f'{store}/objects')) == 0
