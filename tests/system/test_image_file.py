# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""The image's file: whatever happens while it is written, it has its name when it is whole, or never."""

import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from programs import program, run  # noqa: E402

GENDUMP = os.environ['CAIRN_BUILD'] + '/tests/bench/gendump'


@pytest.fixture(scope='module')
def text(tmp_path_factory):
    """A dump text that is parsed and written in many pieces."""
    path = tmp_path_factory.mktemp('text') / 'text'
    with open(path, 'wb') as f:
        subprocess.run([GENDUMP, 'system', '60000'], stdout=f, check=True)
    return path


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=2m', 'none', tmp_path],
                                      check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip('cannot mount')
    yield tmp_path
    subprocess.run(['umount', '-l', tmp_path], check=False)


@pytest.mark.parametrize('jobs', ['1', '4'])
def test_full_disk(text, small_disk, jobs):
    done = run('cairn', 'build', text, '-o', 'image', '-j', jobs, cwd=small_disk)
    assert (done.returncode, done.stdout) == (1, b'')
    assert done.stderr == b'cairn: build: image: write the image: No space left on device\n'
    assert os.listdir(small_disk) == []
    # An image that was there stays.
    (small_disk / 'image').write_bytes(b'old')
    assert run('cairn', 'build', text, '-o', 'image', '-j', jobs, cwd=small_disk).returncode == 1
    assert (small_disk / 'image').read_bytes() == b'old'


@pytest.mark.parametrize('jobs', ['1', '4'])
def test_full_pipe(text, jobs):
    """Whoever reads the image goes away: nobody is left to hear of it."""
    with subprocess.Popen([program('cairn'), 'build', text, '-o', '-', '-j', jobs],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_IGN)) as p:
        p.stdout.read(100000)
        p.stdout.close()
        said = p.stderr.read()
    assert (p.returncode, said) == (1, b'')


def test_read_only(text, small_disk):
    subprocess.run(['mount', '-o', 'remount,ro', small_disk], check=True)
    done = run('cairn', 'build', text, '-o', 'image', cwd=small_disk)
    assert (done.returncode, done.stdout) == (1, b'')
    assert done.stderr == b'cairn: build: image: Read-only file system\n'


@pytest.mark.parametrize('how', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted(text, tmp_path, how):
    """At any moment of reading, planning and writing: the first before all of that, so that not all can
    have come too late. One that comes between the last step and the end finds the image there."""
    rng = random.Random(int(how))
    command = [program('cairn'), 'build', '-q', text, '-o', 'image', '-j', '2']
    start = time.monotonic()
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - start
    whole = (tmp_path / 'image').read_bytes()
    seen = set()
    for delay in [0, *(rng.random() * seconds for _ in range(7))]:
        (tmp_path / 'image').unlink(missing_ok=True)
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE,
                              preexec_fn=lambda: signal.signal(how, signal.SIG_DFL)
                              if how != signal.SIGKILL else None) as p:
            time.sleep(delay)
            p.send_signal(how)
            said = p.stderr.read()
        seen.add(p.returncode)
        assert os.listdir(tmp_path) in ([], ['image'])
        if p.returncode == 0 or os.listdir(tmp_path):
            assert (tmp_path / 'image').read_bytes() == whole
        assert said.count(b'\n') <= 1
        assert p.returncode in (0, 1, -how)
    assert seen - {0}


def test_source_changes(text, tmp_path):
    """Lines that are added and taken away while pieces are read: an image, or one sentence."""
    path = tmp_path / 'text'
    path.write_bytes(text.read_bytes())
    size = path.stat().st_size
    done = threading.Event()

    def annoy():
        with open(path, 'r+b') as f:
            while not done.is_set():
                f.truncate(size // 2)
                f.truncate(size)
                f.seek(size)
                f.write(b'/new 0 100644 1 0 0 0 0.0 - - -\n' * 100)
                f.flush()
                f.truncate(size)

    thread = threading.Thread(target=annoy)
    thread.start()
    try:
        for _ in range(10):
            said = run('cairn', 'digest', path, '-j', '3', cwd=tmp_path)
            assert said.returncode in (0, 1)
            assert said.stderr.count(b'\n') == said.returncode
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize('command', [['build', 'tree', '-o'], ['convert', 'tree.tar', '-q', '-o']])
def test_device(tmp_path, command):
    """A device or a pipe takes the bytes and stays what it is: root's /dev/null is not replaced by a file."""
    (tmp_path / 'tree').mkdir()
    (tmp_path / 'tree' / 'f').write_bytes(b'x' * 10000)
    subprocess.run(['tar', '-cf', 'tree.tar', 'tree'], cwd=tmp_path, check=True)
    os.mkfifo(tmp_path / 'pipe')
    os.symlink('pipe', tmp_path / 'link')
    assert run('cairn', *command, 'file', cwd=tmp_path).returncode == 0
    for name in 'pipe', 'link':
        with subprocess.Popen(['cat', tmp_path / 'pipe'], stdout=subprocess.PIPE) as reader:
            done = run('cairn', *command, name, cwd=tmp_path)
            assert (done.returncode, reader.stdout.read()) == (0, (tmp_path / 'file').read_bytes()), done
    assert sorted(os.listdir(tmp_path)) == ['file', 'link', 'pipe', 'tree', 'tree.tar']
    assert (tmp_path / 'pipe').is_fifo() and (tmp_path / 'link').is_symlink()
