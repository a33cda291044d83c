# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Properties of random trees, judged by a second implementation (tests/lib/ref*.py).

CAIRN_SEED (default 0) and CAIRN_ROUNDS (default 4, for each profile) choose the trees; the name of a
failing case says profile and seed.
"""

import errno
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import refdump  # noqa: E402
import refimage  # noqa: E402
import refread  # noqa: E402
from programs import fsck, output, read, run  # noqa: E402
from randomtree import PROFILES, Entry, Tree  # noqa: E402

SEED = int(os.environ.get('CAIRN_SEED', '0'))
ROUNDS = int(os.environ.get('CAIRN_ROUNDS', '4'))
CASES = [(profile, seed) for profile in PROFILES for seed in range(SEED, SEED + ROUNDS)]

each_tree = pytest.mark.parametrize('profile, seed', CASES, ids=[f'{p}-{s}' for p, s in CASES])
VERSIONS = [(0, ['--min-version=0'], 'v0'), (1, ['--min-version=1'], 'v1'), ('auto', [], 'auto')]


def expected(text, version):
    """The image of a dump, or the name of the errno that writing it must fail with."""
    try:
        return refimage.write(refdump.parse(text), version)
    except refdump.WriteError as e:
        return str(e)


def words(name):
    return os.strerror(getattr(errno, name)).encode()


@each_tree
def test_same_bytes_as_the_reference(profile, seed, tmp_path):
    """write(t), also when the dump is spelled another way, in another order, with other threads."""
    tree = Tree(seed, profile)
    plain = tree.text()
    for version, options, form in VERSIONS:
        image = expected(plain, version)
        if isinstance(image, str):
            result = run('mkcomposefs', *options, '--print-digest-only', '--from-file', '-',
                         stdin=plain)
            assert (result.returncode, result.stderr) == (
                1, b'mkcomposefs: cannot write file: ' + words(image) + b'\n')
            continue
        digest = refimage.fsverity(image)
        for text in plain, tree.text(1), tree.text(2):
            for threads in '--threads=1', '--threads=8':
                made = output('mkcomposefs', *options, threads, '--print-digest', '--from-file',
                              '-', '-', stdin=text)
                assert made[:-65] == image
                assert made[-65:].decode() == digest + '\n'
        (tmp_path / 'dump').write_bytes(plain)
        result = output('cairn', 'build', tmp_path / 'dump', '-o', tmp_path / 'i', '--format', form)
        assert read(tmp_path / 'i') == image
        assert digest in result.decode()
        assert b'OK canonical V' in output('cairn', 'check', tmp_path / 'i')
        assert fsck(tmp_path / 'i') == ''


@each_tree
def test_v2(profile, seed, tmp_path):
    text = Tree(seed, profile, version2=True).text()
    image = refimage.write(refdump.parse(text), 2)
    (tmp_path / 'dump').write_bytes(text)
    output('cairn', 'build', tmp_path / 'dump', '-o', tmp_path / 'i', '--format', 'v2')
    assert read(tmp_path / 'i') == image
    assert b'OK canonical V2' in output('cairn', 'check', tmp_path / 'i')
    tree = refread.load(image)
    assert output('cairn', 'dump', tmp_path / 'i') == refread.dump(tree)


@each_tree
@pytest.mark.parametrize('version', [1, 2])
def test_sha512(profile, seed, version, tmp_path):
    text = Tree(seed, profile, version2=version == 2, digest_size=64).text()
    image = expected(text, version)
    (tmp_path / 'dump').write_bytes(text)
    result = run('cairn', 'build', tmp_path / 'dump', '-o', tmp_path / 'i', '--format',
                 f'v{version}', '--alg', 'sha512')
    if isinstance(image, str):
        assert result.returncode != 0
        return
    assert (result.returncode, result.stderr) == (0, b'')
    assert read(tmp_path / 'i') == image
    assert refimage.fsverity(image, 'sha512') in result.stdout.decode()
    assert output('cairn', 'check', tmp_path / 'i').startswith(b'OK canonical V%d' % version)


@pytest.mark.parametrize('seed', range(SEED, SEED + ROUNDS))
def test_links_to_directories(seed, tmp_path):
    """Only the drop-ins take them."""
    text = Tree(seed, 'mixed', link_dirs=True).text()
    image = expected(text, 'auto')
    if isinstance(image, str):
        pytest.skip('no image can hold it')
    assert output('mkcomposefs', '--from-file', '-', '-', stdin=text) == image
    (tmp_path / 'i').write_bytes(image)
    tree = refread.load(image)
    assert output('composefs-info', 'dump', tmp_path / 'i') == refread.dump(tree)
    assert output('composefs-info', 'ls', tmp_path / 'i') == refread.listing(tree)


@pytest.mark.parametrize('seed', range(SEED, SEED + ROUNDS))
def test_circle(seed):
    """Hard links that lead in a circle, or into one (image-format §4.6)."""
    tree = Tree(seed, 'plain')
    names = [tree.path(b'') for _ in range(tree.rng.randrange(2, 6))]
    for i, name in enumerate(names):
        entry = Entry(name, 0o100644)
        entry.link = names[(i + 1) % len(names)]
        tree.entries.append(entry)
    tail = Entry(tree.path(b''), 0o100644)
    tail.link = names[0]
    tree.entries.append(tail)
    result = run('mkcomposefs', '--print-digest-only', '--from-file', '-', stdin=tree.text(seed))
    assert (result.returncode, result.stderr) == (
        1, b'mkcomposefs: cannot write file: Too many levels of symbolic links\n')


@each_tree
def test_listings(profile, seed, tmp_path):
    """print(read(write(t)))"""
    image = expected(Tree(seed, profile).text(), 'auto')
    if isinstance(image, str):
        pytest.skip('no image can hold it')
    (tmp_path / 'i').write_bytes(image)
    tree = refread.load(image)
    for command, how in ('dump', refread.dump), ('ls', refread.listing), ('objects', refread.objects):
        assert output('composefs-info', command, tmp_path / 'i') == how(tree)
        # Only the dump takes for marks what the reference does.
        if command == 'dump' or profile not in ('overlay', 'xattrs'):
            said = output('cairn', command, tmp_path / 'i')
            if command == 'objects':
                said = b''.join(refdump.unescape(line) + b'\n' for line in said.splitlines())
            assert said == how(tree)
        keep = sorted(tree.children)[::3]
        options = [b'--filter=' + name for name in keep] + [b'--filter=not there']
        result = run('composefs-info', *[os.fsdecode(o) for o in options], command,
                     tmp_path / 'i')
        assert result.stdout == how(refread.load(image, set(keep)))


@each_tree
def test_round_trip(profile, seed, tmp_path):
    """parse(print(t)) = t and read(write(t)) = t: what was printed makes the same print again."""
    image = expected(Tree(seed, profile).text(), 'auto')
    if isinstance(image, str):
        pytest.skip('no image can hold it')
    (tmp_path / 'i').write_bytes(image)
    printed = output('composefs-info', 'dump', tmp_path / 'i')
    text = printed
    option = f'--min-version={image[12]}'
    for _ in range(2):
        again = expected(text, image[12])
        if isinstance(again, str):
            pytest.skip('the marks of whiteouts do not survive the accounting')
        made = output('mkcomposefs', option, f'--max-version={image[12]}', '--from-file', '-', '-',
                      stdin=text)
        assert made == again
        (tmp_path / 'j').write_bytes(made)
        text = output('composefs-info', 'dump', tmp_path / 'j')
    (tmp_path / 'k').write_bytes(made)
    output('composefs-dump', tmp_path / 'j', tmp_path / 'k')
    assert read(tmp_path / 'k') == made
    assert output('composefs-info', 'dump', tmp_path / 'k') == text
