# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Images between stores: copied, and fetched from real and from misbehaving web servers."""

import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import refimage  # noqa: E402
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import Faults  # noqa: E402
from programs import GOLDEN, program, run  # noqa: E402
from registry import Layout  # noqa: E402
from test_pull import random_layers  # noqa: E402

LARGE = bytes(range(256)) * 20000  # above what is kept in memory


def cairn(folder, *args, status=0):
    done = run('cairn', *args, cwd=folder)
    assert done.returncode == status, done
    return done.stdout.decode() if status == 0 else done.stderr.decode()


@pytest.fixture
def folder(tmp_path):
    tree = tmp_path / 'tree'
    (tree / 'd').mkdir(parents=True)
    for i in range(30):
        (tree / 'd' / f'{i}').write_bytes(b'%d ' % i * (50 + 500 * i))
    (tree / 'large').write_bytes(LARGE)
    (tree / 'inline').write_bytes(b'hello')
    with open(tree / 'sparse', 'wb') as f:
        f.truncate(6 << 20)
    cairn(tmp_path, 'build', 'tree', '--store', 'from', '--name', 'site/an image')
    return tmp_path


def objects(store):
    return {p.parent.name + p.name: p for p in (store / 'objects').glob('*/*')}


def check(folder, store, name='site/an image'):
    """The store has the image, whole and right."""
    for digest, path in objects(folder / store).items():
        data = path.read_bytes()
        assert digest == refimage.fsverity(data) if len(digest) == 64 else True
    assert cairn(folder, 'missing', 'ref:' + name, '--store', store) == ''
    shutil.rmtree(folder / 'out', ignore_errors=True)
    cairn(folder, 'export-dir', 'ref:' + name, 'out', '--store', store)
    assert subprocess.run([program('cairn'), 'diff', 'tree', 'out'], cwd=folder, check=False).returncode == 0
    partial = folder / store / 'cairn' / 'partial'
    assert not partial.exists() or list(partial.iterdir()) == []


# --- copy -----------------------------------------------------------------------------------------

@pytest.mark.parametrize('jobs', [1, 4])
def test_copy(folder, jobs):
    done = json.loads(cairn(folder, 'copy', 'site/an image', '--from', 'from', '--to', 'to', '-j', jobs, '--json'))
    assert (done['needed'], done['objects'], done['name']) == (32, 32, 'site/an image')
    check(folder, 'to')
    assert objects(folder / 'to').keys() == objects(folder / 'from').keys()
    assert os.stat(folder / 'to' / 'objects' / refimage.fsverity(bytes(6 << 20))[:2] /
                   refimage.fsverity(bytes(6 << 20))[2:]).st_blocks < 100
    # Only what is missing.
    for path in list(objects(folder / 'to').values())[:7]:
        path.unlink()
    done = json.loads(cairn(folder, 'copy', 'site/an image', '--from', 'from', '--to', 'to', '--json'))
    assert done['objects'] in (6, 7)
    check(folder, 'to')


def test_copy_to_the_other_algorithm_and_back(folder):
    cairn(folder, 'store', 'init', '--alg', 'sha512', 'wide')
    there = cairn(folder, 'copy', 'site/an image', '--from', 'from', '--to', 'wide', '--name', 'wide').strip()
    assert len(there) == 128
    check(folder, 'wide', 'wide')
    back = cairn(folder, 'copy', 'wide', '--from', 'wide', '--to', 'back').strip()
    # A new store takes the algorithm of what comes first.
    assert back == there
    cairn(folder, 'store', 'init', '--alg', 'sha256', 'narrow')
    back = cairn(folder, 'copy', 'wide', '--from', 'wide', '--to', 'narrow', '--name', 'site/an image').strip()
    assert objects(folder / 'narrow').keys() - {back} == objects(folder / 'from').keys() - {
        cairn(folder, 'images', '--store', 'from', '--json') and json.loads(
            cairn(folder, 'images', '--store', 'from', '--json').splitlines()[0])['digest']}
    check(folder, 'narrow')


