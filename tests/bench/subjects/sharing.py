# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Contents on their way: built again, imported, copied between stores, counted."""

import shutil
import subprocess

from harness import execute, installed, paired

BUDGET = 150  # seconds of repeating the same; 200,000 files are a lot for a busy disk


def second_build(bench):
    """Directory → store and image, nothing changed since the last time

    `getdents+statx` lists the same directories and asks each name for its facts, with two threads. The
    image is written and on disk in the end. `--no-cache` reads all files again.
    """
    count = 10000 if bench.quick else 100000
    tree, store = bench.tree('real', count), bench.fresh('again.store')
    build = [bench.cairn, 'build', tree, '-o', bench.path('again.image'), '--store', store]
    walk = [bench.tool('walk-baseline'), '-s', tree]
    execute(build)
    execute(build)
    execute(walk)
    s = paired({'cairn': build, 'limit': walk, '--no-cache': [*build, '--no-cache']}, bench.rounds)
    shutil.rmtree(store)
    bench.row(f'second build, {count:,} files of /usr', s['cairn'], s['limit'].median(),
              'getdents+statx', 1.5, peers={'--no-cache': s['--no-cache'].median()})


def import_small(bench):
    """Directory of small files → empty store, beside `ostree commit`

    `ostree commit` syncs each object: it gets a tenth of the files, and its time is that for each of
    them times their number. cairn returns when all is on disk; `cp -a` leaves that for later.
    """
    count = 20000 if bench.quick else 200000
    tree, tenth, out = bench.tree('small', count), bench.tree('small', count // 10), bench.path('i.out')

    def clean(name):
        bench.aside('i.out')
        if name == 'ostree commit':
            subprocess.run(['ostree', 'init', '--mode=bare', '--repo=' + out], check=True)

    execute([bench.cairn, 'digest', tree])
    s = paired({
        'cairn': [bench.cairn, 'build', tree, '-o', bench.path('i.image'), '--store', out, '--no-cache'],
        'cp -a': f'cp -a {tree} {out}',
        **installed({'ostree commit': f'ostree --repo={out} commit -b tree --tree=dir={tenth}'}),
    }, min(bench.rounds, 3), clean, BUDGET)
    bench.clear('i.out')
    peers = {'cp -a': s['cp -a'].median()}
    reach = {}
    if 'ostree commit' in s:
        peers['ostree commit'] = 10 * s['ostree commit'].median()
        reach = {'wanted': '≥ 5 × ostree commit',
                 'good': peers['ostree commit'] >= 5 * s['cairn'].median()}
    bench.row(f'import of {count:,} files of 0 to 4000 bytes', s['cairn'], peers=peers, **reach)


def between_stores(bench):
    """Store → store, and what images cost

    `cp -a` copies the directory of objects, and verifies nothing.
    """
    count = 10000 if bench.quick else 100000
    tree, store, out = bench.tree('real', count), bench.aside('b.store'), bench.path('b.out')
    execute([bench.cairn, 'build', tree, '--store', store, '--name', 'tree'])
    copy = [bench.cairn, 'copy', 'tree', '--from', store, '--to', out]
    s = paired({'copy': copy, 'cp -a': f'cp -a {store} {out}'}, min(bench.rounds, 3),
               lambda name: bench.aside('b.out'), BUDGET)
    bench.row(f'copy to an empty store, {count:,} files of /usr', s['copy'], s['cp -a'].median(), 'cp -a')
    bench.aside('b.out')
    execute(copy)
    s = paired({'again': copy, 'du': [bench.cairn, 'du', '--store', store],
                'stat': f'find {store}/objects -size 0'}, bench.rounds, budget=BUDGET)
    bench.clear('b.out', 'b.store')
    bench.row('the same, everything there', s['again'])
    bench.row('du', s['du'], s['stat'].median(), 'find -size')


SECTIONS = [second_build, import_small, between_stores]
