# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Mounts through the kernel: how long they take, and how fast names are found in them."""

import os
import random
import subprocess

from harness import MIB, Sample, paired

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


LEVERS = {'default': '', 'df of the image': ',statfs=image'}
# What else can hold the same tree: {name: (command that makes it, type of the file system, options)}.
PEERS = {
    'its EROFS alone': (None, 'erofs', 'ro,noacl'),
    'with ACLs': (None, 'erofs', 'ro'),
    'plain EROFS': ('mkfs.erofs --quiet {out} {tree}', 'erofs', 'ro'),
    'squashfs': ('mksquashfs {tree} {out} -noappend -noD -noI -noF -noX -no-progress -quiet', 'squashfs', 'ro'),
}


class Walked:
    """A tree in several mounts: ours with each lever, and the peers that can be had here."""

    def __init__(self, bench, tree):
        self.bench, self.mnt, self.store = bench, bench.path('mnt'), 'w.store'
        self.image = bench.path('w.image')
        subprocess.run([bench.cairn, 'build', '-q', tree, '-o', self.image, '--store', bench.path(self.store)],
                       check=True, stdout=subprocess.DEVNULL)
        self.mounts = {name: (self.image, command(bench, self.image, more, self.store)) for name, more in LEVERS.items()}
        for name, (make, kind, options) in PEERS.items():
            image = bench.path(f'w.{name.split()[-1]}') if make else self.image
            mount = f'mount -t {kind} -o loop,{options} {image} {self.mnt}'
            if make and subprocess.run(make.format(out=image, tree=tree), shell=True, check=False,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
                continue
            if subprocess.run(f'{mount} && umount {self.mnt}', shell=True, check=False,
                              stderr=subprocess.DEVNULL).returncode == 0:
                self.mounts[name] = image, mount
        self.peers = [name for name in self.mounts if name in PEERS]

    def fresh(self, name):
        """Mounted anew: no name of it is in memory, and no page of the image."""
        image, mount = self.mounts[name]
        subprocess.run(['umount', '-q', self.mnt], check=False)
        fd = os.open(image, os.O_RDONLY)
        os.fdatasync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)
        subprocess.run(mount, shell=True, check=True)

    def measure(self, name, work):
        """Seconds of the work, fresh and again."""
        cold = paired({'c': work}, self.bench.rounds, lambda _: self.fresh(name))['c']
        return cold, paired({'w': work}, self.bench.rounds)['w']

    def slab(self, name, work):
        """Bytes of names and inodes in the kernel's memory after the work."""
        self.fresh(name)
        with open('/proc/sys/vm/drop_caches', 'w', encoding='ascii') as f:
            f.write('2')
        before = slab_size()
        subprocess.run(work, shell=True, check=True, stdout=subprocess.DEVNULL)
        return max(slab_size() - before, 0)


def slab_size():
    with open('/proc/meminfo', encoding='ascii') as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith('SReclaimable'))


def walking(bench):
    """Names through the kernel's mount, and what options change

    `fresh`: mounted anew, with no page of the image in memory; `again`: the second time. The limit is
    the source directory on its own file system, all of it in memory. `its EROFS alone` is the same image
    without overlayfs, where contents cannot be read; `slab` what the kernel's memory has of it after `ls -lR`.
    """
    if not ready(bench):
        return
    tree = bench.tree('real', 10000 if bench.quick else 100000)
    w = Walked(bench, tree)
    found = subprocess.run(['find', '.', '-print0'], cwd=tree, capture_output=True, check=True)
    names = [n.decode('utf-8', 'surrogateescape') for n in found.stdout.split(b'\0') if n]
    some = random.Random(1).sample(names, min(1000, len(names)))
    works = {'ls -lR': 'ls -lR {}', 'find': 'find {} -printf "%s"', '1,000 stats': None}

    for work, text in works.items():
        def run_in(place, text=text):
            if text:
                return text.format(place)
            return lambda: stat_all([os.path.join(place, n) for n in some])

        limit = paired({'source': run_in(tree)}, bench.rounds + 1)['source'].median()
        taken = {name: w.measure(name, run_in(w.mnt)) for name in w.mounts}
        for i, when in enumerate(('fresh', 'again')):
            for lever in LEVERS:
                default = lever == 'default'
                bench.row(f'{work}, {when}, {lever}', taken[lever][i], limit, 'source', 1.2 if default and i else None,
                          peers={name: taken[name][i].median() for name in w.peers} if default else None)
    memory = Sample()
    memory.add(w.slab('default', works['ls -lR'].format(w.mnt)))
    bench.row('slab after ls -lR', memory, show=lambda size: f'{size / MIB:.0f} MiB',
              peers={name: w.slab(name, works['ls -lR'].format(w.mnt)) for name in w.peers})
    subprocess.run(['umount', w.mnt], check=False)


SECTIONS = [mounting, walking]