def test_copy_links(folder):
    done = json.loads(cairn(folder, 'copy', 'site/an image', '--from', 'from', '--to', 'to', '--hardlink', '--json'))
    assert done['linked'] == done['objects'] == 32
    check(folder, 'to')
    mine, theirs = objects(folder / 'to'), objects(folder / 'from')
    assert all(os.path.samefile(mine[d], theirs[d]) for d in mine)
    # Not a file that somebody could write.
    shutil.rmtree(folder / 'to')
    for path in list(theirs.values())[:4]:
        path.chmod(0o666)
    done = json.loads(cairn(folder, 'copy', 'site/an image', '--from', 'from', '--to', 'to', '--hardlink', '--json'))
    assert done['linked'] in (28, 29)
    assert all(p.stat().st_mode == 0o100644 for p in objects(folder / 'to').values())


def test_copy_damaged(folder):
    victim = max(objects(folder / 'from').values(), key=lambda p: p.stat().st_blocks)
    victim.chmod(0o644)
    data = bytearray(victim.read_bytes())
    data[100000] ^= 1
    victim.write_bytes(data)
    for options in ((), ('--hardlink',)):
        words = cairn(folder, 'copy', 'site/an image', '--from', 'from', '--to', 'to', *options, status=3)
        assert 'its content does not have its digest' in words
        assert cairn(folder, 'refs', '--store', 'to') == ''
        assert victim.parent.name + victim.name not in objects(folder / 'to')


def test_copy_no_room(folder):
    os.mkdir(folder / 'small')
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=4m', 'none', folder / 'small'], check=False).returncode:
        pytest.skip('cannot mount')
    try:
        words = cairn(folder, 'copy', 'site/an image', '--from', 'from', '--to', 'small/store', status=1)
        assert re.fullmatch(r'cairn: copy: small/store: needs \d+ MiB more, and \d MiB are free\n', words)
        assert len(objects(folder / 'small' / 'store')) == 0
    finally:
        subprocess.run(['umount', folder / 'small'], check=True)


# --- fetch ----------------------------------------------------------------------------------------

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_for(port):
    for _ in range(100):
        with socket.socket() as s:
            if not s.connect_ex(('127.0.0.1', port)):
                return
        time.sleep(0.05)
    raise TimeoutError


NGINX = '''worker_processes 1; pid {d}/pid; error_log {d}/log; daemon off; user root;
events {{ worker_connections 64; }}
http {{ access_log {d}/access; client_body_temp_path {d}/t1; proxy_temp_path {d}/t2; fastcgi_temp_path {d}/t3;
uwsgi_temp_path {d}/t4; scgi_temp_path {d}/t5;
server {{ listen 127.0.0.1:{port}; location /shop/ {{ alias {root}/; }} }} }}'''


