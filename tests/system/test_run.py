# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""`cairn run` and `cairn bundle`: as root and as an ordinary user, with every backend that there is here."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import mounting as m  # noqa: E402
from programs import output, program  # noqa: E402

NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']
WHO = {'root': [], 'user': NOBODY}
APPLETS = ('sh', 'cat', 'ls', 'id', 'echo', 'kill', 'sleep', 'touch', 'env', 'pwd', 'ps', 'mkdir', 'rm', 'test',
           'stat', 'readlink', 'true')

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason='needs root'),
              pytest.mark.skipif(not shutil.which('busybox'), reason='no busybox')]
everyone = pytest.mark.parametrize('who', WHO)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A small system: busybox and what it needs; its image and store. Each test has a copy."""
    folder = tmp_path_factory.mktemp('made')
    shutil.copy(program('cairn'), folder / 'cairn')
    for name in 'bin', 'proc', 'dev', 'sys', 'tmp', 'etc', 'root', 'run':
        os.makedirs(folder / 'tree' / name)
    shutil.copy(shutil.which('busybox'), folder / 'tree/bin/busybox')
    for name in APPLETS:
        os.symlink('busybox', folder / 'tree/bin' / name)
    with open(folder / 'tree/etc/release', 'w', encoding='ascii') as f:
        f.write('a small system\n' * 100)
    os.symlink('/etc', folder / 'tree/link')
    output('cairn', 'build', '-q', 'tree', '-o', 'image', '--store', 'store', cwd=folder)
    subprocess.run(['chmod', '-R', 'a+rX', 'store', 'image'], cwd=folder, check=True)
    return folder


@pytest.fixture(autouse=True)
def files(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in tmp_path, *tmp_path.parents:
        if os.stat(folder).st_mode & 0o1001 == 0:
            os.chmod(folder, 0o711)
    m.private_namespace()
    os.mknod('fuse', 0o20666, os.makedev(10, 229))
    os.chmod('fuse', 0o666)
    subprocess.run(['mount', '--bind', 'fuse', '/dev/fuse'], check=True)
    os.link(made / 'cairn', 'cairn')
    subprocess.run(['cp', '-a', made / 'image', made / 'store', '.'], check=True)
    before = m.mountinfo()
    yield
    assert m.mountinfo() == before
    subprocess.run(['umount', '-l', '/dev/fuse'], check=False)


def cairn_run(who, *args, status=0, **more):
    done = subprocess.run([*WHO[who], './cairn', 'run', '-s', 'store', *args], capture_output=True, text=True,
                          timeout=60, check=False, **more)
    assert done.returncode == status, done
    return done.stdout + done.stderr


def shell(who, script, *options, **more):
    return cairn_run(who, *options, 'image', '--', 'sh', '-c', script, **more)


# --- what the command is told and tells -----------------------------------------------------------

@everyone
def test_output_and_status(who):
    said = shell(who, 'cat; echo err >&2; exit 7', status=7, input='through\n')
    assert said == 'through\nerr\n'


@everyone
@pytest.mark.parametrize('command, status', [
    (['sh', '-c', 'kill -9 $$'], 137), (['sh', '-c', 'kill -15 $$'], 143), (['nothing'], 127), (['/etc/release'], 126),
    (['true'], 0)])
def test_status(who, command, status):
    cairn_run(who, 'image', *command, status=status)


@everyone
def test_who_and_where(who):
    assert shell(who, 'id -u; id -g; pwd; echo $HOME; echo $PATH').split('\n')[:4] == ['0', '0', '/', '/root']
    assert shell(who, 'pwd; echo $A $B $C', '--cwd', 'etc', '-e', 'A=1', '--env=B', env={**os.environ, 'B': '2', 'C': '3'}) == \
        '/etc\n1 2\n'
    assert shell(who, 'echo $$; ls /proc | grep -c "^[0-9]"').split()[0] == '2'


def test_options_end_at_the_image():
    assert cairn_run('root', 'image', 'echo', '-s', '--', '--tmp') == '-s -- --tmp\n'
    assert cairn_run('root', 'image', '--', 'echo', '--', '-v') == '-- -v\n'


@everyone
def test_what_is_there(who):
    said = shell(who, 'cat /link/release | head -n 1; echo x >/dev/null; test -c /dev/urandom && readlink /dev/fd;'
                 'test -d /dev/pts && ls /dev; test -d /sys/devices && touch /sys/x 2>&1; ls /')
    assert said.startswith('a small system\n/proc/self/fd\n')
    assert {'null', 'zero', 'full', 'random', 'urandom', 'tty', 'pts', 'shm', 'ptmx'} <= set(said.split())
    assert 'store' not in said.split()


# --- changes --------------------------------------------------------------------------------------

BACKENDS = ['fuse', 'overlay'] if m.KERNEL >= (6, 16) else ['fuse']


@everyone
@pytest.mark.parametrize('backend', [*BACKENDS, 'kernel'])
def test_changes(who, backend):
    if (who, backend) == ('user', 'kernel'):
        assert 'Operation not permitted' in shell(who, '', '--backend', backend, status=125)
        return
    options = ['--backend', backend]
    script = 'echo new >/new && echo more >>/etc/release && rm /link && ls / && cat /etc/release | tail -n 1'
    said = shell(who, script, *options)
    assert 'new' in said.split() and 'link' not in said.split() and said.endswith('more\n')
    assert 'new' not in shell(who, 'ls /', *options).split()

    os.mkdir('kept')
    os.chown('kept', *((65534, 65534) if who == 'user' else (0, 0)))
    shell(who, script, *options, '--upper', 'kept')
    assert 'new' in shell(who, 'ls /', *options, '--upper', 'kept').split()
    assert sorted(os.listdir('kept/upper')) == ['etc', 'link', 'new']

    assert 'Read-only file system' in shell(who, 'touch /new', *options, '--read-only', status=1)


@everyone
def test_binds(who):
    os.mkdir('shared')
    os.chmod('shared', 0o777)
    with open('shared/file', 'w', encoding='ascii') as f:
        f.write('mine\n')
    assert shell(who, 'cat /data/file && touch /data/made', '--bind', 'shared:/data') == 'mine\n'
    assert os.path.exists('shared/made')
    assert 'Read-only' in shell(who, 'touch /data/x', '-b', 'shared:/data:ro', status=1)
    assert shell(who, 'cat /deep/er/file', '-b', 'shared/file:/deep/er/file:ro') == 'mine\n'
    # A link of the image leads to a place in the image, and nowhere else.
    before = os.listdir('/etc')
    assert shell(who, 'cat /etc/cairn-test/file', '-b', 'shared/file:/link/cairn-test/file') == 'mine\n'
    assert os.listdir('/etc') == before
    assert shell(who, 'cat /etc/hosts', '-b', 'shared/file:/link/hosts') == 'mine\n'
    assert 'nothing can be put there' in shell(who, '', '-b', 'shared:/data', '--read-only', status=125)


# --- processes ------------------------------------------------------------------------------------

def start(who, script):
    process = subprocess.Popen([*WHO[who], './cairn', 'run', '-s', 'store', 'image', '--', 'sh', '-c', script],
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == 'ready\n'
    return process


@everyone
@pytest.mark.parametrize('number, status', [(signal.SIGTERM, 33), (signal.SIGUSR1, 34), (signal.SIGINT, 35)])
def test_signals_are_passed_on(who, number, status):
    process = start(who, 'trap "exit 33" TERM; trap "exit 34" USR1; trap "exit 35" INT; echo ready;'
                    'while true; do sleep 0.1; done')
    process.send_signal(number)
    assert process.wait(30) == status


@everyone
def test_orphans_are_taken_in_and_ended(who):
    """An orphan does not stay a zombie, and does not outlive the command."""
    said = shell(who, '(sleep 0.1 &); sleep 0.5; for p in /proc/[0-9]*; do cat $p/comm; done')
    assert 'sleep' not in said and 'cairn-init' in said
    shell(who, '(sleep 1001 >/dev/null 2>&1 &) ; true')
    time.sleep(0.3)
    assert not [p for p in ps() if 'sleep 1001' in p]


def ps():
    return subprocess.run(['ps', '-eo', 'args'], capture_output=True, text=True, check=True).stdout.split('\n')


@everyone
def test_killed(who):
    """Nothing stays behind when the whole is killed: no command, no server."""
    process = start(who, 'echo ready; sleep 1002')
    process.kill()
    process.wait(30)
    for _ in range(100):
        left = [p for p in ps() if 'sleep 1002' in p or os.getcwd() in p]
        if not left:
            break
        time.sleep(0.05)
    assert not left


# --- refusals -------------------------------------------------------------------------------------

@everyone
def test_refusals(who):
    with open('garbage', 'wb') as f:
        f.write(b'\0' * 8192)
    for args, words in ((['garbage'], 'garbage: '), (['nothing'], 'nothing: no such file'),
                        (['--require', 'enforced', 'image'], ''), (['--upper', 'nowhere', 'image'], 'nowhere'),
                        (['--tmp', '--read-only', 'image'], 'only one of'), ([], 'needs IMAGE'),
                        (['-o', f'digest={"1" * 64}', 'image'], 'digest')):
        assert words in cairn_run(who, *args, status=125)


@everyone
def test_wrong_bytes(who):
    """A wrong block is an I/O error inside."""
    for parent, _, names in os.walk('store/objects'):
        for name in names:
            if os.path.getsize(os.path.join(parent, name)) < 10000:
                with open(os.path.join(parent, name), 'r+b') as f:
                    f.write(b'X')
    said = shell(who, 'cat /etc/release; echo $?')
    assert 'a small system' not in said and 'Input/output error' in said or 'I/O error' in said


# --- bundles --------------------------------------------------------------------------------------

@pytest.mark.skipif(not shutil.which('runc'), reason='no runc')
def test_bundle():
    output('cairn', 'bundle', '-e', 'A=b c', '--hostname', 'inside', 'image', 'b', '--', 'sh', '-c',
           'cat /etc/release | head -n 1; echo $A; cat /proc/sys/kernel/hostname; touch /x; touch /tmp/x; exit 9')
    with open('b/config.json', encoding='utf-8') as f:
        config = json.load(f)
    assert config['annotations'] == {'org.composefs.image': os.path.realpath('image')}
    output('cairn', 'mount', 'image', 'b/rootfs', '-s', 'store')
    done = subprocess.run(['runc', 'run', '-b', 'b', f'cairn-test-{os.getpid()}'], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60, check=False)
    output('cairn', 'umount', 'b/rootfs')
    if 'cgroup' in done.stderr and done.returncode != 9:
        pytest.skip('runc: ' + done.stderr.strip())
    assert done.returncode == 9, done
    assert done.stdout.split('\n')[:3] == ['a small system', 'b c', 'inside']
    assert '/x: Read-only file system' in done.stderr and '/tmp/x' not in done.stderr
    again = subprocess.run(['./cairn', 'bundle', 'image', 'b'], capture_output=True, text=True, check=False)
    assert again.returncode == 1 and 'config.json: File exists' in again.stderr
