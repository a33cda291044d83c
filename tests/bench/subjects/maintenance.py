# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Keeping a store in order: collecting, checking, finding a name in a large one."""

import hashlib
import os
import shutil
import subprocess

from harness import MIB, execute, paired

FILE_SIZE = 1000


def fill(bench, images, files):
    """A store of @images images with @files objects each, which have the right names and sizes only: those of
    an image are one file with many names, which is made quickly."""
    store = bench.path(f'names-{images * files}.store')
    if os.path.exists(store):
        return store
    subprocess.run([bench.cairn, 'store', 'init', store, '--insecure'], check=True,
                   stdout=subprocess.DEVNULL)
    objects = os.path.join(store, 'objects')
    for i in range(256):
        os.makedirs(os.path.join(objects, f'{i:02x}'))
    for image in range(images):
        one = os.path.join(store, 'one')
        with open(one, 'w') as f:
            f.truncate(FILE_SIZE)
        lines = ['/ 0 40755 2 0 0 0 0.0 - - -']
        for i in range(files):
            name = hashlib.sha256(f'{image}/{i}'.encode()).hexdigest()
            path = f'{name[:2]}/{name[2:]}'
            os.link(one, os.path.join(objects, path))
            lines.append(f'/{i:06} {FILE_SIZE} 100644 1 0 0 0 0.0 {path} - {name}')
        subprocess.run([bench.cairn, 'build', '-', '--name', f'image{image}', '--store', store],
                       input='\n'.join(lines).encode() + b'\n', check=True,
                       stdout=subprocess.DEVNULL)
        os.unlink(one)
    return store


def collect(bench):
    """Collecting in a store of a million objects in 50 images, nothing to do; opening it

    The limit of the second row is a process that does nothing.
    """
    images, files = (10, 5000) if bench.quick else (50, 20000)
    store = fill(bench, images, files)
    s = paired({'gc': [bench.cairn, 'gc', '-q', '--store', store]}, bench.rounds)
    seconds = s['gc'].median()
    bench.row(f'gc of {images * files:,} objects, {images} images', s['gc'], peak=100 * MIB,
              wanted='≤ 3 s', good=seconds <= 3)
    s = paired({'info': [bench.cairn, 'store', 'info', store], 'nothing': [bench.cairn, 'version']},
               10 * bench.rounds)
    spent = s['info'].median() - s['nothing'].median()
    bench.row('opening it', s['info'], s['nothing'].median(), '`cairn version`',
              wanted='≤ 1 ms more', good=spent <= 0.001)


def check(bench):
    """Checking a store, warm

    The limit reads the same objects and hashes them, with two threads, and asks, compares and tells nothing.
    `walk+open+read` does not even hash. `cairn digest` reads and hashes the tree that the store was made from.
    """
    count = 10000 if bench.quick else 100000
    tree, store = bench.tree('real', count), bench.fresh('checked.store')
    subprocess.run([bench.cairn, 'build', tree, '--name', 'a', '--store', store], check=True,
                   stdout=subprocess.DEVNULL)
    fsck, walk = [bench.cairn, 'fsck', '-q', '--store', store], bench.tool('walk-baseline')
    execute(fsck)
    s = paired({'fsck': fsck, 'limit': [walk, '-d', store + '/objects'],
                'walk+open+read': [walk, store + '/objects'], 'cairn digest': [bench.cairn, 'digest', tree]},
               bench.rounds)
    bench.row(f'fsck of the store of {count:,} files of /usr', s['fsck'], s['limit'].median(),
              'reads, hashes', 1.11,
              peers={name: s[name].median() for name in ('walk+open+read', 'cairn digest')})
    shutil.rmtree(store)


SECTIONS = [collect, check]
