# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Mounts through the kernel: how long they take, and how fast names are found in them."""

import os
import random
import subprocess

from harness import paired

MOUNT = '{cairn} mount --backend kernel {image} {mnt} --store {store} -o noverity{more}'


def ready(bench):
    """Whether mounts can be made here."""
    os.makedirs(bench.path('mnt'), exist_ok=True)
    for name in 'm.store/objects', 'first.store/objects':
        os.makedirs(bench.path(name), exist_ok=True)
    return os.geteuid() == 0


def command(bench, image, more='', store='m.store'):
    return MOUNT.format(cairn=bench.cairn, image=image, mnt=bench.path('mnt'), store=bench.path(store),
                        more=more)


def umount(bench):
    return f'{bench.cairn} umount {bench.path("mnt")}'


def mounting(bench):
    """Mount and unmount, with the start of both programs

    The check of an image is remembered after the first time; `first` is with it, in an empty memory.
    The goal is 4.5 ms for 30 MB, and no more for a large image than for a small one.
    """
    if not ready(bench):
        return
    images, commands = {}, {}
    for count in 1000, 100000, 400000:
        path = bench.path(f'm-{count}.image')
        if not os.path.exists(path):
            subprocess.run([bench.cairn, 'build', '-q', bench.dump('system', count), '-o', path],
                           check=True, stdout=subprocess.DEVNULL)
        images[count] = path
    subprocess.run(['sleep', '3'], check=True)  # younger files are not remembered
    for path in images.values():
        subprocess.run(f'{command(bench, path)} && {umount(bench)}', shell=True, check=True)

    for count, path in images.items():
        commands[count] = f'{command(bench, path)} && {umount(bench)}'
    commands['first'] = f'{command(bench, images[400000], store="first.store")} && {umount(bench)}'
    commands['true'] = f'{bench.cairn} version && {bench.cairn} version'
    s = paired(commands, 4 * bench.rounds, lambda name: bench.fresh('first.store/cairn'))
    for count, path in images.items():
        size = os.path.getsize(path)
        bench.row(f'mount, umount: image of {size / 1e6:.1f} MB', s[count], s[1000].median(),
                  'of the smallest', 1.2, wanted='≤ 4.5 ms', good=s[count].median() <= 0.0045)
    bench.row('the same, checked for the first time', s['first'])
    bench.row('starting two programs that do nothing', s['true'])


def stat_all(names):
    for name in names:
        os.lstat(name)


def fresh(bench, image, store, more):
    """Mounted anew: no name of it is in memory, and no page of the image."""
    mnt = bench.path('mnt')
    subprocess.run(['umount', '-q', mnt], check=False)
    fd = os.open(image, os.O_RDONLY)
    os.fdatasync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
    subprocess.run(command(bench, image, more, store), shell=True, check=True)


LEVERS = {'default': '', 'df of the image': ',statfs=image', 'noatime': ',noatime'}


def walking(bench):
    """Names through the kernel's mount, and what options change

    `fresh`: mounted anew, with no page of the image in memory; `again`: the second time. The limit is
    the source directory on its own file system, all of it in memory.
    """
    if not ready(bench):
        return
    tree = bench.tree('real', 10000 if bench.quick else 100000)
    image, store = bench.path('w.image'), 'w.store'
    subprocess.run([bench.cairn, 'build', '-q', tree, '-o', image, '--store', bench.path(store)],
                   check=True, stdout=subprocess.DEVNULL)
    found = subprocess.run(['find', '.', '-print0'], cwd=tree, capture_output=True, check=True)
    names = [n.decode('utf-8', 'surrogateescape') for n in found.stdout.split(b'\0') if n]
    some = random.Random(1).sample(names, min(1000, len(names)))
    mnt = bench.path('mnt')
    works = {'ls -lR': 'ls -lR {}', 'find': 'find {} -printf "%s"', '1,000 stats': None}

    for work, text in works.items():
        def run_in(place, text=text):
            if text:
                return text.format(place)
            return lambda: stat_all([os.path.join(place, n) for n in some])

        limit = paired({'source': run_in(tree)}, bench.rounds + 1)['source'].median()
        for lever, more in LEVERS.items():
            cold = paired({'c': run_in(mnt)}, bench.rounds,
                          lambda name, more=more: fresh(bench, image, store, more))['c']
            warm = paired({'w': run_in(mnt)}, bench.rounds)['w']
            bench.row(f'{work}, fresh, {lever}', cold, limit, 'source')
            bench.row(f'{work}, again, {lever}', warm, limit, 'source', 1.2 if not more else None)
    subprocess.run(['umount', mnt], check=False)


SECTIONS = [mounting, walking]
