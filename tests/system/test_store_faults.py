# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
# not sanitised: the library that makes calls fail must be loaded before the sanitiser, which forbids that
"""Every call that changes a store fails once, or is the last one of its process (tests/lib/faults.c).

Whatever happens, the store is in order afterwards: fsck finds nothing but leftovers, what was named before is
named still and whole, what was reported as done is there, and doing it again works.
"""

import errno
import os
import random
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from programs import BUILD, program  # noqa: E402

CAIRN = program('cairn')
FAULTS = os.path.join(BUILD, 'tests', 'lib', 'libfaults.so')
LONG = bool(os.environ.get('CAIRN_TORTURE'))
SEED = int(os.environ.get('CAIRN_SEED', random.randrange(1 << 32)))

pytestmark = pytest.mark.skipif(not os.path.exists(FAULTS), reason='no libfaults.so: a sanitised build')


def cairn(*args, **more):
    return subprocess.run([CAIRN, *map(str, args)], capture_output=True, text=True, check=False, **more)


def clean(store, what):
    """Clean, or only leftovers; and the name that was there before is whole."""
    result = cairn('fsck', '--store', store)
    assert result.returncode == 0, (what, result.stdout, result.stderr)
    for name in cairn('refs', '--store', store).stdout.split('\n'):
        if name:
            ref = 'ref:' + name.split()[0]
            result = cairn('objects', '--missing', ref, '--store', store)
            assert (result.returncode, result.stdout) == (0, ''), (what, ref, result)
    return {line.split()[0]: line.split()[1] for line in
            cairn('refs', '--store', store).stdout.splitlines()}


def steps(count):
    """Which of the calls: all of them in the long run, else some, the same number for each operation."""
    every = list(range(1, count + 1))
    if LONG or count <= 8:
        return every
    return sorted(random.Random(SEED).sample(every, 6) + [1, count])


class Case:
    """A store with one image under the name `old`, and an operation on a copy of it."""

    def __init__(self, folder):
        self.folder = folder
        self.base = folder / 'base'
        self.store = folder / 'store'
        self.tree = folder / 'tree'
        for name in ('other', 'tree'):
            (folder / name).mkdir()
        for i in range(4):
            (folder / 'other' / str(i)).write_bytes(bytes([i]) * (1000 + i))
            (self.tree / str(i)).write_bytes(bytes([i + 2]) * (1000 + i + 2))
        assert cairn('build', folder / 'other', '--name', 'old', '--store', self.base).returncode == 0
        assert cairn('build', self.tree, '--name', 'gone', '--store', self.base).returncode == 0
        shutil.copytree(self.base, folder / 'good', symlinks=True)
        assert cairn('untag', 'gone', '--store', self.base).returncode == 0

    def command(self, operation):
        return {
            'init': ['store', 'init', self.folder / 'new'],
            'build': ['build', self.tree, '--name', 'a/b', '-j', 1, '--store', self.store],
            'tag': ['tag', 'old', 'x/y', '--store', self.store],
            'move': ['build', self.tree, '--name', 'old', '-j', 1, '--store', self.store],
            'untag': ['untag', 'old', '--store', self.store],
            'gc': ['gc', '--store', self.store],
            'repair': ['fsck', '--repair', '--from', self.folder / 'good', '-j', 1, '--store', self.store],
        }[operation]

    def fresh(self, operation):
        shutil.rmtree(self.store, ignore_errors=True)
        shutil.rmtree(self.folder / 'new', ignore_errors=True)
        shutil.copytree(self.base, self.store, symlinks=True)
        if operation == 'repair':
            objects = sorted((self.store / 'objects').glob('*/*'))
            objects[0].chmod(0o644)
            os.truncate(objects[0], 10)
            objects[1].unlink()

    def run(self, operation, at, error=None, stay=False):
        self.fresh(operation)
        environ = dict(os.environ, LD_PRELOAD=FAULTS, FAULTS_AT=str(at),
                       FAULTS_COUNT=str(self.folder / 'count'))
        environ['FAULTS_ERRNO'] = 'KILL' if error is None else str(error)
        if stay:
            environ['FAULTS_STAY'] = '1'
        return cairn(*self.command(operation), env=environ)

    def count(self, operation):
        result = self.run(operation, 0)
        assert result.returncode == 0, (operation, result.stdout, result.stderr)
        return int((self.folder / 'count').read_text())

    def check(self, operation, done, what):
        if operation == 'init':
            if done:
                assert cairn('fsck', '--store', self.folder / 'new').returncode == 0
        else:
            if operation == 'repair' and not done:
                # What was not mended is as damaged as before, not more; mended by the next one.
                assert cairn(*self.command(operation)).returncode == 0, what
            refs = clean(self.store, what)
            assert (operation == 'untag') or 'old' in refs, what
            if done:
                assert ('a/b' in refs) == (operation == 'build'), what
                assert ('x/y' in refs) == (operation == 'tag'), what
                assert ('old' in refs) == (operation != 'untag'), what
        # Again, without a fault.
        again = cairn(*self.command(operation))
        if operation != 'untag':
            assert again.returncode == 0, (what, again.stdout, again.stderr)
        if operation != 'init':
            clean(self.store, what)
            assert cairn('gc', '--empty', '--store', self.store).returncode == 0, what
            clean(self.store, what)
            assert cairn('fsck', '--store', self.store, '-q').stdout == '', what


OPERATIONS = ['init', 'build', 'tag', 'move', 'untag', 'gc', 'repair']


@pytest.mark.parametrize('operation', OPERATIONS)
def test_killed_at_every_step(operation, tmp_path):
    print(f'CAIRN_SEED={SEED}')
    case = Case(tmp_path)
    for at in steps(case.count(operation)):
        result = case.run(operation, at)
        assert result.returncode == -9, (operation, at, result)
        case.check(operation, False, (operation, at, 'killed'))


@pytest.mark.parametrize('operation', OPERATIONS)
def test_every_call_fails(operation, tmp_path):
    print(f'CAIRN_SEED={SEED}')
    case = Case(tmp_path)
    errors = [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT]
    for at in steps(case.count(operation)):
        error = errors[at % len(errors)]
        result = case.run(operation, at, error, stay=at % 2 == 0)
        what = (operation, at, errno.errorcode[error], result.stdout, result.stderr)
        assert result.returncode in (0, 1, 3), what
        assert result.returncode == 0 or result.stderr or operation == 'repair', what
        case.check(operation, result.returncode == 0, what)
