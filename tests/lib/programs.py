# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Running the programs of a build, for the tests in Python.

CAIRN_BUILD names the build directory; without it, build/ of this source tree.
"""

import hashlib
import os
import shutil
import subprocess

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get('CAIRN_BUILD') or os.path.join(SOURCE, 'build')
GOLDEN = os.path.join(SOURCE, 'tests', 'golden')
ROOM = {'cairn': 'cli'}
# The leak sanitiser cannot work in a process that is traced. The name of the trace follows.
STRACE = ['strace', '-E', 'ASAN_OPTIONS=abort_on_error=1:detect_leaks=0', '-f', '-o']


def program(name):
    """Path of a program of the build."""
    return os.path.join(BUILD, ROOM.get(name, 'dropin'), name)


def run(name, *args, stdin=b'', env=None, **more):
    """Runs a program of the build; the result has .returncode, .stdout, .stderr (bytes)."""
    environ = dict(os.environ, LC_ALL='C', **(env or {}))
    return subprocess.run([program(name), *map(str, args)], input=stdin, env=environ,
                          capture_output=True, timeout=600, check=False, **more)


def output(name, *args, **more):
    """Standard output of a program that must succeed and say nothing else."""
    result = run(name, *args, **more)
    assert (result.returncode, result.stderr) == (0, b''), (name, args, result)
    return result.stdout


def read(*path):
    with open(os.path.join(*map(str, path)), 'rb') as f:
        return f.read()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def fsck(path):
    """What fsck.erofs says against the image; '' if nothing, or if it is not installed."""
    tool = shutil.which('fsck.erofs', path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin')
    if not tool:
        return ''
    result = subprocess.run([tool, path], capture_output=True, timeout=600, check=False)
    return '' if result.returncode == 0 else f'status {result.returncode}: {result.stderr!r}'
