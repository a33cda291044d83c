# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Dump text that is long enough to be parsed in pieces: nothing depends on the number of threads."""

import os
import subprocess

import pytest

GENDUMP = os.environ['CAIRN_BUILD'] + '/tests/bench/gendump'


def run(*argv, stdin=None):
    done = subprocess.run(argv, stdin=stdin, capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr


def each_way(path, image):
    """What `cairn build` says and writes, with one thread, several, and from a pipe."""
    for jobs in '1', '2', '8':
        said = run('cairn', 'build', path, '-o', image, '--jobs', jobs)
        yield *said, image.read_bytes() if image.exists() else None
        image.unlink(missing_ok=True)
    with subprocess.Popen(['cat', path], stdout=subprocess.PIPE) as cat:
        said = run('cairn', 'build', '-', '-o', image, stdin=cat.stdout)
    yield *said, image.read_bytes() if image.exists() else None
    image.unlink(missing_ok=True)


def same(path, image):
    first, *others = [(status, out, err.replace(b'standard input', bytes(path)), data)
                      for status, out, err, data in each_way(path, image)]
    for other in others:
        assert other == first
    return first


@pytest.mark.parametrize('shape', ['system', 'plain', 'flat', 'links'])
def test_shapes(shape, tmp_path):
    text = tmp_path / 'text'
    text.write_bytes(run(GENDUMP, shape, '9000')[1])
    assert text.stat().st_size > 2 << 18
    status, _, err, image = same(text, tmp_path / 'image')
    assert (status, err) == (0, b'') and image


def test_a_mistake_is_told_the_same(tmp_path):
    text = tmp_path / 'text'
    lines = run(GENDUMP, 'system', '9000')[1].splitlines(keepends=True)
    for at in 2, 4000, 7000, 8999:
        text.write_bytes(b''.join(lines[:at] + [b'/x y z\n'] + lines[at:]))
        status, _, err, _ = same(text, tmp_path / 'image')
        assert status == 1 and b'line %d, MODE: ' % (at + 1) in err
    # Of two mistakes the first, also when a name that is there twice comes out late.
    text.write_bytes(b''.join(lines[:8000] + [lines[300]] + lines[8000:] + [b'/x y z\n']))
    status, _, err, _ = same(text, tmp_path / 'image')
    assert status == 1 and b'line 8001, PATH: ' in err


def test_long_lines(tmp_path):
    """Lines longer than a piece, that leave pieces without a beginning of a line."""
    text = tmp_path / 'text'
    lines = run(GENDUMP, 'system', '3000')[1].splitlines(keepends=True)
    long = b'/./' + b'/' * 900000 + b'long' + lines[1][lines[1].index(b' '):]
    long = long.replace(b'/./', b'//', 1)
    text.write_bytes(b''.join(lines[:1000] + [long] + lines[1000:]))
    status, _, err, _ = same(text, tmp_path / 'image')
    assert (status, err) == (0, b'')
    # Above the ceiling of 4 MiB.
    long = b'/' * (5 << 20) + long
    text.write_bytes(b''.join(lines[:1000] + [long] + lines[1000:]))
    status, _, err, _ = same(text, tmp_path / 'image')
    assert status == 1 and b'line 1001: ' in err


def test_the_rest_of_a_file(tmp_path):
    """Text begins where the descriptor stands, and is read to its end."""
    text = tmp_path / 'text'
    text.write_bytes(b'x' * 1000 + run(GENDUMP, 'system', '9000')[1])
    digests = set()
    for jobs in '1', '2':
        fd = os.open(text, os.O_RDONLY)
        os.lseek(fd, 1000, os.SEEK_SET)
        status, out, err = run('cairn', 'digest', '-', '--jobs', jobs, stdin=fd)
        assert (status, err) == (0, b'')
        assert os.lseek(fd, 0, os.SEEK_CUR) == text.stat().st_size
        digests.add(out)
        os.close(fd)
    assert len(digests) == 1
