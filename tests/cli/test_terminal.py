# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""The program at a terminal: progress, Ctrl-C, images are not for the screen; and behind a pipe."""

import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from programs import GOLDEN, program  # noqa: E402

CLEAR = b'\r\x1b[K'


class Session:
    """cairn in the foreground of a terminal of its own."""

    def __init__(self, *args):
        self.text = b''
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(program('cairn'), ['cairn', *map(str, args)])

    def read_until(self, wanted, seconds=60):
        """Reads until @wanted was printed (None: until the end)."""
        end = time.monotonic() + seconds
        while wanted is None or wanted not in self.text:
            if time.monotonic() >= end:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError(self.text)
            if not select.select([self.fd], [], [], 1)[0]:
                continue
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # the other end is closed
                data = b''
            if not data:
                break
            self.text += data

    def end(self):
        """What was printed in all, and the status as subprocess has it."""
        self.read_until(None)
        os.close(self.fd)
        return self.text, os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def large(tmp_path):
    """A directory that takes long to read, and no room."""
    folder = tmp_path / 'large'
    folder.mkdir()
    with open(folder / 'file', 'wb') as f:
        f.truncate(1 << 40)
    return folder


@pytest.mark.parametrize('args', [
    ['digest', '{}'],
    ['build', '{}', '-o', '{}/../image', '--store', '{}/../store'],
    ['diff', '{}', '{}'],
])
def test_progress_then_interrupt(args, large):
    session = Session(*[a.format(large) for a in args])
    session.read_until(b'\x1b[K')
    assert session.text.startswith(b'\rreading: ')
    assert b'/s\x1b[K' in session.text
    os.write(session.fd, b'\x03')
    text, status = session.end()
    assert status == -signal.SIGINT
    assert text.replace(b'^C', b'').endswith(CLEAR)
    assert not (large.parent / 'image').exists()
    objects = large.parent / 'store' / 'objects'
    assert not [p for p in objects.rglob('*') if p.is_file()]


def test_quiet_draws_nothing(large):
    session = Session('digest', '-q', large)
    time.sleep(1)
    os.write(session.fd, b'\x03')
    text, status = session.end()
    assert (text.replace(b'^C', b''), status) == (b'', -signal.SIGINT)


def test_ignored_interrupt_stays_ignored(tmp_path):
    (tmp_path / 'file').write_bytes(bytes(100 << 20))
    child = subprocess.Popen([program('cairn'), 'digest', tmp_path], stdout=subprocess.PIPE,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    while child.poll() is None:
        child.send_signal(signal.SIGINT)
        time.sleep(0.01)
    assert child.returncode == 0
    assert len(child.stdout.read()) == 65
    child.stdout.close()


def test_summary_at_a_terminal(tmp_path):
    text, status = Session('build', GOLDEN + '/01-empty-root.dump', '-o', tmp_path / 'image').end()
    first, second, rest = text.split(b'\r\n')
    assert (first, status, rest) == (b'8f589e8f57ecb88823736b0d857ddca1'
                                     b'e1068a23e264fad164b28f7038eb3682', 0, b'')
    assert second.startswith(os.fsencode(tmp_path) + b'/image: V0 sha256, 16.0 KiB, 257 inodes')


def test_no_image_on_a_terminal():
    text, status = Session('build', GOLDEN + '/01-empty-root.dump', '-o', '-').end()
    assert b'will not write an image to a terminal' in text
    assert b'\0' not in text
    assert status == 2


def test_broken_pipe_ends_by_its_signal(tmp_path):
    for i in range(2000):
        (tmp_path / f'{i:0>200}').touch()
    with subprocess.Popen([program('cairn'), 'dump', tmp_path], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE,
                          preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL)) as child:
        child.stdout.read(1)
        child.stdout.close()
        assert child.stderr.read() == b''
    assert child.returncode == -signal.SIGPIPE


def test_busy_line(tmp_path):
    os.mkfifo(tmp_path / 'fifo')
    session = Session('measure', tmp_path / 'fifo')
    with open(tmp_path / 'fifo', 'wb') as f:
        session.read_until(b'measuring: 2 s\x1b[K')
        f.write(b'hello world\n')
    text, status = session.end()
    lines, result = text.rsplit(CLEAR, 1)
    assert (status, result[:14]) == (0, b'sha256:37061ef')
    assert set(lines.split(b'\x1b[K')) <= {b'\rmeasuring: %d s' % i for i in range(1, 60)} | {b''}
