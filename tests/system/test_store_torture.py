# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Writers, collectors, checkers, mounts and killers on one store at once: nothing that is named or mounted is ever lost.

CAIRN_TORTURE=SECONDS makes it longer, CAIRN_SEED=N repeats one.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from programs import program  # noqa: E402

SECONDS = float(os.environ.get('CAIRN_TORTURE', 20))
SEED = int(os.environ.get('CAIRN_SEED', random.randrange(1 << 32)))
CAIRN = program('cairn')


class Store:
    """A store, and what must hold for it."""

    def __init__(self, path):
        self.path = path
        self.failures = []
        self.counts = {}
        subprocess.run([CAIRN, 'store', 'init', path], check=True, stdout=subprocess.DEVNULL)

    def start(self, *args):
        return subprocess.Popen([CAIRN, *map(str, args), '--store', self.path], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *args, accept=(0,), words=''):
        process = self.start(*args)
        out, err = process.communicate()
        self.counts[args[0]] = self.counts.get(args[0], 0) + 1
        if process.returncode not in accept or (process.returncode and words not in err):
            self.failures.append((args, process.returncode, err))
        return process.returncode, out

    def whole(self, name):
        """The image of this name is one, and all its objects are there and right."""
        _, out = self.run('objects', '--missing', f'ref:{name}')
        if out:
            self.failures.append((name, 'objects are missing', out))
        self.run('check', f'ref:{name}')


def make_tree(path, rng, common):
    """Files of a small set of contents, so that what one throws away another needs."""
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    for i in range(rng.randrange(1, 40)):
        with open(os.path.join(path, str(i)), 'wb') as f:
            f.write(rng.choice(common))


def writer(store, number, rng, common, folder, stop, killing):
    tree = os.path.join(folder, f'tree{number}')
    mine = set()
    while not stop.is_set():
        name = f'w{number}/{rng.randrange(4)}'
        what = rng.random()
        if what < 0.5 or not mine:
            make_tree(tree, rng, common)
            if killing and rng.random() < 0.4:
                process = store.start('build', tree, '--name', name, '-q')
                time.sleep(rng.random() * 0.03)
                process.send_signal(signal.SIGKILL)
                process.communicate()
                # It may have come that far, or not; if so, it is whole.
                if os.path.lexists(os.path.join(store.path, 'images/refs', name)):
                    mine.add(name)
                    store.whole(name)
            elif store.run('build', tree, '--name', name, '-q')[0] == 0:
                mine.add(name)
                store.whole(name)
        elif what < 0.75:
            name = rng.choice(sorted(mine))
            mine.remove(name)
            store.run('untag', name)
        else:
            old = rng.choice(sorted(mine))
            if store.run('tag', '--move', f'ref:{old}', name)[0] == 0:
                mine.add(name)
                store.whole(name)
    for name in mine:
        store.whole(name)


def collector(store, rng, stop, killing):
    while not stop.is_set():
        if killing and rng.random() < 0.4:
            process = store.start('gc', '--wait', 60, '--empty', '-q')
            time.sleep(rng.random() * 0.05)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        else:
            store.run('gc', '--wait', 60, '--empty', '-q')


def files_of(path):
    return {name: open(os.path.join(path, name), 'rb').read() for name in os.listdir(path)}


def mounter(store, rng, common, folder, stop):
    """What is mounted stays, though it has lost its name and collectors go about."""
    tree, mnt = os.path.join(folder, 'mounted'), os.path.join(folder, 'mnt')
    os.mkdir(mnt)
    while not stop.is_set():
        make_tree(tree, rng, common)
        store.run('build', tree, '--name', 'mounted', '-q')
        if store.run('mount', 'ref:mounted', mnt, '--backend', 'kernel', accept=(0, 1, 4))[0]:
            return  # cannot mount here: test_mounted_stays says so
        store.run('untag', 'mounted')
        time.sleep(rng.random())
        if files_of(mnt) != files_of(tree):
            store.failures.append(('mounted', os.listdir(mnt), os.listdir(tree)))
        subprocess.run(['umount', mnt], check=True)


def checker(store, stop):
    """Nothing is damaged at any moment; of those that are killed there may be leftovers."""
    while not stop.is_set():
        store.run('fsck', '-q')


def objects_in(path):
    return sum(len(names) for _, _, names in os.walk(os.path.join(path, 'objects')))


