# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""The cache of a store: an unchanged file is not read again, and a changed one always."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from programs import STRACE, program, run  # noqa: E402

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason='not root')

SETTLE = 0.1  # longer than the slowest clock's tick


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'tree' / 'd').mkdir(parents=True)
    for i in range(40):
        (tmp_path / 'tree' / 'd' / f'{i}').write_bytes(b'%d ' % i * (100 + 1000 * i))
    (tmp_path / 'tree' / 'inline').write_bytes(b'hello')
    (tmp_path / 'tree' / 'link').symlink_to('inline')
    time.sleep(SETTLE)
    return tmp_path


def build(folder, *options, status=0):
    done = run('cairn', 'build', '--json', 'tree', '-o', 'image', '--store', 'store', *options, cwd=folder)
    assert done.returncode == status, done
    return json.loads(done.stdout) if status == 0 else done.stderr.decode()


def plain(folder):
    """The digest without store and cache."""
    return run('cairn', 'digest', 'tree', cwd=folder).stdout.decode().split()[0]


def test_unchanged(folder):
    first = build(folder)
    assert (first['files'], first['cached'], first['new_objects']) == (41, 0, 40)
    again = build(folder)
    assert (again['files'], again['cached'], again['bytes']) == (41, 41, 0)
    assert again['digest'] == first['digest'] == plain(folder)
    for option in ('--no-cache', '--verify-cache'):
        other = build(folder, option)
        assert (other['cached'], other['digest']) == (0, first['digest'])
        assert other['bytes'] == first['bytes']


def test_no_file_is_opened(folder):
    build(folder)
    trace = folder / 'trace'
    done = subprocess.run([*STRACE, trace, '-e', 'trace=openat,open,openat2', program('cairn'), 'build',
                           'tree', '-o', 'image', '--store', 'store'], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done
    opened = [line for line in trace.read_text().split('\n') if 'O_NOATIME' in line or '"39"' in line]
    assert opened == []


CHANGES = {
    'content': lambda t: (t / 'd' / '7').write_bytes(b'7x' * 3550),
    'mode': lambda t: os.chmod(t / 'd' / '7', 0o600),
    'xattr': lambda t: os.setxattr(t / 'd' / '7', 'user.a', b'1'),
    'xattr of a directory': lambda t: os.setxattr(t / 'd', 'user.a', b'1'),
    'rename': lambda t: os.rename(t / 'd' / '7', t / 'seven'),
    'exchange': lambda t: (os.rename(t / 'd' / '7', t / 'x'), os.rename(t / 'd' / '8', t / 'd' / '7'),
                           os.rename(t / 'x', t / 'd' / '8')),
    'directory renamed': lambda t: os.rename(t / 'd', t / 'e'),
    'hard link': lambda t: os.link(t / 'd' / '7', t / 'seven'),
    'removed': lambda t: os.unlink(t / 'd' / '7'),
    'link': lambda t: (os.unlink(t / 'link'), (t / 'link').symlink_to('elsewh')),
}


@pytest.mark.parametrize('name', CHANGES)
def test_changed(folder, name):
    build(folder)
    CHANGES[name](folder / 'tree')
    assert build(folder)['digest'] == plain(folder)
    # And what was noted is right.
    time.sleep(SETTLE)
    build(folder)
    assert build(folder, '--verify-cache')['digest'] == plain(folder)


def test_same_size_and_time(folder):
    """Times can be set, but not that of the last change."""
    build(folder)
    path = folder / 'tree' / 'd' / '9'
    st = os.stat(path)
    path.write_bytes(b'X' * st.st_size)
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))
    assert build(folder)['digest'] == plain(folder)


def test_too_fresh(folder):
    """A second change within the tick of the clock has the same ctime: what is fresh is not kept."""
    path = folder / 'tree' / 'd' / '9'
    for i in range(20):
        path.write_bytes(b'%c' % (65 + i) * 5000)
        build(folder)
        path.write_bytes(b'%c' % (97 + i) * 5000)
        assert build(folder)['digest'] == plain(folder)


def objects(folder):
    return [p for p in (folder / 'store' / 'objects').glob('*/*') if p.is_file()]


def test_objects_gone(folder):
    """An entry counts only if the object is there."""
    first = build(folder)
    for path in objects(folder)[:5]:
        path.unlink()
    again = build(folder)
    assert (again['new_objects'], again['digest']) == (5, first['digest'])
    assert len(objects(folder)) == 40
    for path in objects(folder):
        path.unlink()
    assert build(folder)['new_objects'] == 40


def cache_of(folder):
    found = list((folder / 'store' / 'cairn' / 'cache').iterdir())
    assert len(found) == 1
    return found[0]


