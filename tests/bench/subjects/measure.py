# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""The digest of one large file, and the start of a command."""

import os

from harness import MIB, installed, paired


def measure(bench):
    """Digest of one large file, on one core"""
    size = (256 if bench.quick else 1024) * MIB
    big = bench.path('big')
    if not os.path.exists(big) or os.path.getsize(big) != size:
        with open(big, 'wb') as f:
            for _ in range(size // MIB):
                f.write(os.urandom(MIB))
    core = ['taskset', '-c', '0']
    peers = installed({'fsverity digest': core + ['fsverity', 'digest', big],
                       'openssl sha256': core + ['openssl', 'dgst', '-sha256', big]})
    s = paired({'cairn': core + [bench.cairn, 'measure', big], 'limit': core + ['cat', big],
                **peers}, bench.rounds)
    with open('/proc/cpuinfo') as f:
        reach = 3.5 if 'avx512f' in f.read() else 1.7
    wanted, good = None, None
    if 'fsverity digest' in peers:
        wanted = f'fsverity ≥ {reach}×'
        good = s['fsverity digest'].median() / s['cairn'].median() >= reach
    bench.row(f'digest of a file of {size // MIB} MiB', s['cairn'], s['limit'].median(), 'cat',
              peers={n: s[n].median() for n in peers}, wanted=wanted, good=good)


def start(bench):
    """Start-up of a command"""
    empty = bench.path('empty')
    os.makedirs(empty, exist_ok=True)
    commands = {'/bin/true': ['/bin/true'], 'digest of nothing': [bench.cairn, 'digest', empty],
                'help': [bench.cairn, 'help']}
    s = paired(commands, 40)
    for name in list(commands)[1:]:
        bench.row(f'start-up: {name}', s[name], s['/bin/true'].median(), '/bin/true',
                  wanted='≤ 3 ms', good=s[name].median() <= 0.003)


SECTIONS = [measure, start]
