# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Transcripts: what a user types, and all that comes back.

A *.t file is prose with indented sessions:

    Text at the margin is for people.

      $ cairn check image
      > second line of the same command
      what it prints on standard output
      2> what it prints on standard error
      a line with [0-9]+ (re)
      [3]

`[N]` is the exit status when it is not 0; a line that ends in ` (re)` is a regular expression. All
commands of a file run in one empty directory, one after the other, by bash; $GOLDEN is the directory
of the golden vectors, and the programs of the build come first in PATH.

CAIRN_BLESS=1 writes what the commands do now into the files (regular expressions that still match
stay); look at the difference before you commit it.
"""

import glob
import os
import re
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'lib'))
from programs import BUILD, GOLDEN, ROOM  # noqa: E402

INDENT = '  '


def steps(lines):
    """Yields (command or None, lines): prose has no command, a command's lines are what it prints."""
    command, block = None, []
    for line in lines:
        start = line.startswith(INDENT + '$ ')
        if start or (command is not None and not line.startswith(INDENT)):
            yield command, block
            command, block = None, []
        if start:
            command = line[len(INDENT) + 2:]
        elif command is not None and not block and line.startswith(INDENT + '> '):
            command += '\n' + line[len(INDENT) + 2:]
        else:
            block.append(line)
    yield command, block


def run(command, folder):
    rooms = sorted({os.path.join(BUILD, room) for room in [*ROOM.values(), 'dropin']})
    environ = dict(os.environ, LC_ALL='C', TZ='UTC', GOLDEN=GOLDEN, TMP=str(folder),
                   CAIRN_STORE='nowhere',
                   PATH=os.pathsep.join([*rooms, os.environ['PATH']]))
    result = subprocess.run(['bash', '-c', command], cwd=folder, env=environ, timeout=120,
                            stdin=subprocess.DEVNULL, capture_output=True, check=False)
    printed = []
    for prefix, data in (('', result.stdout), ('2> ', result.stderr)):
        text = data.decode('utf-8', 'backslashreplace').replace(str(folder), '$TMP')
        text = text.replace(GOLDEN, '$GOLDEN')
        if text and not text.endswith('\n'):
            text += ' (no end of line)\n'
        printed += [INDENT + prefix + line for line in text.split('\n')[:-1]]
    if result.returncode:
        printed.append(f'{INDENT}[{result.returncode}]')
    return printed


def same(want, got):
    if want.endswith(' (re)'):
        return re.fullmatch(want[:-len(' (re)')], got) is not None
    return want == got


def settle(want, got):
    """@got, with the regular expressions of @want in the place of lines that they match."""
    if len(want) != len(got):
        patterns = [w for w in want if w.endswith(' (re)')]
        return [next((p for p in patterns if same(p, g)), g) for g in got]
    return [w if same(w, g) else g for w, g in zip(want, got)]


@pytest.mark.parametrize('name', sorted(os.path.basename(p)
                                        for p in glob.glob(os.path.join(HERE, '*.t'))))
def test_transcript(name, tmp_path):
    path = os.path.join(HERE, name)
    with open(path, encoding='utf-8') as f:
        before = f.read().split('\n')

    after = []
    for command, want in steps(before):
        if command is None:
            after += want
            continue
        first, *more = command.split('\n')
        after.append(INDENT + '$ ' + first)
        after += [INDENT + '> ' + line for line in more]
        after += settle(want, run(command, tmp_path))

    if os.environ.get('CAIRN_BLESS'):
        if after != before:
            with open(path, 'w', encoding='utf-8') as f:
                f.write('\n'.join(after))
    else:
        assert after == before
