# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""An HTTP server that misbehaves on purpose: of contents of its own, or in front of a real server.

    with Faults({'/a': b'...'}) as server:             # or Faults(upstream=('127.0.0.1', 5000))
        server.add('/a', 'cut', 1000, times=2)         # the first two answers end after 1000 bytes
        ... server.url + '/a' ...
        server.log                                     # what was asked: [Asked(method, path, headers)]

Faults, for paths that match a regular expression:

    status N [HEADERS]    that status, a short text as body
    redirect URL [STATUS] to there
    cut N                 the connection ends after N bytes of the body
    cut_once_each N       the same for every answer that is longer than N
    longer / shorter N    Content-Length is wrong by N, and so is the body
    flip N                the byte at offset N of the resource is wrong
    drip N SECONDS        N bytes, then SECONDS of silence, and so on
    no_range              Range is ignored
    wrong_range           the part is not the one that was asked for
    short_range N         at most N bytes of a part, truly told
    header NAME VALUE     one more header
    reset                 no answer at all
"""

import collections
import http.client
import http.server
import re
import socket
import ssl
import struct
import threading
import time

Asked = collections.namedtuple('Asked', 'method path headers body')


class Rule:
    def __init__(self, path, fault, args, times, method):
        self.path, self.fault, self.args, self.times = re.compile(path), fault, args, times
        self.method = method

    def applies(self, method, path):
        return self.times != 0 and self.path.fullmatch(path) and self.method in (None, method)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def take_rules(self):
        taken = {}
        with self.server.faults.lock:
            for rule in self.server.faults.rules:
                if rule.fault not in taken and rule.applies(self.command, self.path):
                    rule.times -= 1
                    taken[rule.fault] = rule.args
        return taken

    def body_sent_to_us(self):
        if self.headers.get('Transfer-Encoding', '').lower() == 'chunked':
            body = b''
            while True:
                size = int(self.rfile.readline().split(b';')[0], 16)
                body += self.rfile.read(size)
                self.rfile.readline()
                if not size:
                    return body
        return self.rfile.read(int(self.headers.get('Content-Length') or 0))

    def original(self, body, rules):
        """(status, headers, body) without faults."""
        faults = self.server.faults
        asked = dict(self.headers)
        if 'no_range' in rules or 'wrong_range' in rules or 'short_range' in rules:
            asked = {k: v for k, v in asked.items() if k.lower() != 'range' or 'no_range' not in rules}
        if faults.upstream:
            connection = http.client.HTTPConnection(*faults.upstream, timeout=60)
            connection.request(self.command, self.path, body or None,
                               {k: v for k, v in asked.items()
                                if k.lower() not in ('connection', 'transfer-encoding', 'expect',
                                                     'content-length')})
            answer = connection.getresponse()
            content = answer.read()
            headers = {k: v for k, v in answer.getheaders()
                       if k.lower() not in ('connection', 'transfer-encoding')}
            if self.command == 'HEAD':
                return answer.status, headers, None
            headers.pop('Content-Length', None)
            return answer.status, headers, content
        if self.command in ('PUT', 'POST', 'PATCH'):
            faults.received[self.path] = body
            return 201, {}, b''
        content = faults.contents.get(self.path)
        if callable(content):
            return content(self)
        if content is None:
            return 404, {}, b'no such thing'
        return self.part_of(content, asked.get('Range'), rules)

    def part_of(self, content, wanted, rules):
        headers = {'Content-Type': 'application/octet-stream'}
        match = wanted and re.fullmatch(r'bytes=(\d+)-(\d*)', wanted)
        if not match:
            return 200, headers, content
        first, last = int(match[1]), int(match[2] or len(content) - 1)
        if first >= len(content):
            return 416, {'Content-Range': f'bytes */{len(content)}'}, b''
        last = min(last, len(content) - 1)
        if 'wrong_range' in rules:
            first += 1
        if 'short_range' in rules:
            last = min(last, first + rules['short_range'][0] - 1)
        headers['Content-Range'] = f'bytes {first}-{last}/{len(content)}'
        return 206, headers, content[first:last + 1]

    def answer(self):
        body = self.body_sent_to_us()
        faults = self.server.faults
        with faults.lock:
            faults.log.append(Asked(self.command, self.path, self.headers, body))
        own = faults.answer and faults.answer(self, body)
        rules = self.take_rules()
        if own:
            self.send(*own, rules)
            return
        if 'reset' in rules:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        if 'status' in rules:
            status, *more = rules['status']
            self.send(status, dict(*more), b'said no', rules)
        elif 'redirect' in rules:
            url, *status = rules['redirect']
            self.send(status[0] if status else 307, {'Location': url}, b'elsewhere', rules)
        else:
            self.send(*self.original(body, rules), rules)

    def send(self, status, headers, body, rules):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if 'header' in rules:
            self.send_header(*rules['header'])
        if body is None:
            self.end_headers()
            return
        part = re.match(r'bytes (\d+)', headers.get('Content-Range', ''))
        first = int(part[1]) if part else 0
        if 'flip' in rules and first <= rules['flip'][0] < first + len(body):
            body = bytearray(body)
            body[rules['flip'][0] - first] ^= 1
        if 'longer' in rules:
            body = bytes(body) + b'x' * rules['longer'][0]
        if 'shorter' in rules:
            body = body[:-rules['shorter'][0]]
        self.send_header('Content-Length', len(body))
        self.end_headers()
        if self.command == 'HEAD':
            return
        self.send_body(body, rules)

    def send_body(self, body, rules):
        cut = rules.get('cut') or rules.get('cut_once_each')
        if cut and len(body) > cut[0]:
            self.wfile.write(body[:cut[0]])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if 'drip' in rules:
            step, seconds = rules['drip']
            for at in range(0, len(body), step):
                self.wfile.write(body[at:at + step])
                self.wfile.flush()
                time.sleep(seconds)
            return
        self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that went away is none of our business


class Faults:
    """See the top of the file. @tls: (certificate, key) files; @host: the address to listen on."""

    def __init__(self, contents=None, upstream=None, tls=None, host='127.0.0.1'):
        self.contents, self.upstream = contents or {}, upstream
        self.rules, self.log, self.received = [], [], {}
        self.answer = None  # or answer(handler, body): (status, headers, body), None: as usual
        self.lock = threading.Lock()
        self.server = Server((host, 0), Handler)
        self.server.faults = self
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.host, self.port = host, self.server.server_address[1]
        self.url = f'{"https" if tls else "http"}://{host}:{self.port}'

    def add(self, path, fault, *args, times=-1, method=None):
        self.rules.append(Rule(path, fault, args, times, method))

    def clear(self):
        with self.lock:
            self.rules.clear()
            self.log.clear()

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True).start()
        return self

    def __exit__(self, *args):
        self.server.shutdown()
        self.server.server_close()
