# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Layers of container images."""

import io
import os
import tarfile

from harness import MIB, execute, paired, say

LAYERS = 5


def layer(path, number, entries):
    """A layer whose entries are to two thirds at the paths of all the others, to one third its own."""
    with tarfile.open(path, 'w', format=tarfile.USTAR_FORMAT) as tar:
        seen = set()
        for k in range(entries):
            parts = ('usr', f'l{number}' if k % 3 == 0 else 'all', f'd{k // 1000:03}',
                     f'e{k // 50 % 20:02}')
            for depth in range(1, 5):
                name = '/'.join(parts[:depth])
                if name not in seen:
                    seen.add(name)
                    folder = tarfile.TarInfo(name)
                    folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(folder)
            file = tarfile.TarInfo('/'.join(parts) + f'/file{k:06}')
            file.mtime, file.size = k * (number + 1), 10
            tar.addfile(file, io.BytesIO(b'%010d' % k))


def merge_layers(bench):
    """Five layers upon each other, from their metadata images

    The limit reads the five images and writes the bytes of the result. The goal is about 100,000
    entries in each layer, reading and writing included.
    """
    entries = 20000 if bench.quick else 100000
    images = []
    for i in range(LAYERS):
        images.append(bench.path(f'layer{i}-{entries}.m'))
        if os.path.exists(images[-1]):
            continue
        say(f'making {images[-1]}')
        archive = bench.path('layer.tar')
        layer(archive, i, entries)
        execute([bench.cairn, 'oci', 'merge', '-q', '--partial', archive, '-o', images[-1]])
        os.unlink(archive)
    image, copy = bench.path('u.image'), bench.path('u.copy')
    merge = [bench.cairn, 'oci', 'merge', '-q', *images]
    execute([*merge, '-o', image])
    s = paired({
        'cairn': f'{" ".join(merge)} -o - >{image}',
        'digest': merge,
        'limit': f'cat {" ".join(images)} >/dev/null; cat {image} >{copy}',
    }, bench.rounds)
    wanted = 0.3 * entries / 100000
    for name, work in ('cairn', 'five layers → image'), ('digest', 'five layers → digest'):
        bench.row(f'{work}, {entries:,} entries each', s[name], s['limit'].median(), 'cat',
                  peak=350 * MIB, wanted=f'≤ {wanted:g} s', good=s[name].median() <= wanted)


SECTIONS = [merge_layers]