@pytest.mark.parametrize('killing', [False, True], ids=['alive', 'killed'])
def test_all_at_once(killing, tmp_path):
    rng = random.Random(SEED)
    print(f'CAIRN_SEED={SEED}')
    common = [bytes([rng.randrange(256)]) * rng.randrange(65, 20000) for _ in range(60)]
    store = Store(str(tmp_path / 'store'))
    stop = threading.Event()
    threads = [threading.Thread(target=writer, args=(store, i, random.Random(rng.random()), common,
                                                     str(tmp_path), stop, killing))
               for i in range(8)]
    threads += [threading.Thread(target=collector, args=(store, random.Random(rng.random()), stop,
                                                         killing)) for _ in range(2)]
    threads.append(threading.Thread(target=checker, args=(store, stop)))
    threads.append(threading.Thread(target=mounter, args=(store, random.Random(rng.random()), common,
                                                          str(tmp_path), stop)))
    for thread in threads:
        thread.start()
    end = time.monotonic() + SECONDS / 2
    while time.monotonic() < end and not store.failures:
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    print(store.counts)
    assert not store.failures, store.failures[:3]
    assert store.counts['gc'] > 2 and store.counts['build'] > 10 and store.counts['fsck'] > 2

    # With nobody at work only what is named stays, and nothing of those who died.
    store.run('gc', '--empty')
    needed = set()
    for line in subprocess.run([CAIRN, 'refs', '--json', '--store', store.path], check=True,
                               stdout=subprocess.PIPE, text=True).stdout.splitlines():
        ref = json.loads(line)
        needed.add(ref['object'])
        store.whole(ref['ref'])
        needed |= set(subprocess.run([CAIRN, 'objects', 'ref:' + ref['ref'], '--store', store.path],
                                     check=True, stdout=subprocess.PIPE, text=True).stdout.split())
    assert objects_in(store.path) == len(needed)
    assert not store.failures
    # A file that its owner did not live to name is kept for a minute.
    leases = os.listdir(os.path.join(store.path, 'cairn/leases'))
    assert [name for name in leases if name[0] != '.'] == ['gate']
    assert os.listdir(os.path.join(store.path, 'cairn/trash')) == []


def test_stranger(tmp_path):
    """A tool that knows only the lock: what it may have seen stays until it goes."""
    store = Store(str(tmp_path / 'store'))
    make_tree(tmp_path / 'tree', random.Random(SEED), [b'x' * 100, b'y' * 100])
    store.run('build', tmp_path / 'tree', '--name', 'a')
    store.run('untag', 'a')
    before = objects_in(store.path)
    fd = os.open(store.path, os.O_RDONLY)
    import fcntl
    fcntl.flock(fd, fcntl.LOCK_SH)
    start = time.monotonic()
    status, out = store.run('gc', '--empty', '--wait', 1, '--json', accept=(1,), words='has it locked')
    assert time.monotonic() - start < 10
    assert json.loads(out)['blocked'] and json.loads(out)['removed'] == before
    assert objects_in(store.path) == before
    os.close(fd)
    store.run('gc', '--empty')
    assert objects_in(store.path) == 0

    # And one that collects: who wants to add waits for it, who reads does not.
    fd = os.open(store.path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    store.run('refs')
    process = store.start('build', tmp_path / 'tree', '--name', 'a')
    time.sleep(0.5)
    assert process.poll() is None
    os.close(fd)
    process.communicate()
    assert process.returncode == 0
    assert not store.failures


def test_mounted_stays(tmp_path):
    """What is mounted is kept, whatever its name has become."""
    store = Store(str(tmp_path / 'store'))
    make_tree(tmp_path / 'tree', random.Random(SEED), [b'x' * 100, b'y' * 100])
    store.run('build', tmp_path / 'tree', '--name', 'a')
    (tmp_path / 'mnt').mkdir()
    status, _ = store.run('mount', 'ref:a', tmp_path / 'mnt', '--backend', 'kernel', accept=(0, 1, 4))
    if status:
        pytest.skip('cannot mount here')
    store.run('untag', 'a')
    before = objects_in(store.path)
    store.run('gc', '--empty')
    assert objects_in(store.path) == before
    names = sorted(os.listdir(tmp_path / 'tree'))
    assert sorted(os.listdir(tmp_path / 'mnt')) == names
    for name in names:
        assert (tmp_path / 'mnt' / name).read_bytes() == (tmp_path / 'tree' / name).read_bytes()
    subprocess.run(['umount', tmp_path / 'mnt'], check=True)
    store.run('gc', '--empty')
    assert objects_in(store.path) == 0
    assert not store.failures
