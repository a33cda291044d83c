# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""The FUSE server beside the kernel's mount of the same image, and beside the file itself. As root."""

import os
import random
import subprocess
import time

from harness import MIB, Sample, paired, say

BLOCK = 4096


class Mounted:
    """Mounts an image in one of the two ways, again and again: what the kernel had cached is gone then."""

    def __init__(self, bench, image, store):
        self.bench, self.image, self.store = bench, image, store
        self.at = {backend: bench.path('mnt-' + backend) for backend in ('kernel', 'fuse')}
        for path in self.at.values():
            os.makedirs(path, exist_ok=True)

    def unmount(self, backend):
        subprocess.run([self.bench.cairn, 'umount', '-l', self.at[backend]], check=False,
                       stderr=subprocess.DEVNULL)

    def mount(self, backend):
        self.unmount(backend)
        options = ['-o', 'noverity'] if backend == 'kernel' else []
        subprocess.run([self.bench.cairn, 'mount', '--no-check', '--backend', backend, self.image,
                        self.at[backend], '-s', self.store, *options], check=True)
        return self.at[backend]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for backend in self.at:
            self.unmount(backend)


def is_root():
    if os.geteuid() == 0:
        return True
    say('skipped: mounting through the kernel takes root')
    return False


def fuse_names(bench):
    """FUSE: names and attributes, and all of a tree, beside the kernel's mount."""
    if not is_root():
        return
    tree = bench.tree('real', 20_000 if bench.quick else 100_000)
    image, store = bench.path('fuse.image'), bench.path('fuse.store')
    if not os.path.exists(image):
        subprocess.run([bench.cairn, 'build', '-q', tree, '-o', image, '--store', store], check=True,
                       stdout=subprocess.DEVNULL)
    with Mounted(bench, image, store) as m:
        # As many runs as threads: the first touch of the objects' own pages is nobody's.
        for backend in m.at:
            subprocess.run(f'tar cf - {m.mount(backend)} | cat >/dev/null', shell=True, check=True,
                           stderr=subprocess.DEVNULL)
        for work, command, cold, reach in (
                ('find, warm', 'find %s', False, 1.5), ('find, cold', 'find %s', True, None),
                ('ls -lR, warm', 'ls -lR %s', False, 1.5), ('ls -lR, cold', 'ls -lR %s', True, 1.8),
                ('tar of all, cold', 'tar cf - -C %s . | cat >/dev/null', True, 2)):
            if not cold:
                for path in map(m.mount, m.at):
                    subprocess.run(command % path, shell=True, check=True, stdout=subprocess.DEVNULL)
            samples = paired({b: command % p for b, p in m.at.items()}, bench.rounds,
                             m.mount if cold else None)
            bench.row(work, samples['fuse'], samples['kernel'].median(), 'kernel', reach)


def large_object(bench, size):
    """An image with one file of @size bytes, whose object has no data on disk: it hashes like any other."""
    store, image = bench.path('fuse-large.store'), bench.path(f'fuse-large-{size}.image')
    path = bench.path('large')
    with open(path, 'wb') as f:
        f.truncate(size)
    digest = subprocess.run([bench.cairn, 'measure', path], check=True, capture_output=True,
                            text=True).stdout.split()[0].split(':')[-1]
    target = f'{store}/objects/{digest[:2]}/{digest[2:]}'
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.replace(path, target)
    text = f'/ 0 40755 2 0 0 0 1.0 - - -\n/large {size} 100644 1 0 0 0 1.0 {digest[:2]}/{digest[2:]} - {digest}\n'
    subprocess.run([bench.cairn, 'build', '-q', '-', '-o', image], input=text.encode(), check=True,
                   stdout=subprocess.DEVNULL)
    return image, store, target


def read_all(path):
    with open(path, 'rb', buffering=0) as f:
        buffer = bytearray(MIB)
        while f.readinto(buffer):
            pass


def read_blocks(path, size, count, seed):
    rng = random.Random(seed)
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    for _ in range(count):
        os.pread(fd, BLOCK, rng.randrange(size // BLOCK) * BLOCK)
    os.close(fd)


def fuse_contents(bench):
    """FUSE: contents, verified, beside the object itself in the page cache"""
    if not is_root():
        return
    size = (256 if bench.quick else 1024) * MIB
    image, store, native = large_object(bench, size)
    read_all(native)
    with Mounted(bench, image, store) as m:
        read_all(m.mount('fuse') + '/large')  # its tree is kept from now on
        limit = paired({'native': lambda: read_all(native)}, bench.rounds)['native'].median()
        for work, fresh, reach in ('first', True, 2), ('second', False, 1.2):
            sample = Sample()
            for _ in range(bench.rounds):
                path = (m.mount('fuse') if fresh else m.at['fuse']) + '/large'
                start = time.perf_counter()
                read_all(path)
                sample.add(time.perf_counter() - start)
            speed = size / sample.median() / 1e9
            bench.row(f'{size // MIB} MiB in order, {work} time: {speed:.1f} GB/s', sample, limit,
                      'native', None if fresh else reach, wanted='≥ 1.5 GB/s or ≤ 2×' if fresh else None,
                      good=speed >= 1.5 or sample.median() <= 2 * limit)

    size = (1 if bench.quick else 4) << 30
    image, store, native = large_object(bench, size)
    with Mounted(bench, image, store) as m:
        first = Sample()
        start = time.perf_counter()
        read_blocks(m.mount('fuse') + '/large', size, 1, 0)
        first.add(time.perf_counter() - start)
        bench.row(f'4 KiB of {size >> 30} GiB, nothing known, mount included', first)
        known, many = Sample(), Sample()
        for turn in range(bench.rounds):
            path = m.mount('fuse') + '/large'
            start = time.perf_counter()
            read_blocks(path, size, 1, turn)
            known.add(time.perf_counter() - start)
            start = time.perf_counter()
            read_blocks(path, size, 1000, turn + 100)
            many.add(time.perf_counter() - start)
        bench.row('the same, its tree known', known, wanted='≤ 20 ms', good=known.median() < 0.02)
        plain = paired({'native': lambda: read_blocks(native, size, 1000, 100)}, bench.rounds)['native']
        bench.row('1000 × 4 KiB at random: each', many, plain.median() / 1000, 'native', per=1000,
                  show=lambda s: f'{s * 1e6:.1f} µs')


def overlay_contents(bench):
    """Rootless overlay: contents, beside the object itself in the page cache

    Names come from a server, contents from the store by overlayfs (Linux 6.16).
    """
    if not is_root():
        return
    size = (256 if bench.quick else 1024) * MIB
    image, store, native = large_object(bench, size)
    mnt = bench.path('mnt-overlay')
    os.makedirs(mnt, exist_ok=True)
    if subprocess.run([bench.cairn, 'mount', '--no-check', '--backend', 'overlay', image, mnt, '-s', store,
                       '-o', 'noverity'], check=False).returncode:
        say('skipped: this kernel has no overlayfs for users')
        return
    path = mnt + '/large'
    for work, run in (('in order', read_all), ('1000 × 4 KiB at random', lambda p: read_blocks(p, size, 1000, 5))):
        s = paired({'native': lambda run=run: run(native), 'ours': lambda run=run: run(path)}, 2 * bench.rounds)
        bench.row(f'{size // MIB} MiB {work}', s['ours'], s['native'].median(), 'native', 1.05)
    subprocess.run([bench.cairn, 'umount', mnt], check=True)


SECTIONS = [fuse_names, fuse_contents, overlay_contents]
