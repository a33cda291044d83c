# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Contents on their way: built again, imported, copied between stores, counted."""

import os
import shutil
import subprocess

from harness import execute, installed, paired

BUDGET = 150  # seconds of repeating the same; 200,000 files are a lot for a busy disk


def run(command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


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

    The limit makes as many files of such sizes in 256 directories, each under its own name at once, with two
    threads and one `syncfs`. cairn and `ostree commit` (mode `bare`, as it comes: one `syncfs`, and an `fsync`
    of each directory of objects) return when all is on disk; `cp -a` leaves that for later. On an ext4
    of its own, in a file.
    """
    count = 20000 if bench.quick else 200000
    tree = bench.tree('small', count)
    execute([bench.cairn, 'digest', tree])
    with bench.disk(64) as folder:
        places = iter(f'{folder}/{i}' for i in range(100))
        repo = f'{folder}/repo'

        def build():
            run([bench.cairn, 'build', tree, '-o', f'{folder}/image', '--store', next(places), '--no-cache', '-q'])

        commands = {'cairn': build,
                    'limit': lambda: run([bench.tool('create-baseline'), str(count), next(places)]),
                    'cp -a': lambda: run(['cp', '-a', tree, next(places)])}
        if installed({'ostree': ''}):
            commands['ostree commit'] = lambda: run(['ostree', '--repo=' + repo, 'commit', '-b', 'tree',
                                                     '--tree=dir=' + tree])

        def before(name):
            if name == 'ostree commit':
                if os.path.exists(repo):
                    os.rename(repo, next(places))
                run(['ostree', 'init', '--mode=bare', '--repo=' + repo])
            os.sync()

        s = paired(commands, min(bench.rounds, 3), before, 240)
    peers = {'cp -a': s['cp -a'].median()}
    reach = {}
    if 'ostree commit' in s:
        peers['ostree commit'] = s['ostree commit'].median()
        reach = {'wanted': '≥ 5 × ostree commit',
                 'good': peers['ostree commit'] >= 5 * s['cairn'].median()}
    bench.row(f'import of {count:,} files of 0 to 4000 bytes', s['cairn'], s['limit'].median(), 'made, synced',
              peers=peers, **reach)


def between_stores(bench):
    """Store → store, and what images cost

    `cp -a` copies the directory of objects, and verifies nothing. On an ext4 of its own, in a file.
    """
    count = 10000 if bench.quick else 100000
    tree = bench.tree('real', count)
    with bench.disk(24) as folder:
        store, places = f'{folder}/store', iter(f'{folder}/{i}' for i in range(100))
        run([bench.cairn, 'build', tree, '--store', store, '--name', 'tree', '-q'])

        def copy(to):
            run([bench.cairn, 'copy', 'tree', '--from', store, '--to', to, '-q'])

        s = paired({'copy': lambda: copy(next(places)), 'cp -a': lambda: run(['cp', '-a', store, next(places)])},
                   min(bench.rounds, 3), lambda name: os.sync(), BUDGET)
        bench.row(f'copy to an empty store, {count:,} files of /usr', s['copy'], s['cp -a'].median(), 'cp -a')
        s = paired({'again': lambda: copy(f'{folder}/0'), 'du': [bench.cairn, 'du', '--store', store],
                    'stat': f'find {store}/objects -size 0'}, bench.rounds, budget=BUDGET)
        bench.row('the same, everything there', s['again'])
        bench.row('du', s['du'], s['stat'].median(), 'find -size')


SECTIONS = [second_build, import_small, between_stores]