def test_bad_cache(folder):
    first = build(folder)
    cache = cache_of(folder)
    assert cache.stat().st_mode == 0o100600
    good = cache.read_bytes()
    for data in (b'', b'x', good[:1000], good[:-1], good[:200] + b'x' + good[201:], good + b'x'):
        cache.write_bytes(data)
        assert build(folder)['digest'] == first['digest']
        assert cache.read_bytes() == good or len(cache.read_bytes()) == len(good)
    # Others could have written it.
    cache.chmod(0o666)
    assert build(folder)['cached'] == 0
    # Never through a link.
    cache.unlink()
    (folder / 'elsewhere').write_bytes(good)
    cache.symlink_to(folder / 'elsewhere')
    assert build(folder)['cached'] == 0
    assert (folder / 'elsewhere').read_bytes() == good
    subprocess.run(['rm', '-r', folder / 'store' / 'cairn'], check=True)
    assert build(folder)['digest'] == first['digest']


def test_options_do_not_mix(folder):
    os.setxattr(folder / 'tree' / 'd' / '3', 'trusted.x' if os.geteuid() == 0 else 'user.x', b'1')
    time.sleep(SETTLE)
    digests = [build(folder, *options)['digest'] for options in ((), ('--skip-xattrs',), ('--user-xattrs',))]
    for options, digest in zip(((), ('--skip-xattrs',), ('--user-xattrs',)), digests):
        again = build(folder, *options)
        assert (again['cached'], again['digest']) == (41, digest)


def test_number_is_bounded(folder):
    for i in range(70):
        os.makedirs(folder / 'trees' / f'{i}')
        done = run('cairn', 'build', '-q', f'trees/{i}', '-o', 'image', '--store', 'store', cwd=folder)
        assert done.returncode == 0
    assert len(list((folder / 'store' / 'cairn' / 'cache').iterdir())) == 64


def test_killed_and_concurrent(folder):
    digest = plain(folder)
    command = [program('cairn'), 'build', '-q', 'tree', '--store', 'store', '-o']
    for i in range(12):
        runs = [subprocess.Popen([*command, f'image{j}'], cwd=folder, stdout=subprocess.PIPE) for j in range(3)]
        time.sleep(0.002 * i)
        runs[0].send_signal(signal.SIGKILL if i % 2 else signal.SIGINT)
        printed = [p.communicate()[0].decode().strip() for p in runs]
        assert printed[1:] == [digest, digest]
    assert len(list((folder / 'store' / 'cairn' / 'cache').iterdir())) == 1
    assert build(folder, '--verify-cache')['digest'] == digest


def test_collections(folder):
    """What is taken from the cache without a look is not collected, or made again."""
    (folder / 'small').mkdir()
    cairn = program('cairn')

    def run_cairn(*args):
        done = subprocess.run([cairn, *args, '--store', 'store'], cwd=folder, capture_output=True, check=False)
        assert done.returncode == 0, done
        return done.stdout.decode()

    run_cairn('build', 'small', '--name', 'kept', '-q')
    first = run_cairn('build', 'tree', '--name', 'x', '-q')
    time.sleep(SETTLE)
    run_cairn('build', 'tree', '--name', 'x', '-q')
    for i in range(12):
        run_cairn('untag', 'x')
        collector = subprocess.Popen([cairn, 'gc', '--store', 'store'], cwd=folder, stdout=subprocess.DEVNULL)
        time.sleep(0.004 * i)
        assert run_cairn('build', 'tree', '--name', 'x', '-q') == first
        assert collector.wait() == 0
        assert run_cairn('missing', 'ref:x') == ''
        run_cairn('build', 'tree', '--name', 'x', '-q')
    run_cairn('untag', 'x')
    run_cairn('gc')
    assert len(objects(folder)) < 5


@needs_root
def test_changed_behind_the_kernel(folder):
    """The bytes on the device change, the times do not: only --verify-cache can find that."""
    disk, where = folder / 'disk', folder / 'tree'
    subprocess.run(['rm', '-r', where], check=True)
    where.mkdir()
    with open(disk, 'wb') as f:
        f.truncate(16 << 20)
    subprocess.run(['mkfs.ext4', '-q', '-F', disk], check=True, capture_output=True)

    def mount():
        if subprocess.run(['mount', '-o', 'loop', disk, where], capture_output=True, check=False).returncode:
            pytest.skip('cannot mount')

    mount()
    try:
        (where / 'file').write_bytes(b'the old words ' * 1000)
        (where / 'other').write_bytes(b'other words ' * 1000)
        time.sleep(SETTLE)
        old = build(folder)
        subprocess.run(['umount', where], check=True)
        disk.write_bytes(disk.read_bytes().replace(b'the old words ', b'the new words '))
        mount()
        # Mounted anew, and still recognised.
        assert build(folder)['cached'] == 2
        assert build(folder)['digest'] == old['digest']
        assert build(folder, '--verify-cache', status=3) == \
            'cairn: build: tree/file: is not what the cache says, and has the times that it had\n'
        new = build(folder)
        assert new['cached'] == 0
        assert new['digest'] == plain(folder) != old['digest']
    finally:
        subprocess.run(['umount', where], check=True)
