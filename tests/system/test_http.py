# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""The HTTP client: each byte once and in order, whatever the server does; credentials to nobody else."""

import os
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from faults import Faults  # noqa: E402
from programs import BUILD  # noqa: E402

DATA = bytes((i * 7 + i // 251) & 255 for i in range(3_000_000))


def fnv(data):
    """As httptool sums."""
    total = 0xcbf29ce484222325
    for byte in data:
        total = ((total ^ byte) * 0x100000001b3) & (2 ** 64 - 1)
    return f'{total:016x}'


SUM = fnv(DATA)


@pytest.fixture
def server():
    with Faults({'/data': DATA, '/small': b'hello'}) as running:
        yield running


def ask(*words, env=None):
    """{number of the URL: what was printed about it}"""
    result = subprocess.run([os.path.join(BUILD, 'tests', 'system', 'httptool'), *map(str, words)],
                            capture_output=True, text=True, timeout=60, check=False,
                            env=dict(os.environ, **(env or {})))
    assert (result.returncode, result.stderr) == (0, '')
    return dict((int(line.split(' ', 1)[0]), line.split(' ', 1)[1]) for line in result.stdout.splitlines())


def whole(size=len(DATA), total=SUM, partial=0, status=200):
    return f'result 0 status {status} size {size} partial {partial} sum {total}'


def test_plain(server):
    assert ask(server.url + '/data') == {0: whole()}
    assert ask('keep=5', server.url + '/small')[0].startswith('result 0 status 200 size 5 ')
    assert 'longer than 4 bytes' in ask('keep=4', server.url + '/small')[0]
    assert ask(server.url + '/nothing')[0] == 'result 0 status 404 size 0 partial 0 said no such thing'
    assert ask('method=HEAD', server.url + '/data')[0].startswith('result 0 status 200 size 0 ')
    assert server.log[-1].headers['User-Agent'].startswith('cairn/')
    assert server.log[-1].headers['Accept-Encoding'] == 'identity'


def test_many_at_once(server):
    urls = [server.url + ('/data' if i % 2 else '/small') for i in range(12)]
    found = ask('connections=3', *urls)
    assert found == {i: whole() if i % 2 else whole(5, fnv(b'hello')) for i in range(12)}


def test_ranges(server):
    part = DATA[1000:51000]
    assert ask('from=1000', 'size=50000', server.url + '/data')[0] == whole(50000, fnv(part), 1, 206)
    assert ask('from=2999000', server.url + '/data')[0] == whole(1000, fnv(DATA[2999000:]), 1, 206)
    assert ask('from=9000000', server.url + '/data')[0].startswith('result 0 status 416 ')
    server.add('/data', 'short_range', 9000)
    assert ask('from=1000', 'size=50000', server.url + '/data')[0] == whole(50000, fnv(part), 1, 206)
    server.clear()
    server.add('/data', 'no_range')
    assert ask('from=1000', 'size=50000', server.url + '/data')[0] == whole()
    server.clear()
    server.add('/data', 'wrong_range')
    assert 'bytes from 1001 on were sent' in ask('from=1000', server.url + '/data')[0]


def test_resume(server):
    server.add('/data', 'cut', 700000, times=3)
    assert ask(server.url + '/data')[0] == whole()
    assert [a.headers['Range'] for a in server.log] == [None, 'bytes=700000-', 'bytes=1400000-',
                                                        'bytes=2100000-']
    # The same of a part, and of a server that then sends all of it.
    server.clear()
    server.add('/data', 'cut', 10000, times=2)
    part = DATA[500:100500]
    assert ask('from=500', 'size=100000', server.url + '/data')[0] == whole(100000, fnv(part), 1, 206)
    server.clear()
    server.add('/data', 'cut', 10000, times=1)
    server.add('/data', 'no_range')
    assert ask(server.url + '/data')[0] == whole()


def test_resume_finds_another_file(server):
    server.add('/data', 'cut', 1000, times=1)
    server.add('/data', 'header', 'ETag', '"a"', times=1)
    server.add('/data', 'header', 'ETag', '"b"')
    assert ask(server.url + '/data')[0].endswith('it changed while it was fetched')


def test_gives_up(server):
    server.add('/data', 'cut', 1000)
    assert ask('attempts=3', server.url + '/data')[0].startswith('result -104 ')
    assert len(server.log) == 3
    server.clear()
    server.add('/data', 'reset')
    assert ask('attempts=2', server.url + '/data')[0].startswith('result -104 ')
    assert ask('http://127.0.0.1:1/')[0].startswith('result -111 ')


@pytest.mark.parametrize('status', [408, 429, 500, 502, 503, 504])
def test_status_that_passes(server, status):
    server.add('/small', 'status', status, times=2)
    assert ask(server.url + '/small')[0] == whole(5, fnv(b'hello'))
    server.clear()
    server.add('/small', 'status', status)
    assert ask('attempts=2', server.url + '/small')[0] == (
        f'result 0 status {status} size 0 partial 0 said said no')
    assert len(server.log) == 2


@pytest.mark.parametrize('status', [400, 401, 403, 404, 416, 501])
def test_status_that_stays(server, status):
    server.add('/small', 'status', status)
    assert ask(server.url + '/small')[0].startswith(f'result 0 status {status} ')
    assert len(server.log) == 1


def test_retry_after(server):
    server.add('/small', 'status', 429, {'Retry-After': '1'}, times=1)
    start = time.monotonic()
    assert ask(server.url + '/small')[0] == whole(5, fnv(b'hello'))
    assert time.monotonic() - start >= 1


def test_wrong_length(server):
    server.add('/small', 'drip', 1, 0.05)
    assert ask(server.url + '/small')[0] == whole(5, fnv(b'hello'))
    server.add('/data', 'header', 'Content-Encoding', 'gzip')
    assert 'Content-Encoding gzip' in ask(server.url + '/data')[0]


def test_stall(server):
    server.add('/data', 'drip', 100, 5, times=1)
    assert ask('stall=1', server.url + '/data')[0] == whole()


def test_redirects(server):
    with Faults({'/data': DATA}) as other:
        server.add('/data', 'redirect', other.url + '/data')
        assert ask('authorization=Basic c2VjcmV0', server.url + '/data')[0] == whole()
        assert server.log[0].headers['Authorization'] == 'Basic c2VjcmV0'
        assert 'Authorization' not in other.log[0].headers  # another port is another origin

        # To the same origin it is sent again; a cut body goes back to the first URL.
        server.clear()
        server.add('/here', 'redirect', '/data', 302)
        server.add('/data', 'cut', 5000, times=1)
        assert ask('authorization=Basic c2VjcmV0', server.url + '/here')[0] == whole()
        assert [a.path for a in server.log] == ['/here', '/data', '/here', '/data']
        assert {a.headers['Authorization'] for a in server.log} == {'Basic c2VjcmV0'}

    server.clear()
    server.add('/data', 'redirect', '/data')
    assert 'redirected more than 10 times' in ask(server.url + '/data')[0]
    server.clear()
    server.add('/data', 'redirect', 'file:///etc/passwd')
    assert ask(server.url + '/data')[0].startswith('result -')
    server.clear()
    server.add('/data', 'redirect', 'http://192.0.2.1/')
    assert 'must be allowed explicitly' in ask(server.url + '/data')[0]


def test_sends(server):
    assert ask('method=PUT', 'send=1000000', server.url + '/up')[0].startswith('result 0 status 201 ')
    assert server.received['/up'] == b'0123456789' * 100000
    server.add('/up', 'status', 503, times=1)
    assert ask('method=PATCH', 'send=25', server.url + '/up')[0].startswith('result 0 status 201 ')
    assert server.received['/up'] == (b'0123456789' * 3)[:25]
    # What may have been done is not done twice.
    server.clear()
    server.add('/up', 'status', 500)
    assert ask('method=POST', 'send=25', server.url + '/up')[0].startswith('result 0 status 500 ')
    assert len(server.log) == 1
    assert ask('method=POST', server.url + '/empty')[0].startswith('result 0 status 201 ')
    assert ask('method=DELETE', server.url + '/data')[0].startswith('result 0 status 200 ')


def test_cancel(server):
    server.add('/data', 'drip', 100, 1)
    start = time.monotonic()
    assert ask('cancel=300', server.url + '/data', server.url + '/data')[1].startswith('result -125 ')
    assert time.monotonic() - start < 2


def test_nothing_from_the_environment(server, tmp_path):
    (tmp_path / '.netrc').write_text('machine 127.0.0.1 login a password b\n')
    env = {'http_proxy': 'http://127.0.0.1:1', 'HTTP_PROXY': 'http://127.0.0.1:1', 'ALL_PROXY': 'http://127.0.0.1:1',
           'HOME': str(tmp_path)}
    assert ask(server.url + '/small', env=env)[0] == whole(5, fnv(b'hello'))
    assert 'Authorization' not in server.log[0].headers
    # A proxy is not used for this machine.
    assert ask('proxy=http://127.0.0.1:1', server.url + '/small')[0] == whole(5, fnv(b'hello'))
    assert ask('proxy=http://127.0.0.1:1', 'https://example.invalid/')[0].startswith('result -111 ')


def test_tls(tmp_path):
    cert, key = tmp_path / 'cert.pem', tmp_path / 'key.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                    '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=localhost', '-addext',
                    'subjectAltName=IP:127.0.0.1'], check=True, capture_output=True)
    with Faults({'/small': b'hello'}, tls=(cert, key)) as server, Faults({'/small': b'evil'}) as plain:
        assert ask(server.url + '/small')[0].startswith('result -129 ')
        assert ask(plain.url.replace('http:', 'https:') + '/small')[0].startswith('result -71 ')
        assert ask(f'ca={cert}', server.url + '/small')[0] == whole(5, fnv(b'hello'))
        assert ask('insecure=1', server.url + '/small')[0] == whole(5, fnv(b'hello'))
        server.add('/small', 'redirect', plain.url + '/small')
        assert 'not https as this is' in ask(f'ca={cert}', server.url + '/small')[0]
        assert not plain.log


def test_bad_urls():
    for url in ['ftp://127.0.0.1/', 'file:///etc/passwd', '/x', 'http://', 'nonsense']:
        assert ask(url)[0].endswith('not a URL of http or https'), url
