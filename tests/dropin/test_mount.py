# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""mount.composefs really mounts: by itself, through mount(8), from fstab. As root.

Every test runs in a mount namespace of its own.
"""

import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from programs import BUILD, output  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='needs root')

# mount(8) finds its helpers in /sbin only.
PRELUDE = f'''
set -eu
PATH={BUILD}/dropin:$PATH
install_helper() {{
    mkdir -p helper; cp {BUILD}/dropin/mount.composefs helper
    mount -t overlay overlay -o lowerdir=$PWD/helper:/usr/sbin /usr/sbin
}}
same() {{
    findmnt -n -o FSTYPE,SOURCE mnt | grep -q 'overlay *composefs'
    diff -r --no-dereference tree mnt
    umount mnt
}}
'''


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in 'tree', 'tree/sub', 'mnt':
        os.mkdir(path)
    with open('tree/small', 'wb') as f:
        f.write(b'small\n')
    with open('tree/sub/big', 'wb') as f:
        f.write(bytes(100000))
    os.symlink('../small', 'tree/sub/link')
    output('mkcomposefs', '--digest-store=store', 'tree', 'i')


def sh(script, status=0):
    """Runs a shell script in a new mount namespace; gives what it said."""
    result = subprocess.run(['unshare', '-m', 'sh', '-c', PRELUDE + script], capture_output=True,
                            check=False, text=True, timeout=120)
    assert result.returncode == status, result
    return result.stderr


def test_alone():
    sh('mount.composefs -o basedir=store i mnt; same')
    sh('mount.composefs -t composefs -o ro,basedir=$PWD/store $PWD/i $PWD/mnt; same')
    sh('mount.composefs i mnt more -o basedir=store; same')


def test_several_stores():
    sh('mkdir -p other; mount.composefs -o basedir=other:store i mnt; same')


def test_last_option_list_counts():
    said = sh('mount.composefs -o basedir=store -o ro i mnt', status=1)
    assert said.startswith('No object dirs specified\n')


@pytest.mark.parametrize('name, option', [
    ('a,b', 'a\\,b'), ('a b', 'a b'), ('a\\b', 'a\\\\b'), ('a=b', 'a=b')])
def test_odd_store_names(name, option):
    os.rename('store', name)
    sh(f"mount.composefs -o 'basedir={option}' i mnt; same")


def test_upper():
    sh('''mkdir u w; mount.composefs -o basedir=store,upperdir=u,workdir=w,rw i mnt
          echo new >mnt/new; test -e u/new; rm mnt/new; rm mnt/small
          test ! -e mnt/small; umount mnt''')
    sh('''mkdir -p u2 w2; mount.composefs -o basedir=store,upperdir=u2,workdir=w2,ro i mnt
          ! touch mnt/new 2>/dev/null; same''')


def test_read_only_without_upper():
    sh('mount.composefs -o basedir=store,rw i mnt; ! touch mnt/new 2>/dev/null; same')


def test_through_mount():
    sh('install_helper; mount -t composefs -o basedir=store i mnt; same')
    sh('install_helper; mount -r -t composefs -o basedir=store i mnt; same')


def test_through_fstab():
    for options in 'basedir=STORE', 'defaults,ro,basedir=STORE', \
            'nofail,_netdev,x-systemd.automount,basedir=STORE':
        with open('fstab', 'w', encoding='ascii') as f:
            f.write('{0}/i {0}/mnt composefs {1} 0 0\n'.format(
                os.getcwd(), options.replace('STORE', os.getcwd() + '/store')))
        sh('install_helper; mount -T fstab $PWD/mnt; same')
        sh('install_helper; mount -a -T fstab; same')


def test_nothing_stays_behind():
    before = set(os.listdir('/tmp'))
    said = sh('mount.composefs -o basedir=none i mnt', status=1)
    assert said == ('mount.composefs: Failed to mount composefs i: '
                    'No such file or directory\n\n')
    assert {n for n in set(os.listdir('/tmp')) - before if n.startswith('.composefs')} == set()


def test_idmap():
    """Owners go through the user namespace's map; file contents do not care."""
    sh('''unshare -U sleep 60 & pid=$!; trap "kill $pid" EXIT
          while [ "$(readlink /proc/$pid/ns/user)" = "$(readlink /proc/self/ns/user)" ]; do
              sleep 0.05; done
          echo 0 100000 65536 >/proc/$pid/uid_map; echo 0 100000 65536 >/proc/$pid/gid_map
          mount.composefs -o basedir=store,idmap=/proc/$pid/ns/user i mnt
          test "$(stat -c %u:%g mnt/sub/big)" = 100000:100000; cmp tree/sub/big mnt/sub/big
          umount mnt''')
