# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Every golden dump gives the golden image, byte for byte, through mkcomposefs and through cairn."""

import os
import sys

import pytest

GOLDEN = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(GOLDEN), 'lib'))
from programs import fsck, output, read, run, sha256  # noqa: E402

NAMES = sorted(n[:-5] for n in os.listdir(GOLDEN) if n.endswith('.dump'))
# Hard links to directories: only the drop-ins take them, and fsck.erofs crashes on them.
DIR_LINKS = '31-dir-hardlink'
# (suffix of the golden files, options of mkcomposefs, --format of cairn)
VARIANTS = [('', [], 'auto'),
            ('.v0', ['--min-version=0', '--max-version=0'], 'v0'),
            ('.v1', ['--min-version=1', '--max-version=1'], 'v1')]

each_name = pytest.mark.parametrize('name', NAMES)
each_variant = pytest.mark.parametrize('variant', VARIANTS, ids=['auto', 'v0', 'v1'])


def dump(name):
    return os.path.join(GOLDEN, name + '.dump')


def golden(name, suffix):
    return read(GOLDEN, name + suffix).decode().strip()


def write(name, path, *options):
    """The image that mkcomposefs writes to @path, as bytes."""
    output('mkcomposefs', *options, '--from-file', dump(name), path)
    return read(path)


@each_name
@each_variant
def test_mkcomposefs(name, variant, tmp_path):
    suffix, options, _ = variant
    said = output('mkcomposefs', *options, '--print-digest', '--from-file', dump(name),
                  tmp_path / 'i')
    assert sha256(read(tmp_path / 'i')) == golden(name, suffix + '.sha256')
    assert said.decode() == golden(name, suffix + '.fsverity') + '\n'
    only = output('mkcomposefs', *options, '--print-digest-only', '--from-file', dump(name))
    assert only == said
    if name != DIR_LINKS:
        assert fsck(tmp_path / 'i') == ''


@each_name
@each_variant
def test_cairn(name, variant, tmp_path):
    suffix, _, form = variant
    result = run('cairn', 'build', dump(name), '-o', tmp_path / 'i', '--format', form)
    if name == DIR_LINKS:
        assert result.returncode in (1, 2, 4)
        assert b'hard link to a directory' in result.stderr
        assert not os.path.exists(tmp_path / 'i')
        return
    assert result.returncode == 0, result
    assert golden(name, suffix + '.fsverity') in result.stdout.decode()
    assert sha256(read(tmp_path / 'i')) == golden(name, suffix + '.sha256')
    said = output('cairn', 'digest', '--format', form, dump(name))
    assert golden(name, suffix + '.fsverity') in said.decode()
    said = output('cairn', 'check', tmp_path / 'i')
    assert b'OK canonical V%d' % read(tmp_path / 'i')[12] in said


@each_name
def test_standard_streams(name):
    image = output('mkcomposefs', '--from-file', '-', '-', stdin=read(dump(name)))
    assert sha256(image) == golden(name, '.sha256')


@pytest.mark.parametrize('options, suffix', [
    (['--min-version=1'], '.v1'), (['--max-version=1'], ''), (['--min-version=0'], '.v0'),
    (['--max-version=0'], '.v0'), (['--min-version=1', '--max-version=0'], '.v1'),
    (['--threads=1'], ''), (['--threads=8'], '')], ids=str)
@pytest.mark.parametrize('name', ['01-empty-root', '07-whiteout', '23-root-hex-names'])
def test_version_range(name, options, suffix, tmp_path):
    assert sha256(write(name, tmp_path / 'i', *options)) == golden(name, suffix + '.sha256')


@pytest.mark.parametrize('name, command, suffix', [
    (name, command, suffix) for name in NAMES
    for command, suffix in (('dump', '.info'), ('ls', '.ls'), ('objects', '.objects'))
    if os.path.exists(os.path.join(GOLDEN, name + suffix))])
def test_listing(name, command, suffix, tmp_path):
    write(name, tmp_path / 'i')
    expected = read(GOLDEN, name + suffix)
    assert output('composefs-info', command, tmp_path / 'i') == expected
    if name != DIR_LINKS:
        said = output('cairn', command, tmp_path / 'i')
        assert said == expected


@pytest.mark.parametrize('name', [n for n in NAMES if n != DIR_LINKS])
@each_variant
def test_image_to_image(name, variant, tmp_path):
    """More than the reference promises (dump-format §8): no image changes when it is written again."""
    image = write(name, tmp_path / 'a', *variant[1])
    output('composefs-dump', tmp_path / 'a', tmp_path / 'b')
    assert read(tmp_path / 'b') == image


@pytest.mark.parametrize('name', [n for n in NAMES if n not in (
    '06-hardlink-forward', '13-compact-extended', '15-devices', DIR_LINKS)])
@each_variant
def test_dump_to_image(name, variant, tmp_path):
    """The text of an image makes that image again, with the options of dump-format §8."""
    image = write(name, tmp_path / 'i', *variant[1])
    whiteouts = name in ('07-whiteout', '23-root-hex-names')
    options = [] if image[12] == whiteouts else ['--min-version=1'] if image[12] else [
        '--max-version=0']
    text = output('composefs-info', 'dump', tmp_path / 'i')
    assert output('mkcomposefs', *options, '--from-file', '-', '-', stdin=text) == image
    (tmp_path / 'text').write_bytes(output('cairn', 'dump', tmp_path / 'i'))
    output('cairn', 'build', '--format', f'v{image[12]}', tmp_path / 'text', '-o', tmp_path / 'j')
    assert read(tmp_path / 'j') == image


def test_measure(tmp_path):
    for data, digest in [
            (b'hello world\n', '37061ef2ac4c21bec68489b56138c5780306a4ad7fe6676236ecdf2c9027cd92'),
            (b'', '3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95'),
            (bytes(4095), '5372beb83c78537c8970c8361e3254119fafdf1763854ecd57d3f0fe2da7c719'),
            (bytes(4096), 'babc284ee4ffe7f449377fbf6692715b43aec7bc39c094a95878904d34bac97e'),
            (bytes(4097), '093756e4ea9683329106d4a16982682ed182c14bf076463a9e7f97305cbac743')]:
        (tmp_path / 'f').write_bytes(data)
        assert output('composefs-info', 'measure-file', tmp_path / 'f').decode() == digest + '\n'
        assert digest in output('cairn', 'measure', tmp_path / 'f').decode()
