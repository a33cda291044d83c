# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Contents that the kernel enforces already: $SCRATCH is a file system with fs-verity."""

# guest: 6.18

import json
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import programs  # noqa: E402

SCRATCH = os.environ.get('SCRATCH', '/nonexistent')
pytestmark = pytest.mark.skipif(not os.path.isdir(SCRATCH), reason='no $SCRATCH: for tests/lib/guest.py')

DATA = bytes(range(256)) * 4000


def cairn(folder, *args):
    done = programs.run('cairn', *args, cwd=folder)
    assert done.returncode == 0, done
    return done.stdout.decode()


@pytest.fixture
def folder(request):
    path = os.path.join(SCRATCH, request.node.name)
    os.makedirs(os.path.join(path, 'tree'))
    with open(os.path.join(path, 'tree', 'large'), 'wb') as f:
        f.write(DATA)
    yield path
    subprocess.run(['rm', '-rf', path], check=True)


def build(folder, *options):
    # Not from what the last build has noted. (To enable fs-verity changes the time of modification.)
    subprocess.run(['rm', '-rf', os.path.join(folder, 'store', 'cairn')], check=True)
    return json.loads(cairn(folder, 'build', '--json', 'tree', '-o', 'image', '--use-epoch', '--store', 'store',
                            *options))


def enable(folder, *options):
    subprocess.run(['fsverity', 'enable', *options, os.path.join(folder, 'tree', 'large')], check=True)


def test_measured_source(folder):
    """It is read when the store lacks it, and then never again."""
    enable(folder)
    first = build(folder)
    assert (first['new_objects'], first['bytes']) == (1, len(DATA))
    again = build(folder)
    assert (again['files'], again['bytes'], again['cached']) == (1, 0, 0)
    assert again['digest'] == first['digest']
    read = build(folder, '--no-cache')
    assert (read['bytes'], read['digest']) == (len(DATA), first['digest'])


@pytest.mark.parametrize('options', [['--salt=0102'], ['--hash-alg=sha512'], ['--block-size=1024']])
def test_other_measurement(folder, options):
    """A digest that is not ours is none."""
    before = build(folder)
    if subprocess.run(['fsverity', 'enable', *options, os.path.join(folder, 'tree', 'large')], check=False,
                      capture_output=True).returncode:
        pytest.skip('not here: fsverity enable ' + options[0])
    after = build(folder)
    assert (after['bytes'], after['digest']) == (len(DATA), before['digest'])


def test_copies(folder):
    """Objects with fs-verity stay so between stores, as links too."""
    cairn(folder, 'build', 'tree', '--store', 'store', '--name', 'x')
    for option, to in (('--quiet', 'one'), ('--hardlink', 'two')):
        cairn(folder, 'copy', 'x', '--from', 'store', '--to', to, option)
        for parent, _, names in os.walk(os.path.join(folder, to, 'objects')):
            for name in names:
                measured = subprocess.run(['fsverity', 'measure', os.path.join(parent, name)], check=True,
                                          capture_output=True).stdout.decode()
                assert measured.startswith('sha256:' + os.path.basename(parent) + name)
    cairn(folder, 'export-dir', 'x', 'out', '--store', 'two')
    with open(os.path.join(folder, 'out', 'large'), 'rb') as f:
        assert f.read() == DATA
