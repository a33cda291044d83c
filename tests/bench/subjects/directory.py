# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""A directory to its digest, and to a store."""

import os
import shutil
import subprocess

from harness import execute, installed, paired


def digest(bench):
    """Directory → digest, warm, and into a store that has everything

    `walk+open+read` visits and reads the same files with two threads. `fsverity digest` runs two at a
    time. `mkfs.erofs` and `mksquashfs` make an image with the contents in it, uncompressed, and no
    digest of a file.
    """
    count = 10000 if bench.quick else 100000
    tree, store = bench.tree('real', count), bench.fresh('full.store')
    ours = [bench.cairn, 'digest', tree]
    peers = installed({
        'fsverity digest':
            f'find {tree} -type f -size +0 -print0 | xargs -0 -P 2 -n 500 fsverity digest',
        'mkfs.erofs': f'mkfs.erofs --quiet {bench.path("p.out")} {tree}',
        'mksquashfs': f'mksquashfs {tree} {bench.path("p.out")} -noappend -noD -noI -noF -noX '
                      '-no-progress',
        'tar': f'tar -cf {bench.path("p.out")} {tree}',
    })
    walk = [bench.tool('walk-baseline'), tree]
    execute(walk)
    s = paired({'cairn': ours, 'limit': walk, **peers}, bench.rounds,
               lambda name: bench.fresh('p.out'))
    bench.fresh('p.out')
    bench.row(f'directory → digest, {count:,} files of /usr', s['cairn'], s['limit'].median(),
              'walk+open+read', 2, peers={n: s[n].median() for n in peers})

    fill = [bench.cairn, 'build', tree, '-o', bench.path('f.image'), '--store', store]
    execute(fill)
    s = paired({'read': fill + ['--no-cache'], 'cache': fill, 'digest': ours}, bench.rounds)
    shutil.rmtree(store)
    bench.row('directory → store, store full, `--no-cache`', s['read'], s['digest'].median(),
              'its digest', 1.2)
    bench.row('the same, only what has changed is read', s['cache'], s['digest'].median(),
              'its digest')


def small_files(bench):
    """Directory → digest of small files, warm"""
    count = 20000 if bench.quick else 200000
    tree = bench.tree('small', count)
    walk = [bench.tool('walk-baseline'), tree]
    execute(walk)
    s = paired({'cairn': [bench.cairn, 'digest', tree], 'limit': walk}, bench.rounds)
    bench.row(f'directory → digest, {count:,} files of 0 to 4000 bytes', s['cairn'],
              s['limit'].median(), 'walk+open+read', 1.5)


def fill_stores(bench, count, peers, rounds):
    tree, out = bench.tree('real', count), bench.path('s.out')
    execute([bench.cairn, 'digest', tree])

    def clean(name):
        bench.fresh('s.out')
        if name == 'ostree commit':
            subprocess.run(['ostree', 'init', '--mode=bare', '--repo=' + out], check=True)
        os.sync()

    commands = {
        'cairn': [bench.cairn, 'build', tree, '-o', bench.path('s.image'), '--store', out],
        'cp -a': f'cp -a {tree} {out}',
        **installed({name: text.format(tree=tree, out=out) for name, text in peers.items()}),
    }
    s = paired(commands, rounds, clean)
    bench.fresh('s.out')
    bench.row(f'directory → store, empty, {count:,} files of /usr', s['cairn'],
              s['cp -a'].median(), 'cp -a', 1.3,
              peers={n: s[n].median() for n in commands if n not in ('cairn', 'cp -a')})


QUICK_PEERS = {
    'cp -a, synced': 'cp -a {tree} {out}; sync -f {out}',
    'mkfs.erofs': 'mkfs.erofs --quiet {out} {tree}',
    'mksquashfs': 'mksquashfs {tree} {out} -noappend -noD -noI -noF -noX -no-progress',
    'tar': 'tar -cf {out} {tree}',
}


def store_empty(bench):
    """Directory → empty store

    cairn returns when every object is on disk (one `syncfs`); the others leave that for later, but
    for `cp -a, synced`, which is the fair comparison.
    """
    fill_stores(bench, 10000 if bench.quick else 100000, QUICK_PEERS, min(bench.rounds, 3))


def store_ostree(bench):
    """Directory → empty store, beside `ostree commit`

    It has one thread and would take minutes for 100,000 files: a smaller tree, for all of them.
    """
    fill_stores(bench, 1000 if bench.quick else 10000,
                {'ostree commit': 'ostree --repo={out} commit -b tree --tree=dir={tree}',
                 **QUICK_PEERS}, min(bench.rounds, 3))


SECTIONS = [digest, small_files, store_empty, store_ostree]
