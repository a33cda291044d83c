# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Every command has a manual page that names each of its options, and completions that work."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from programs import BUILD, SOURCE, output, run  # noqa: E402

OPTIONS = [json.loads(line) for line in output('cairn', 'help', '--json').splitlines()]
COMMANDS = list(dict.fromkeys(o['command'] for o in OPTIONS))


def page_of(command):
    """`store init` has the page cairn-store-init."""
    return 'cairn-' + command.replace(' ', '-')


def page(name):
    with open(os.path.join(SOURCE, 'man', name + '.1'), encoding='utf-8') as f:
        return f.read()


@pytest.mark.parametrize('command', COMMANDS)
def test_page_names_exactly_the_options(command):
    heads = [line for line in page(page_of(command)).split('\n') if re.match(r'\.It .*Fl ', line)]
    named = set(re.findall(r'Fl -([a-z-]+)', ' '.join(heads)))
    letters = set(re.findall(r'Fl ([a-zA-Z])\b', ' '.join(heads)))
    here = [o for o in OPTIONS if o['command'] == command]
    assert named == {o['option'] for o in here}
    assert letters == {o['short'] for o in here if o['short']}


@pytest.mark.parametrize('command', COMMANDS)
def test_page_agrees_with_help(command):
    text = page(page_of(command))
    assert f'.Dt {page_of(command).upper()} 1\n' in text
    assert f'.Xr {page_of(command)} 1' in page('cairn')
    assert run('cairn', *command.split(), '-h').stdout == run('cairn', 'help', *command.split()).stdout
    installed = open(os.path.join(SOURCE, 'man', 'meson.build'), encoding='utf-8').read()
    assert f"'{page_of(command)}.1'" in installed


def test_mount_options_are_in_page():
    helped = run('cairn', 'mount', '-h').stdout.decode().split('Mount options', 1)[1]
    words = re.findall(r'\b(?:basedir|digest|(?:no|try)?verity|upperdir|workdir|ro|rw|idmap|nosuid|'
                       r'nodev|noexec|noatime|statfs)\b', helped)
    text = page('cairn-mount')
    for word in set(words):
        assert re.search(rf'\.It Cm .*\b{word}\b', text), word


@pytest.mark.parametrize('name', ['cairn'] + [page_of(c) for c in COMMANDS])
def test_page_is_sound(name):
    path = os.path.join(SOURCE, 'man', name + '.1')
    if shutil.which('mandoc'):
        said = subprocess.run(['mandoc', '-T', 'lint', '-W', 'warning', path], check=False,
                              capture_output=True, text=True)
        assert (said.stdout, said.stderr, said.returncode) == ('', '', 0)
    elif shutil.which('groff'):
        said = subprocess.run(['groff', '-mandoc', '-ww', '-z', path], check=False,
                              capture_output=True, text=True)
        assert (said.stderr, said.returncode) == ('', 0)
    else:
        pytest.skip('neither mandoc nor groff')


# --- completions ----------------------------------------------------------------------------------

@pytest.mark.parametrize('shell, place', [('bash', 'cairn.bash'), ('zsh', '_cairn'),
                                          ('fish', 'cairn.fish')])
def test_completion_is_up_to_date_and_parses(shell, place, tmp_path):
    with open(os.path.join(BUILD, 'cli', place), 'rb') as f:
        built = f.read()
    assert built == output('cairn', 'completion', shell)
    for o in OPTIONS:
        assert o['option'].encode() in built
    if shutil.which(shell):
        (tmp_path / 'script').write_bytes(built)
        subprocess.run([shell, '-n', tmp_path / 'script'], check=True)


COMPLETE = r'''
source "$1"; shift
compopt() { :; }
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
_cairn
printf '%s\n' "${COMPREPLY[@]}"
'''


def bash_completes(*words, cwd=None):
    result = subprocess.run(['bash', '-c', COMPLETE, 'bash', os.path.join(BUILD, 'cli', 'cairn.bash'),
                             *words], check=True, capture_output=True, text=True, cwd=cwd)
    assert result.stderr == ''
    return set(result.stdout.split('\n')) - {''}


def test_bash_completion(tmp_path):
    (tmp_path / 'a dir').mkdir()
    (tmp_path / 'a file').touch()
    assert bash_completes('cairn', '') == {c.split()[0] for c in COMMANDS}
    assert bash_completes('cairn', 'di') == {'digest', 'diff'}
    assert bash_completes('cairn', 'build', '--form') == {'--format'}
    assert bash_completes('cairn', 'build', '--alg', '') == {'sha256', 'sha512'}
    assert bash_completes('cairn', 'build', '--alg', '=') == {'sha256', 'sha512'}
    assert bash_completes('cairn', 'build', '--alg', '=', 'sha5') == {'sha512'}
    assert bash_completes('cairn', 'build', 'a', cwd=tmp_path) == {'a dir', 'a file'}
    assert bash_completes('cairn', 'build', '-s', 'a', cwd=tmp_path) == {'a dir'}
    assert bash_completes('cairn', 'umount', '', cwd=tmp_path) == {'a dir'}
    assert bash_completes('cairn', 'mount', 'x', '', cwd=tmp_path) == {'a dir'}
    assert bash_completes('cairn', 'ls', 'x', '', cwd=tmp_path) == set()
    assert bash_completes('cairn', 'help', 'ver') == {'version'}
    assert bash_completes('cairn', 'completion', '') == {'bash', 'zsh', 'fish'}
