# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Dump text to image and back."""

import os

from harness import MIB, execute, paired


def dump_to_image(bench):
    """Dump text → image, and what reads an image

    `cat` reads the text and writes as many bytes as the image has.
    """
    count = 100000 if bench.quick else 1000000
    text, image, copy = bench.dump('system', count), bench.path('a.image'), bench.path('a.copy')
    synced = [bench.cairn, 'build', text, '-o', image]
    execute(synced)
    s = paired({
        'cairn': f'{bench.cairn} build {text} -o - >{image}',
        'limit': f'cat {text} >/dev/null; cat {image} >{copy}',
        'cairn synced': synced,
        'limit synced': f'cat {text} >/dev/null; cat {image} >{copy}; sync {copy}',
    }, bench.rounds)
    written = s['cairn'].median()
    bench.row(f'dump → image, {count:,} entries', s['cairn'], s['limit'].median(), 'cat', 4,
              350 * MIB)
    bench.row('the same, image synced', s['cairn synced'], s['limit synced'].median(),
              'cat, sync', 4, 350 * MIB)

    s = paired({verb: [bench.cairn, verb, image] for verb in ('dump', 'ls', 'check')}, bench.rounds)
    bench.row('image → dump', s['dump'], written, 'its write', 1)
    bench.row('image → ls', s['ls'], written, 'its write', 1)
    bench.row('image check', s['check'], written, 'its write', 1)


def linear(bench):
    """Dump text → image: the time of one entry, however many there are"""
    counts = [10000, 100000, 1000000] + ([] if bench.quick else [10000000])
    for shape, sizes in ('system', counts), ('flat', counts[:3]), ('links', counts[:3]):
        base = None
        for count in sizes:
            text = bench.dump(shape, count)
            s = paired({'cairn': f'{bench.cairn} build {text} -o - >{bench.path("l.image")}'},
                       3 if count > 100000 else 2 * bench.rounds)['cairn']
            bench.row(f'{shape}, {count:,} entries: each', s, base, 'of 100,000', base and 1.3,
                      per=count, show=lambda t: f'{t * 1e6:.2f} µs')
            if count == 100000:
                base = s.median() / count
            if count > 1000000:
                os.unlink(text)


SECTIONS = [dump_to_image, linear]
