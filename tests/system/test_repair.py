# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Mending a store: from web servers, right and wrong ones, from stores and from bare directories of objects."""

import json
import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import refimage  # noqa: E402
from faults import Faults  # noqa: E402
from programs import run  # noqa: E402

LARGE = bytes(range(256)) * 20000  # goes through a partial file


def cairn(*args, status=0):
    done = run('cairn', *args)
    assert done.returncode == status, done
    return done


class Stores:
    """One that is well and served, and its copy, which is hurt."""

    def __init__(self, folder):
        self.folder, self.good, self.hurt = folder, folder / 'good', folder / 'hurt'
        tree = folder / 'tree'
        tree.mkdir()
        for i in range(20):
            (tree / f'{i}').write_bytes(b'%d ' % i * 500)
        (tree / 'large').write_bytes(LARGE)
        cairn('store', 'init', '--insecure', self.good)
        self.image = cairn('build', tree, '--name', 'a', '--store', self.good).stdout.decode().strip()
        shutil.copytree(self.good, self.hurt, symlinks=True)
        self.objects = {p.parent.name + p.name: p.read_bytes() for p in (self.good / 'objects').glob('*/*')}

    def path(self, digest, store='hurt'):
        return self.folder / store / 'objects' / digest[:2] / digest[2:]

    def damage(self, digest):
        self.path(digest).unlink()
        self.path(digest).write_bytes(b'x' * len(self.objects[digest]))

    def lose(self, digest):
        self.path(digest).unlink()

    def served(self):
        return Faults({f'/shop/objects/{d[:2]}/{d[2:]}': data for d, data in self.objects.items()})

    def repair(self, *sources, status=0):
        """What was found, what is left of it, and what was said."""
        options = [word for source in sources for word in ('--from', source)]
        done = cairn('fsck', '--repair', '--json', '--store', self.hurt, *options, status=status)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        found = {line['name']: line['repaired'] for line in lines[:-1]}
        assert (lines[-1]['damage'], lines[-1]['repaired']) == (len(found), sum(found.values()))
        return found, done.stderr.decode()

    def check(self):
        cairn('fsck', '-q', '--store', self.hurt)
        for digest, data in self.objects.items():
            assert self.path(digest).read_bytes() == data
        partial = self.hurt / 'cairn' / 'partial'
        assert not partial.exists() or list(partial.iterdir()) == []


@pytest.fixture
def stores(tmp_path):
    return Stores(tmp_path)


DIGESTS = [refimage.fsverity(b'%d ' % i * 500) for i in range(20)]
BIG = refimage.fsverity(LARGE)


def test_from_a_server(stores):
    for digest in DIGESTS[:6]:
        stores.damage(digest)
    for digest in DIGESTS[6:12] + [BIG]:
        stores.lose(digest)
    with stores.served() as server:
        found, said = stores.repair(server.url + '/shop/')
        asked = {ask.path for ask in server.log}
    assert found == dict.fromkeys(DIGESTS[:12] + [BIG], True) and not said
    # Exactly these.
    assert asked == {f'/shop/objects/{d[:2]}/{d[2:]}' for d in found}
    stores.check()
    assert len(list((stores.hurt / 'cairn' / 'quarantine').iterdir())) == 6


def test_image_that_is_lost(stores):
    """What it needs is known when it is there again, and then may be missing as well."""
    for digest in [stores.image, BIG, DIGESTS[0]]:
        stores.lose(digest)
    assert stores.image in cairn('fsck', '--store', stores.hurt, status=3).stdout.decode()
    with stores.served() as server:
        found, _ = stores.repair(server.url + '/shop')
    assert found == dict.fromkeys([stores.image, BIG, DIGESTS[0]], True)
    stores.check()


@pytest.mark.parametrize('fault', [('status', 404), ('status', 403), ('flip', 100), ('shorter', 1)])
@pytest.mark.parametrize('victim', [DIGESTS[0], BIG])
def test_server_lacks_one(stores, victim, fault):
    """The others are mended, and another server has it."""
    stores.damage(victim)
    stores.lose(DIGESTS[1])
    with stores.served() as server, stores.served() as second:
        server.add(f'/shop/objects/{victim[:2]}/{victim[2:]}', *fault)
        found, _ = stores.repair(server.url + '/shop', status=3)
        assert found == {victim: False, DIGESTS[1]: True}
        assert not stores.path(victim).exists()
        found, _ = stores.repair(server.url + '/shop', second.url + '/shop')
        assert found == {victim: True}
        assert [ask.path[-60:] for ask in second.log] == [victim[4:]]
    stores.check()


def test_broken_off(stores):
    """A large one goes on where the connection ended."""
    stores.lose(BIG)
    with stores.served() as server:
        server.add('.*', 'cut', 1000000, times=1)
        found, _ = stores.repair(server.url + '/shop')
        assert [ask.headers.get('Range') for ask in server.log] == [None, 'bytes=1000000-']
    assert found == {BIG: True}
    stores.check()


def test_nobody_there(stores):
    """Said at the end, after what others could mend."""
    stores.lose(DIGESTS[0])
    stores.lose(DIGESTS[1])
    shutil.copytree(stores.good, stores.folder / 'some', symlinks=True)
    stores.path(DIGESTS[1], 'some').unlink()
    found, said = stores.repair('http://127.0.0.1:1/', stores.folder / 'some', status=1)
    assert found == {DIGESTS[0]: True, DIGESTS[1]: False}
    assert said.count('\n') == 1 and '127.0.0.1:1' in said
    with stores.served() as server:
        found, said = stores.repair('http://127.0.0.1:1/', server.url + '/shop', status=1)
    assert found == {DIGESTS[1]: True} and '127.0.0.1:1' in said
    stores.check()


def test_not_in_the_clear(stores):
    stores.lose(DIGESTS[0])
    found, said = stores.repair('http://192.0.2.1/shop', status=2)
    assert found == {DIGESTS[0]: False} and '--plain-http' in said


def test_from_bare_directories(stores):
    """As `mkcomposefs --digest-store` makes them; each has some."""
    for i, name in enumerate(['one', 'two']):
        for digest in DIGESTS[i:4:2]:
            path = stores.folder / name / digest[:2] / digest[2:]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(stores.objects[digest])
    for digest in DIGESTS[:5]:
        stores.lose(digest)
    found, _ = stores.repair(stores.folder / 'one', stores.folder / 'two', status=3)
    assert found == {**dict.fromkeys(DIGESTS[:4], True), DIGESTS[4]: False}
    found, _ = stores.repair(stores.good)
    assert found == {DIGESTS[4]: True}
    stores.check()
