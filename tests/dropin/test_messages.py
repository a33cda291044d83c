# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""What the drop-ins say when something is wrong: every row of the reference's message tables.

Each row: arguments, whole standard error (one that ends in USAGE goes on with the usage text).
The working directory holds ROOT.dump (an empty root), ROOT.cfs (its image), dir/, file, empty.
"""

import os
import pty
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from programs import output, program, run  # noqa: E402

USAGE = '<usage>'
FIRST_LINE = {
    'mkcomposefs': 'Usage: mkcomposefs [OPTIONS] SOURCE IMAGE',
    'composefs-info': 'usage: {argv0} [--basedir=path] '
                      '[ls|objects|dump|missing-objects|measure-file] IMAGES...',
    'composefs-dump': 'usage: {argv0} SRC DEST',
    'mount.composefs': 'usage: {argv0} [-t type] [-o opt[,opts..]] IMAGE MOUNTPOINT',
}


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'ROOT.dump').write_bytes(b'/ 0 40755 2 0 0 0 0.0 - - -\n')
    (tmp_path / 'bad.dump').write_bytes(b'x\n')
    (tmp_path / 'dir').mkdir()
    (tmp_path / 'file').write_bytes(b'hello world\n')
    (tmp_path / 'empty').write_bytes(b'')
    (tmp_path / 'zeros').write_bytes(bytes(8192))
    output('mkcomposefs', '--from-file', 'ROOT.dump', 'ROOT.cfs')


def check(name, args, stderr, stdout='', status=1, **more):
    result = run(name, *args, **more)
    said = result.stderr.decode()
    if stderr.endswith(USAGE):
        stderr = stderr[:-len(USAGE)] + FIRST_LINE[name].format(argv0=program(name)) + '\n'
        said = said[:len(stderr)]
    assert (said, result.stdout.decode(), result.returncode) == (stderr, stdout, status)


MKCOMPOSEFS = [
    ([], 'No source path specified\n' + USAGE),
    (['', 'out'], 'mkcomposefs: Empty source path specified\n'),
    (['dir'], 'No destination path specified\n' + USAGE),
    (['dir', 'out', 'more'], 'Too many arguments\n' + USAGE),
    (['--print-digest-only', 'dir', 'out'],
     'Cannot specify destination path with --print-digest-only\n' + USAGE),
    (['--no-such-option', 'dir', 'out'], USAGE),
    (['--version=1', 'dir', 'out'], USAGE),
    (['--use-epoch=1', 'dir', 'out'], USAGE),
    (['-x', 'dir', 'out'], USAGE),
    (['--help'], USAGE),
    (['dir', 'out', '--threads'], 'option needs a value\n'),
    (['dir', 'out', '--digest-store'], 'option needs a value\n'),
    (['--min-version=x', 'dir', 'out'], 'Invalid min version x\n'),
    (['--min-version=', 'dir', 'out'], 'Invalid min version \n'),
    (['--max-version=1x', 'dir', 'out'], 'Invalid max version 1x\n'),
    (['--threads=0', 'dir', 'out'], 'Invalid threads count 0\n'),
    (['--threads=-1', 'dir', 'out'], 'Invalid threads count -1\n'),
    (['--threads=two', 'dir', 'out'], 'Invalid threads count two\n'),
    (['dir', 'none/out'], 'mkcomposefs: failed to open output file: No such file or directory\n'),
    (['dir', 'dir'], 'mkcomposefs: failed to open output file: Is a directory\n'),
    (['--from-file', 'none', 'out'], 'mkcomposefs: open `none`: No such file or directory\n'),
    (['--from-file', 'bad.dump', 'out'], 'mkcomposefs: Invalid integer \n'),
    (['--from-file', 'dir', 'out'], 'mkcomposefs: Error reading from file\n'),
    (['none', 'out'], 'mkcomposefs: error accessing none: No such file or directory\n'),
    (['--skip-xattrs', '--user-xattrs', 'dir', 'out'],
     'mkcomposefs: error accessing dir: Invalid argument\n'),
    (['file', 'out'], 'mkcomposefs: cannot write file: Not a directory\n'),
    (['--digest-store=file', 'big', 'out'], 'mkcomposefs: cannot fill store: Not a directory\n'),
    (['--min-version=2', 'dir', 'out'], 'mkcomposefs: cannot write file: Invalid argument\n'),
    (['--max-version=2', 'dir', 'out'], 'mkcomposefs: cannot write file: Invalid argument\n'),
    (['--min-version=-1', 'dir', 'out'], 'mkcomposefs: cannot write file: Invalid argument\n'),
    (['--max-version=-1', 'dir', 'out'], 'mkcomposefs: cannot write file: Invalid argument\n'),
    (['dir', '/dev/full'], 'mkcomposefs: cannot write file: No space left on device\n'),
]


@pytest.mark.parametrize('args, stderr', MKCOMPOSEFS, ids=lambda x: None)
def test_mkcomposefs(args, stderr):
    os.mkdir('big')
    with open('big/file', 'wb') as f:
        f.write(bytes(100))
    check('mkcomposefs', args, stderr)


def test_mkcomposefs_terminal():
    primary, secondary = pty.openpty()
    result = subprocess.run([program('mkcomposefs'), 'dir', '-'], stdout=secondary,
                            stderr=subprocess.PIPE, check=False)
    os.close(secondary)
    os.close(primary)
    assert (result.returncode, result.stderr) == (
        1, b'stdout is a tty.  Refusing to use it\n')


def test_mkcomposefs_digest_after_image():
    image = output('mkcomposefs', '--from-file', 'ROOT.dump', '-')
    both = output('mkcomposefs', '--print-digest', '--from-file', 'ROOT.dump', '-')
    digest = output('mkcomposefs', '--print-digest-only', '--from-file', 'ROOT.dump')
    assert both == image + digest


def test_mkcomposefs_options_after_operands():
    assert run('mkcomposefs', 'ROOT.dump', 'out', '--from-file').returncode == 0


def test_mkcomposefs_leaves_empty_file():
    """IMAGE is opened before the source is read."""
    with open('out', 'wb') as f:
        f.write(b'before')
    assert run('mkcomposefs', 'none', 'out').returncode == 1
    assert os.path.getsize('out') == 0


def test_mkcomposefs_ignores_store_with_dump():
    output('mkcomposefs', '--digest-store=store', '--from-file', 'ROOT.dump', 'out')
    assert not os.path.exists('store')


@pytest.mark.skipif(os.geteuid() != 0, reason='gives up the privileges of root')
@pytest.mark.parametrize('path, stderr', [
    ('tree/sub/big', 'error computing digest: Permission denied'),
    ('tree/sub/small', 'error computing digest: Permission denied'),
    ('tree/sub', 'error accessing tree/sub: Permission denied'),
    ('tree', 'error accessing tree: Permission denied'),
])
def test_mkcomposefs_unreadable(path, stderr):
    os.makedirs('tree/sub')
    for name in 'big', 'small':
        with open('tree/sub/' + name, 'wb') as f:
            f.write(bytes(10 if name == 'small' else 1000))
    os.chmod(path, 0)
    result = subprocess.run(
        ['setpriv', '--bounding-set', '-dac_override,-dac_read_search', program('mkcomposefs'),
         '--digest-store=store', 'tree', 'out'], capture_output=True, check=False,
        env=dict(os.environ, LC_ALL='C'))
    assert (result.returncode, result.stderr.decode()) == (1, f'mkcomposefs: {stderr}\n')


@pytest.mark.skipif(os.geteuid() != 0, reason='gives up the privileges of root')
def test_mkcomposefs_read_only_store():
    os.mkdir('tree')
    with open('tree/big', 'wb') as f:
        f.write(bytes(1000))
    os.mkdir('store', 0o555)
    result = subprocess.run(
        ['setpriv', '--bounding-set', '-dac_override', program('mkcomposefs'),
         '--digest-store=store', 'tree', 'out'], capture_output=True, check=False,
        env=dict(os.environ, LC_ALL='C'))
    assert (result.returncode, result.stderr) == (
        1, b'mkcomposefs: cannot fill store: Permission denied\n')


INFO = [
    ([], 'No command specified\n' + USAGE),
    (['frobnicate', 'ROOT.cfs'], "composefs-info: Unknown command 'frobnicate'\n\n"),
    (['frobnicate'], "composefs-info: Unknown command 'frobnicate'\n\n"),
    (['ls'], 'No image path specified\n' + USAGE),
    (['dump'], 'No image path specified\n' + USAGE),
    (['objects'], 'No image path specified\n' + USAGE),
    (['missing-objects'], 'No image path specified\n' + USAGE),
    (['measure-file'], 'No files specified\n' + USAGE),
    (['ls', 'none'], "composefs-info: Failed to open 'none': No such file or directory\n"),
    (['dump', 'zeros'], "composefs-info: Failed to load 'zeros': Invalid argument\n"),
    (['ls', 'file'], "composefs-info: Failed to load 'file': Invalid argument\n"),
    (['objects', 'empty'], "composefs-info: Failed to load 'empty': Invalid argument\n"),
    (['--basedir=none', 'missing-objects', 'ROOT.cfs'],
     "composefs-info: Can't open basedir `none`\n: No such file or directory\n"),
    (['--filter=a/b', 'ls', 'ROOT.cfs'],
     'composefs-info: Filter must be a single name: a/b: Success\n'),
    (['measure-file', 'none'], "composefs-info: Failed to open 'none': No such file or directory\n"),
    (['measure-file', 'dir'], "failed to measure 'dir': Is a directory"),
]


@pytest.mark.parametrize('args, stderr', INFO, ids=lambda x: None)
def test_composefs_info(args, stderr):
    check('composefs-info', args, stderr)


@pytest.mark.parametrize('args, said', [
    (['--frobnicate'], "unrecognized option '--frobnicate'"),
    (['-x'], "invalid option -- 'x'"),
    (['--basedir'], "option '--basedir' requires an argument"),
])
def test_composefs_info_bad_option(args, said):
    check('composefs-info', args, f'{program("composefs-info")}: {said}\n' + USAGE, stdout='Def\n')


def test_composefs_info_keeps_what_it_printed():
    line = output('composefs-info', 'dump', 'ROOT.cfs').decode()
    check('composefs-info', ['dump', 'ROOT.cfs', 'none', 'ROOT.cfs'],
          "composefs-info: Failed to open 'none': No such file or directory\n", stdout=line)
    measured = output('composefs-info', 'measure-file', 'file').decode()
    check('composefs-info', ['measure-file', 'file', 'none'],
          "composefs-info: Failed to open 'none': No such file or directory\n", stdout=measured)


DUMP = [
    ([], 'No source path specified\n' + USAGE),
    (['ROOT.cfs'], 'No destination path specified\n' + USAGE),
    (['none', 'out'], "composefs-dump: Failed to open 'none': No such file or directory\n"),
    (['zeros', 'out'], "composefs-dump: Failed to get image version 'zeros': Invalid argument\n"),
    (['empty', 'out'], "composefs-dump: Failed to get image version 'empty': Invalid argument\n"),
    (['head', 'out'], "composefs-dump: Failed to load 'head': Invalid argument\n"),
    (['ROOT.cfs', 'none/out'],
     "composefs-dump: failed to open 'none/out': No such file or directory\n"),
    (['ROOT.cfs', '/dev/full'], 'composefs-dump: cannot write file: No space left on device\n'),
    (['ROOT.cfs', 'out', 'more'], ''),
]


@pytest.mark.parametrize('args, stderr', DUMP, ids=lambda x: None)
def test_composefs_dump(args, stderr):
    with open('ROOT.cfs', 'rb') as f, open('head', 'wb') as g:
        g.write(f.read(1024))
    check('composefs-dump', args, stderr, status=1 if stderr else 0)


BASEDIR = ['-o', 'basedir=dir']
MOUNT = [
    ([], 'No source path specified\n' + USAGE),
    (['ROOT.cfs'], 'No mount path specified\n' + USAGE),
    (['ROOT.cfs', 'dir'], 'No object dirs specified\n' + USAGE),
    (['-o', 'ro', 'ROOT.cfs', 'dir'], 'No object dirs specified\n' + USAGE),
    (['-o', 'basedir=dir', '-o', 'ro', 'ROOT.cfs', 'dir'], 'No object dirs specified\n' + USAGE),
    (['-n', *BASEDIR, 'ROOT.cfs', 'dir'], USAGE),
    (['-s', *BASEDIR, 'ROOT.cfs', 'dir'], USAGE),
    (['-f', *BASEDIR, 'ROOT.cfs', 'dir'], USAGE),
    (['-v', *BASEDIR, 'ROOT.cfs', 'dir'], USAGE),
    (['-N', 'x', *BASEDIR, 'ROOT.cfs', 'dir'], USAGE),
    (['ROOT.cfs', 'dir', '-o'], USAGE),
    (['-t', 'erofs', 'ROOT.cfs', 'dir'], "mount.composefs: Unsupported fs type 'erofs'\n\n"),
    *[(['-o', option, 'ROOT.cfs', 'dir'],
       f'mount.composefs: No value specified for {option} option\n\n')
      for option in ('basedir', 'digest', 'upperdir', 'workdir', 'idmap')],
    (['-o', 'basedir=dir,noverity', 'ROOT.cfs', 'dir'],
     'mount.composefs: Unsupported option noverity\n\n'),
    (['-o', 'basedir=dir,', 'ROOT.cfs', 'dir'], 'mount.composefs: Unsupported option \n\n'),
    (['-o', 'key=value', 'ROOT.cfs', 'dir'], 'mount.composefs: Unsupported option key\n\n'),
    (['-o', 'basedir=', 'ROOT.cfs', 'dir'],
     'mount.composefs: Value for basedir option has incorrect format\n\n'),
    (['-o', 'basedir=a::b', 'ROOT.cfs', 'dir'],
     'mount.composefs: Value for basedir option has incorrect format\n\n'),
    (['-o', 'basedir=a:', 'ROOT.cfs', 'dir'],
     'mount.composefs: Value for basedir option has incorrect format\n\n'),
    (['-o', 'basedir=dir,upperdir=u', 'ROOT.cfs', 'dir'],
     'mount.composefs: Both workdir and upperdir must be specified if used\n\n'),
    (['-o', 'basedir=dir,workdir=w', 'ROOT.cfs', 'dir'],
     'mount.composefs: Both workdir and upperdir must be specified if used\n\n'),
    (['-o', 'basedir=dir,idmap=none', 'ROOT.cfs', 'dir'],
     'mount.composefs: Failed to open userns none: No such file or directory\n\n'),
    ([*BASEDIR, 'none', 'dir'],
     'mount.composefs: Failed to open none: No such file or directory\n\n'),
    ([*BASEDIR, 'zeros', 'dir'],
     'mount.composefs: Failed to mount composefs zeros: Invalid argument\n\n'),
    (['-o', 'basedir=dir,digest=', 'ROOT.cfs', 'dir'],
     'mount.composefs: Failed to mount composefs ROOT.cfs: Invalid argument\n\n'),
    (['-o', 'basedir=dir,digest=abcd', 'ROOT.cfs', 'dir'],
     'mount.composefs: Failed to mount composefs ROOT.cfs: Invalid argument\n\n'),
    (['-o', 'basedir=dir,digest=' + 64 * '0', 'ROOT.cfs', 'dir'],
     'mount.composefs: Failed to mount composefs ROOT.cfs: Image has no fs-verity\n\n'),
]


@pytest.mark.parametrize('args, stderr', MOUNT, ids=lambda x: None)
def test_mount(args, stderr):
    check('mount.composefs', args, stderr)


def test_mount_help():
    check('mount.composefs', ['-h'], USAGE, status=0)