@pytest.fixture(params=['nginx', 'python'])
def real(request, folder):
    port = free_port()
    if request.param == 'nginx':
        if not shutil.which('nginx', path=os.environ['PATH'] + ':/usr/sbin'):
            pytest.skip('no nginx')
        os.mkdir(folder / 'nginx')
        (folder / 'nginx' / 'conf').write_text(NGINX.format(d=folder / 'nginx', port=port, root=folder / 'from'))
        command = ['nginx', '-e', folder / 'nginx' / 'log', '-c', folder / 'nginx' / 'conf']
        url = f'http://127.0.0.1:{port}/shop'
    else:
        command = [sys.executable, '-m', 'http.server', '--bind', '127.0.0.1', '--directory', folder / 'from', str(port)]
        url = f'http://127.0.0.1:{port}/'
    server = subprocess.Popen(command, env=dict(os.environ, PATH=os.environ['PATH'] + ':/usr/sbin'),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(port)
    yield url
    server.terminate()
    server.wait()


def test_fetch(folder, real):
    assert 'site/an image' not in cairn(folder, 'export', '--store', 'from')
    done = json.loads(cairn(folder, 'fetch', 'site/an image', '--from', real, '--store', 'to', '--json'))
    assert (done['needed'], done['objects']) == (32, 32)
    check(folder, 'to')
    again = json.loads(cairn(folder, 'fetch', 'site/an image', '--from', real, '--store', 'to', '--json'))
    assert (again['objects'], again['digest']) == (0, done['digest'])
    # By digest, without a name; pinned; and another one than the pinned.
    cairn(folder, 'fetch', 'sha256:' + done['digest'], '--from', real, '--store', 'third', '--name', 'mine')
    check(folder, 'third', 'mine')
    cairn(folder, 'fetch', 'site/an image', '--from', real, '--store', 'fourth', '--digest', done['digest'])
    words = cairn(folder, 'fetch', 'site/an image', '--from', real, '--store', 'fifth', '--digest', '0' * 64, status=3)
    assert 'is another image there than the one asked for' in words
    assert 'names no image nowhere' in cairn(folder, 'fetch', 'nowhere', '--from', real, '--store', 'to', status=1)


def test_fetch_without_a_list(folder, real):
    """From a server that follows links."""
    cairn(folder, 'fetch', 'site/an image', '--from', real, '--store', 'to')
    check(folder, 'to')


# --- servers that misbehave -----------------------------------------------------------------------

@pytest.fixture
def served(folder):
    cairn(folder, 'export', '--store', 'from')
    contents = {f'/objects/{d[:2]}/{d[2:]}': p.read_bytes() for d, p in objects(folder / 'from').items()}
    contents['/cairn/index'] = (folder / 'from' / 'cairn' / 'index').read_bytes()
    with Faults(contents) as server:
        yield server


LARGE_PATH = '/objects/' + refimage.fsverity(LARGE)[:2] + '/' + refimage.fsverity(LARGE)[2:]
SMALL = b'7 ' * 3550
SMALL_PATH = '/objects/' + refimage.fsverity(SMALL)[:2] + '/' + refimage.fsverity(SMALL)[2:]


def fetch(folder, server, *options, status=0):
    return cairn(folder, 'fetch', 'site/an image', '--from', server.url, '--store', 'to', *options, status=status)


@pytest.mark.parametrize('path', [LARGE_PATH, SMALL_PATH])
@pytest.mark.parametrize('fault', [('cut', 1000), ('flip', 500), ('status', 503), ('reset',), ('longer', 1)])
def test_fault_once(folder, served, path, fault):
    served.add(path, *fault, times=1)
    fetch(folder, served)
    check(folder, 'to')


@pytest.mark.parametrize('path', [LARGE_PATH, SMALL_PATH])
@pytest.mark.parametrize('fault, status, words',
                         [(('flip', 500), 3, 'does not have its digest'),
                          (('longer', 1), 3, 'is not the .* bytes that it must be'),
                          (('shorter', 1), 3, 'is not the .* bytes that it must be'),
                          (('status', 404), 1, r'is not there \(HTTP status 404\)'),
                          (('status', 403), 1, 'HTTP status 403')])
def test_fault_always(folder, served, path, fault, status, words):
    served.add(path, *fault)
    assert re.search(path + ': ' + words, fetch(folder, served, status=status))
    assert cairn(folder, 'refs', '--store', 'to') == ''
    digest = path[9:].replace('/', '')
    assert digest not in objects(folder / 'to')
    # What came before is kept.
    served.rules.clear()
    before = len(objects(folder / 'to'))
    done = json.loads(fetch(folder, served, '--json'))
    assert done['objects'] == 32 - before
    check(folder, 'to')


@pytest.mark.parametrize('text', [b'', b'cairn-index 1\n', b'cairn-index 2\nend 0\n', b'<html>', b'cairn-index 1\nend 1\n',
                                  b'cairn-index 1\nimage sha256:00 5 x\nend 1\n', b'cairn-index 1\nend 0\nend 0\n'])
def test_bad_list(folder, served, text):
    served.contents['/cairn/index'] = text
    words = fetch(folder, served, status=1)
    assert re.search('/cairn/index: (list of images: line [123]: |names no image)', words)


def test_another_image(folder, served):
    """The server gives other bytes under the digest of the image."""
    path = '/objects/' + re.sub('(..)', r'\1/', json.loads(cairn(folder, 'images', '--store', 'from', '--json'))['digest'],
                                count=1)
    served.add(path, 'flip', 1030)
    assert 'the image does not have its digest' in fetch(folder, served, status=3)
    assert objects(folder / 'to') == {}


def test_interrupted(folder, served):
    """Killed in the middle of the large one, it goes on there."""
    served.add(LARGE_PATH, 'drip', 500000, 0.2)
    command = [program('cairn'), 'fetch', 'site/an image', '--from', served.url, '--store', 'to', '-q']
    for how in (signal.SIGKILL, signal.SIGINT):
        running = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
        partial = folder / 'to' / 'cairn' / 'partial' / refimage.fsverity(LARGE)
        before = partial.stat().st_size if partial.exists() else 0
        for _ in range(100):
            if partial.exists() and partial.stat().st_size > before + 600000:
                break
            time.sleep(0.05)
        running.send_signal(how)
        assert running.wait() != 0
        assert partial.stat().st_size > before
    assert cairn(folder, 'refs', '--store', 'to') == ''
    came = partial.stat().st_size
    served.rules.clear()
    served.log.clear()
    done = json.loads(fetch(folder, served, '--json'))
    assert done['objects'] == 1
    asked = [a for a in served.log if a.path == LARGE_PATH]
    assert [a.headers.get('Range') for a in asked] == [f'bytes={came}-']
    check(folder, 'to')


def test_partial_from_another_time(folder, served):
    """What a partial file has is not believed."""
    fetch(folder, served)
    for digest, path in objects(folder / 'to').items():
        if digest == refimage.fsverity(LARGE):
            path.unlink()
    partial = folder / 'to' / 'cairn' / 'partial' / refimage.fsverity(LARGE)
    for data in (b'wrong' * 1000, b'x' * len(LARGE), b'x' * (len(LARGE) + 5), LARGE[:3000000]):
        partial.write_bytes(data)
        fetch(folder, served)
        check(folder, 'to')
        objects(folder / 'to')[refimage.fsverity(LARGE)].unlink()
    served.add(LARGE_PATH, 'no_range')
    partial.write_bytes(LARGE[:3000000])
    fetch(folder, served)
    check(folder, 'to')


def test_two_at_once(folder, served):
    served.add(LARGE_PATH, 'drip', 1000000, 0.1)
    command = [program('cairn'), 'fetch', 'site/an image', '--from', served.url, '--store', 'to', '-q']
    runs = [subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [p.wait() for p in runs] == [0, 0, 0]
    check(folder, 'to')


def test_usage(folder):
    assert 'not an http:// or https:// URL' in cairn(folder, 'fetch', 'x', '--from', 'from', status=2)
    assert 'needs --to or --from' in cairn(folder, 'copy', 'x', status=2)
    assert cairn(folder, 'copy', 'x', '--from', 'from', '--to', 'to', status=1) == \
        'cairn: copy: x: no image of this name in from\n'


# --- container images: the merged image with all that belongs to it -------------------------------

def pull(folder, store, *options):
    return json.loads(cairn(folder, 'pull', '-q', '--json', '--profile', 'runtime', '--name', 'x/a:1', '--store', store,
                            *options, 'oci:layout:a'))


@pytest.fixture
def pulled(tmp_path):
    layout = Layout(tmp_path / 'layout')
    layout.name(layout.image(random_layers(1, nr=3, files=20)), 'a')
    pull(tmp_path, 'from', '--keep-blobs')
    return tmp_path


def served_files(store):
    files = {f'/objects/{d[:2]}/{d[2:]}': p.read_bytes() for d, p in objects(store).items()}
    files['/cairn/index'] = (store / 'cairn' / 'index').read_bytes()
    return files


def bring(folder, how, to='to', *options, name='x/a:1', status=0):
    """Copies the image, or fetches it."""
    if how == 'copy':
        return cairn(folder, 'copy', name, '--from', 'from', '--to', to, *options, status=status)
    cairn(folder, 'export', '--store', 'from')
    with Faults(served_files(folder / 'from')) as server:
        return cairn(folder, 'fetch', name, '--from', server.url, '--store', to, *options, status=status)


def names_of(store):
    return {str(p.relative_to(store)): os.readlink(p) for kind in ('images', 'streams') for p in (store / kind).rglob('*')
            if p.is_symlink()}


@pytest.mark.parametrize('alg', ['sha256', 'sha512'])
@pytest.mark.parametrize('how', ['copy', 'fetch'])
def test_container(pulled, how, alg):
    """All is there as at the source: what belongs to it, and how it goes out again."""
    cairn(pulled, 'store', 'init', '--alg', alg, 'to')
    done = json.loads(bring(pulled, how, 'to', '--json'))
    manifest = json.load(open(pulled / 'layout' / 'index.json'))['manifests'][0]['digest']
    assert (done['manifest'], done['layers'], done['blobs']) == (manifest, 3, 3)
    assert done['objects'] == done['needed'] == len(objects(pulled / 'from')) - 9
    if alg == 'sha256':
        assert names_of(pulled / 'to') == names_of(pulled / 'from')
        assert objects(pulled / 'to').keys() == objects(pulled / 'from').keys()
    assert names_of(pulled / 'to').keys() & {'images/refs/x/a:1', 'streams/refs/oci/x%2Fa:1'} == {
        'images/refs/x/a:1', 'streams/refs/oci/x%2Fa:1'}
    # Nothing comes twice, and a pull has nothing to fetch.
    again = json.loads(bring(pulled, how, 'to', '--json'))
    assert (again['digest'], again['manifest']) == (done['digest'], manifest)
    assert alg == 'sha512' or (again['objects'], again['needed']) == (0, done['needed'])
    assert pull(pulled, 'to', '--keep-blobs')['fetched'] == 0
    # A collection leaves all of it as long as it has its name.
    assert json.loads(cairn(pulled, 'gc', '-q', '--json', '--store', 'to'))['removed'] == 0
    cairn(pulled, 'fsck', '-q', '--store', 'to')
    out = json.loads(cairn(pulled, 'oci', 'export', '-q', '--json', '--store', 'to', 'x/a:1', 'oci:out:b'))
    assert (out['digest'], out['kept'], out['changed']) == (manifest, 3, False)
    layers = [cairn(pulled, 'oci', 'layers', '--store', store, 'oci:layout:a') for store in ('from', 'to')]
    assert layers[0] == layers[1]
    cairn(pulled, 'untag', 'x/a:1', '--store', 'to')
    cairn(pulled, 'gc', '-q', '--empty', '--store', 'to')
    assert objects(pulled / 'to') == names_of(pulled / 'to') == {}


def test_container_renamed_and_alone(pulled):
    digest = cairn(pulled, 'images', '--store', 'from', '--json')
    digest = json.loads(digest)['digest']
    bring(pulled, 'copy', 'to', '--name', 'b:2')
    assert names_of(pulled / 'to')['streams/refs/oci/b:2'] == names_of(pulled / 'from')['streams/refs/oci/x%2Fa:1']
    # By its digest it is the image alone.
    done = json.loads(bring(pulled, 'copy', 'alone', '--name', 'b:2', '--json', name=digest))
    assert (done['manifest'], done['layers']) == (None, 0) and not (pulled / 'alone' / 'streams').exists()


@pytest.mark.parametrize('how', ['copy', 'fetch'])
def test_container_of_another_image(pulled, how):
    """The name is that of another image now: its layers are not those of the container image."""
    os.mkdir(pulled / 'tree')
    (pulled / 'tree' / 'f').write_bytes(b'another ' * 1000)
    cairn(pulled, 'build', 'tree', '--store', 'from', '--name', 'x/a:1')
    done = json.loads(bring(pulled, how, 'to', '--json'))
    assert (done['manifest'], done['needed']) == (None, 3)
    assert names_of(pulled / 'to').keys() == {'images/refs/x/a:1', 'images/' + done['digest']}


def test_container_interrupted(pulled):
    """One content is not to be had: what came is not asked for again, and is garbage until then."""
    cairn(pulled, 'export', '--store', 'from')
    files = served_files(pulled / 'from')
    lost = '/objects/' + max((d for d in objects(pulled / 'from')), key=lambda d: len(files[f'/objects/{d[:2]}/{d[2:]}']))
    lost = lost[:11] + '/' + lost[11:]
    with Faults(files) as server:
        server.add(lost, 'status', 404)
        assert 'is not there' in cairn(pulled, 'fetch', 'x/a:1', '--from', server.url, '--store', 'to', status=1)
        assert names_of(pulled / 'to') == {}
        cairn(pulled, 'fsck', '-q', '--store', 'to')
        came = set(objects(pulled / 'to'))
        server.rules.clear()
        server.log.clear()
        cairn(pulled, 'fetch', 'x/a:1', '--from', server.url, '--store', 'to')
        asked = {a.path[9:].replace('/', '') for a in server.log if a.path.startswith('/objects')}
    assert came and not (asked & came - {json.loads(cairn(pulled, 'images', '--store', 'to', '--json'))['digest']})
    assert names_of(pulled / 'to') == names_of(pulled / 'from')


def test_container_sealed(tmp_path):
    """The seal is worth there what it is worth here."""
    with tarfile.open(os.path.join(GOLDEN, 'oci', 'oci-layout.tar')) as archive:
        archive.extractall(tmp_path / 'l')
    cairn(tmp_path, 'pull', '-q', '--require-seal', '--store', 'from', '--name', 'x/a:1', 'oci:l:inline-sealed')
    for how in ('copy', 'fetch'):
        assert json.loads(bring(tmp_path, how, how, '--json'))['sealed'] is True
        assert names_of(tmp_path / how) == names_of(tmp_path / 'from')
        cairn(tmp_path, 'fsck', '-q', '--store', how)
    cairn(tmp_path, 'store', 'init', '--alg', 'sha512', 'wide')
    assert json.loads(bring(tmp_path, 'copy', 'wide', '--json'))['sealed'] is False


# --- streams that were made to deceive, or by another tool ----------------------------------------

TYPES = {'layer': b'ocilayer', 'config': b'ociconfg', 'manifest': b'ocimanif', 'blob': b'oci_blob'}


def zstd(data):
    return subprocess.run(['zstd', '-q', '-c'], input=data, stdout=subprocess.PIPE, check=True).stdout


def unpack(data):
    """A split stream: its kind, its names, its objects, its body, and how long it says that it is."""
    at = struct.unpack_from('<10Q', data, 32)
    body, names = (subprocess.run(['zstd', '-q', '-d', '-c'], input=data[at[i]:at[i + 1]], stdout=subprocess.PIPE,
                                  check=True).stdout for i in (4, 6))
    ids = [[data[i:i + 32].hex() for i in range(at[2 * t], at[2 * t + 1], 32)] for t in (0, 1)]
    table = [record.split(':', 1) for record in names.decode().split('\0')[:-1]]
    return {'kind': data[96:104], 'names': {name: ids[0][int(i)] for i, name in table}, 'objects': ids[1], 'body': body,
            'size': at[9]}


def pack(s, old=False):
    refs = list(dict.fromkeys(s['names'].values()))
    names = zstd(b''.join(f'{refs.index(i)}:{n}\0'.encode() for n, i in sorted(s['names'].items())))
    body, at, parts = zstd(s['body']), 112, []
    for part in (bytes.fromhex(''.join(refs)), bytes.fromhex(''.join(s['objects'])), names, body):
        parts.append((at, at + len(part)))
        at += len(part)
    if old:
        head = struct.pack('<QQH11sBBB', 32, 112, 0, b'SplitStream', 0, 1, 12)
    else:
        head = struct.pack('<11sBHBBQQ', b'SplitStream', 0, 0, 1, 12, 32, 112)
    return head + struct.pack('<8Q', *parts[0], *parts[1], *parts[3], *parts[2]) + s['kind'] + struct.pack(
        '<Q', s['size']) + bytes.fromhex(''.join(refs)) + bytes.fromhex(''.join(s['objects'])) + names + body


def put(store, data):
    """An object into the store; its digest."""
    digest = refimage.fsverity(data)
    path = store / 'objects' / digest[:2] / digest[2:]
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        path.write_bytes(data)
    return digest


def change(store, entry, how, old=False):
    """Changes the stream with the entry, and those that name it; the entry of the manifest leads to what came of it."""
    def stream(path):
        digest = os.readlink(path)[11:].replace('/', '')
        return digest, unpack(objects(store)[digest].read_bytes())

    def point(path, digest):
        path.unlink()
        path.symlink_to(f'../objects/{digest[:2]}/{digest[2:]}')

    path = next((store / 'streams').glob(entry))
    was, s = stream(path)
    how(s)
    point(path, put(store, pack(s, old)))
    becomes = {was: stream_id(path)}
    for kind in ('oci-config-*', 'oci-manifest-*'):
        above = next((store / 'streams').glob(kind))
        was, s = stream(above) if above != path else (None, None)
        if was and becomes.keys() & set(s['names'].values()):
            s['names'] = {n: becomes.get(i, i) for n, i in s['names'].items()}
            point(above, put(store, pack(s, old)))
            becomes[was] = stream_id(above)


def stream_id(path):
    return os.readlink(path)[11:].replace('/', '')


def padding(s):
    """Other bytes behind a content, which mean nothing: another tar of the same files."""
    s['body'] = s['body'][:-1] + bytes([s['body'][-1] ^ 1])


def endless(s):
    s['size'] = 1 << 62


def too_many(s):
    s['body'] = s['body'] + struct.pack('<q', 0) * 5000


def nameless(s):
    s['names'] = {n: i for n, i in s['names'].items() if not n.startswith('config:')}


def no_layer(s):
    s['names'] = {n: i for n, i in s['names'].items() if not n.startswith('sha256:')}


def other_blob(s):
    s['objects'] = [put(other_blob.store, b'x' * s['size'])]


def itself(s):
    s['kind'] = TYPES['config']


DECEIVED = [('copy', 'oci-layer-*', padding, 3, 'layer [012]: the layer has diff_id'),
            ('fetch', 'oci-layer-*', padding, 3, 'layer [012]: the layer has diff_id'),
            ('copy', 'oci-layer-*', endless, 1, 'layer [012]: split stream: 4294967296 GiB, at most 512 are accepted'),
            ('fetch', 'oci-layer-*', too_many, 1, 'layer [012]: split stream: an object where no file'),
            ('copy', 'oci-layer-*', itself, 1, 'layer [012]: split stream: of another type than its name says'),
            ('fetch', 'oci-config-*', endless, 1, 'config: split stream: 4294967296 GiB, at most 512'),
            ('copy', 'oci-manifest-*', nameless, 1, "config: the manifest's stream does not name sha256:"),
            ('fetch', 'oci-blob-*', other_blob, 3, 'layer [012]: its blob has digest')]


@pytest.mark.parametrize('how, entry, deceit, status, words', DECEIVED, ids=lambda v: getattr(v, '__name__', None))
def test_deceived(pulled, how, entry, deceit, status, words):
    other_blob.store = pulled / 'from'
    change(pulled / 'from', entry, deceit)
    said = bring(pulled, how, status=status)
    assert re.search(f'^cairn: {how}: .*container image x/a:1: {words}', said) and said.count('\n') == 1
    assert names_of(pulled / 'to') == {}
    cairn(pulled, 'fsck', '-q', '--store', 'to')


@pytest.mark.parametrize('how', ['copy', 'fetch'])
def test_made_by_another_tool(pulled, how):
    """Streams with the older header, and a name that only the container image has; layers that only the config names."""
    (pulled / 'from' / 'images' / 'refs' / 'x' / 'a:1').unlink()
    shutil.rmtree(pulled / 'from' / 'cairn')
    change(pulled / 'from', 'oci-layer-*', lambda s: None, old=True)
    change(pulled / 'from', 'oci-manifest-*', no_layer)
    image = next(iter(json.loads(line)['digest'] for line in cairn(pulled, 'images', '--store', 'from', '--json').splitlines()))
    change(pulled / 'from', 'oci-config-*', lambda s: s['names'].update({'composefs.image.boot.v1': image}), old=True)
    assert cairn(pulled, 'ls', '--store', 'from', 'x/a:1')
    done = json.loads(bring(pulled, how, 'to', '--json'))
    assert (done['name'], done['digest'], done['layers']) == ('x/a:1', image, 3)
    cairn(pulled, 'fsck', '-q', '--store', 'to')
    assert json.loads(cairn(pulled, 'gc', '-q', '--json', '--store', 'to'))['removed'] == 0
    out = json.loads(cairn(pulled, 'oci', 'export', '-q', '--json', '--store', 'to', 'x/a:1', 'oci:out:b'))
    assert (out['kept'], out['changed']) == (3, False)
