#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""The benchmarks: one table of what cairn does, its physical limit, and the peers of Debian.

Everything in a row is measured in the same run, in turn (A B A B …), and the medians are compared.
The limit of a row is what the machine needs to move the same bytes or visit the same files without
doing anything with them. `reach` is the ratio to it (or to what the row names) that we want at most.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
MIB = 1 << 20


def say(text):
    print(text, file=sys.stderr, flush=True)


class Sample:
    """What the runs of one command took."""

    def __init__(self):
        self.seconds, self.peak = [], 0

    def median(self):
        return statistics.median(self.seconds)


def execute(command):
    """Runs an argument list or shell text. Returns (seconds, peak bytes of its largest process)."""
    shell = isinstance(command, str)
    start = time.perf_counter()
    process = subprocess.Popen(command, shell=shell, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    words = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        text = command if shell else ' '.join(command)
        raise RuntimeError(f'{text}: status {process.returncode}: {words.decode(errors="replace")}')
    return seconds, usage.ru_maxrss * 1024


def paired(commands, rounds, before=None):
    """Runs each of {name: command} once a round. @before: called ahead of each run, not timed."""
    samples = {name: Sample() for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            if before:
                before(name)
            seconds, peak = execute(command)
            samples[name].seconds.append(seconds)
            samples[name].peak = max(samples[name].peak, peak)
    return samples


def seconds_text(s):
    return f'{s * 1000:.1f} ms' if s < 0.1 else f'{s:.2f} s'


class Bench:
    def __init__(self, args, work):
        self.work = work
        self.build = os.path.abspath(args.build)
        self.cairn = self.build + '/cli/cairn'
        self.quick = args.quick
        self.rounds = args.rounds or (3 if args.quick else 5)
        self.rows = []
        self.notes = []

    # --- inputs -------------------------------------------------------------------------------

    def path(self, name):
        return os.path.join(self.work, name)

    def dump(self, shape, count):
        path = self.path(f'{shape}-{count}.dump')
        if not os.path.exists(path):
            say(f'making {path}')
            with open(path, 'wb') as f:
                subprocess.run([self.build + '/tests/bench/gendump', shape, str(count)],
                               stdout=f, check=True)
        return path

    def tree(self, sort, count):
        path = self.path(f'{sort}-{count}.tree')
        if not os.path.exists(path):
            say(f'making {path}')
            subprocess.run([HERE + '/gentree.py', sort, str(count), path], check=True)
            subprocess.run(['sync', '-f', path], check=True)
        return path

    def fresh(self, name):
        """A path with nothing there."""
        path = self.path(name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.exists(path):
            os.unlink(path)
        return path

    # --- output -------------------------------------------------------------------------------

    def row(self, work, sample, limit=None, limit_name='', reach=None, peak=None, peers=None,
            per=1, show=seconds_text, wanted=None, good=None):
        """@limit: seconds (of one of @per things) that @sample is compared with; @reach: the ratio
        wanted at most; @peak: bytes wanted at most; @peers: {name: seconds}. @wanted and @good: a
        goal of another sort, and whether it is reached."""
        ours = sample.median() / per
        ratio = ours / limit if limit else None
        goals = [wanted] if wanted else []
        met = [good] if wanted else []
        if reach is not None:
            goals.append(f'≤ {reach:g}×')
            met.append(ratio <= reach)
        if peak is not None:
            goals.append(f'≤ {peak // MIB} MiB')
            met.append(sample.peak <= peak)
        others = ', '.join(f'{name} {show(s)} ({s / ours:.1f}×)'
                           for name, s in (peers or {}).items())
        self.rows.append((work, show(ours), f'{limit_name} {show(limit)}' if limit else '',
                          f'{ratio:.2f}×' if ratio else '', ', '.join(goals),
                          ('yes' if all(met) else '**no**') if goals else '',
                          f'{sample.peak / MIB:.0f}', others))
        say(' | '.join(self.rows[-1]))

    # --- rows ---------------------------------------------------------------------------------

    def dump_to_image(self):
        count = 100000 if self.quick else 1000000
        text, image, copy = self.dump('system', count), self.path('a.image'), self.path('a.copy')
        synced = [self.cairn, 'build', text, '-o', image]
        execute(synced)
        commands = {
            'cairn': f'{self.cairn} build {text} -o - >{image}',
            'limit': f'cat {text} >/dev/null; cat {image} >{copy}',
            'cairn synced': synced,
            'limit synced': f'cat {text} >/dev/null; cat {image} >{copy}; sync {copy}',
        }
        s = paired(commands, self.rounds)
        write = s['cairn'].median()
        self.row(f'dump → image, {count:,} entries', s['cairn'], s['limit'].median(), 'cat', 4,
                 350 * MIB)
        self.row('the same, image synced', s['cairn synced'], s['limit synced'].median(),
                 'cat, sync', 4, 350 * MIB)

        verbs = {'dump': [self.cairn, 'dump', image], 'ls': [self.cairn, 'ls', image],
                 'check': [self.cairn, 'check', image]}
        s = paired(verbs, self.rounds)
        self.row('image → dump', s['dump'], write, 'its write', 1)
        self.row('image → ls', s['ls'], write, 'its write', 1)
        self.row('image check', s['check'], write, 'its write', 1)

    def linear(self):
        """Time an entry, compared with that of 100,000 entries."""
        counts = [10000, 100000, 1000000] + ([] if self.quick else [10000000])
        for shape, sizes in ('system', counts), ('flat', counts[:3]), ('links', counts[:3]):
            base = None
            for count in sizes:
                text = self.dump(shape, count)
                s = paired({'cairn': f'{self.cairn} build {text} -o - >{self.path("l.image")}'},
                           3 if count > 100000 else 2 * self.rounds)['cairn']
                self.row(f'dump → image, {shape}, {count:,} entries: each', s, base,
                         'of 100,000', base and 1.3, per=count,
                         show=lambda t: f'{t * 1e6:.2f} µs')
                if count == 100000:
                    base = s.median() / count
                if count > 1000000:
                    os.unlink(text)

    def digest_rows(self):
        count = 10000 if self.quick else 100000
        tree = self.tree('real', count)
        store = self.fresh('full.store')
        walk = [self.build + '/tests/bench/walk-baseline', tree]
        digest = [self.cairn, 'digest', tree]
        commands = {'cairn': digest, 'limit': walk}
        peers = {
            'fsverity digest': f'find {tree} -type f -size +0 -print0 | xargs -0 -P 2 -n 500 fsverity digest',
            'mkfs.erofs': f'rm -f {self.path("p.erofs")}; mkfs.erofs --quiet {self.path("p.erofs")} {tree}',
            'mksquashfs': f'mksquashfs {tree} {self.path("p.squashfs")} -noappend -noD -noI -noF -noX -no-progress',
            'tar': f'tar -cf {self.path("p.tar")} {tree}',
        }
        peers = {n: c for n, c in peers.items() if shutil.which(n.split()[0])}
        execute(walk)
        s = paired({**commands, **peers}, self.rounds)
        self.row(f'directory → digest, warm, {count:,} files of /usr', s['cairn'],
                 s['limit'].median(), 'walk+open+read', 2,
                 peers={n: s[n].median() for n in peers})

        # The same with a store that has everything already.
        fill = [self.cairn, 'build', tree, '-o', self.path('f.image'), '--store', store]
        execute(fill)
        s = paired({'fill': fill, 'digest': digest}, self.rounds)
        self.row('directory → store, store full', s['fill'], s['digest'].median(), 'its digest',
                 1.2)
        shutil.rmtree(store)

        small = self.tree('small', count * 2)
        walk = [self.build + '/tests/bench/walk-baseline', small]
        digest = [self.cairn, 'digest', small]
        execute(walk)
        s = paired({'cairn': digest, 'limit': walk}, self.rounds)
        self.row(f'directory → digest, warm, {count * 2:,} small files', s['cairn'],
                 s['limit'].median(), 'walk+open+read', 1.5)

    def store_rows(self):
        count = 10000 if self.quick else 100000
        tree = self.tree('real', count)
        execute([self.cairn, 'digest', tree])
        out = self.path('s.out')

        def clean(name):
            self.fresh('s.out')
            if name == 'ostree commit':
                subprocess.run(['ostree', 'init', '--mode=bare', '--repo=' + out], check=True)
            os.sync()

        commands = {
            'cairn': [self.cairn, 'build', tree, '-o', self.path('s.image'), '--store', out],
            'cp -a': f'cp -a {tree} {out}',
            'cp -a, synced': f'cp -a {tree} {out}; sync -f {out}',
            'mkfs.erofs': f'mkfs.erofs --quiet {out} {tree}',
            'mksquashfs': f'mksquashfs {tree} {out} -noappend -noD -noI -noF -noX -no-progress',
            'tar': f'tar -cf {out} {tree}',
            'ostree commit': f'ostree --repo={out} commit -b tree --tree=dir={tree}',
        }
        commands = {n: c for n, c in commands.items() if n == 'cairn' or shutil.which(n.split()[0])}
        s = paired(commands, min(self.rounds, 3), clean)
        self.fresh('s.out')
        others = {n: s[n].median() for n in commands if n not in ('cairn', 'cp -a')}
        self.row(f'directory → store, empty, {count:,} files of /usr', s['cairn'],
                 s['cp -a'].median(), 'cp -a', 1.3, peers=others)

    def hash_rows(self):
        size = (256 if self.quick else 1024) * MIB
        big = self.path('big')
        if not os.path.exists(big):
            with open(big, 'wb') as f:
                for _ in range(size // MIB):
                    f.write(os.urandom(MIB))
        core = ['taskset', '-c', '0']
        commands = {'cairn': core + [self.cairn, 'measure', big], 'limit': core + ['cat', big]}
        if shutil.which('fsverity'):
            commands['fsverity digest'] = core + ['fsverity', 'digest', big]
        s = paired(commands, self.rounds)
        with open('/proc/cpuinfo') as f:
            flags = f.read()
        reach = 3.5 if 'avx512f' in flags else 1.7
        peers, wanted, good = {}, None, None
        if 'fsverity digest' in s:
            peers['fsverity digest'] = s['fsverity digest'].median()
            wanted = f'fsverity ≥ {reach}×'
            good = peers['fsverity digest'] / s['cairn'].median() >= reach
        self.row(f'one core: digest of a file of {size // MIB} MiB', s['cairn'],
                 s['limit'].median(), 'cat', peers=peers, wanted=wanted, good=good)

    def start_rows(self):
        empty = self.path('empty')
        os.makedirs(empty, exist_ok=True)
        commands = {'true': ['/bin/true'], 'digest of nothing': [self.cairn, 'digest', empty],
                    'help': [self.cairn, 'help']}
        s = paired(commands, 40)
        for name in list(commands)[1:]:
            self.row(f'start-up: {name}', s[name], s['true'].median(), '/bin/true',
                     wanted='≤ 3 ms', good=s[name].median() <= 0.003)

    # --- all ----------------------------------------------------------------------------------

    SECTIONS = ['dump_to_image', 'linear', 'digest_rows', 'store_rows', 'hash_rows', 'start_rows']

    def table(self):
        head = ('work', 'cairn', 'limit', 'ratio', 'reach', 'reached', 'peak MiB',
                'peers (× our time)')
        lines = ['| ' + ' | '.join(r) + ' |' for r in [head] + self.rows]
        lines.insert(1, '|' + '---|' * len(head))
        return '\n'.join(lines)

    def machine(self):
        with open('/proc/cpuinfo') as f:
            model = next((l.split(':')[1].strip() for l in f if l.startswith('model name')), '?')
        kind = subprocess.run(['stat', '-f', '-c', '%T', self.work], capture_output=True,
                              text=True).stdout.strip()
        return f'{model}, {os.cpu_count()} cores, Linux {platform.release()}, {kind}'


DOC = """# What it costs

Made by `./dev bench --write` ({mode}) on: {machine}. Medians of runs that took turns. `limit` is what
the machine needs for the same bytes or files when nothing is done with them; `peak` is the largest
resident set. The figures vary by some percent from run to run, more on a busy machine.

{table}

* `cat` reads the dump text and writes the image's bytes; `walk+open+read` visits and reads the same
  files with two threads and does nothing with them.
* `cp -a` and the others leave the disk to write later; cairn returns when every object is on disk
  (one `syncfs`). `cp -a, synced` is the fair comparison.
* `fsverity digest` runs two at a time over a tree, and one on one core for a file.
* `mkfs.erofs` and `mksquashfs` make an image with the contents in it, without compression, and no
  digest of a file. `ostree commit` fsyncs each object.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sections', nargs='*', metavar='SECTION',
                        help='only these: ' + ' '.join(Bench.SECTIONS))
    parser.add_argument('--quick', action='store_true', help='smaller inputs, fewer rounds')
    parser.add_argument('--rounds', type=int, help='runs of each command (default 5, quick 3)')
    parser.add_argument('--write', action='store_true', help='write the table to docs/bench.md')
    parser.add_argument('--work', help='directory for the inputs, kept and used again')
    parser.add_argument('--build', default=SOURCE + '/build', help='the build to measure')
    args = parser.parse_args()
    unknown = set(args.sections) - set(Bench.SECTIONS)
    if unknown:
        parser.error('no such section: ' + ' '.join(unknown))

    work = args.work or tempfile.mkdtemp(prefix='cairn-bench.',
                                         dir=os.environ.get('TMPDIR', '/var/tmp'))
    os.makedirs(work, exist_ok=True)
    try:
        bench = Bench(args, work)
        for section in args.sections or Bench.SECTIONS:
            getattr(bench, section)()
        print(bench.table())
        if args.write:
            with open(SOURCE + '/docs/bench.md', 'w') as f:
                f.write(DOC.format(mode='quick' if args.quick else 'full', machine=bench.machine(),
                                   table=bench.table()))
    finally:
        if not args.work:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == '__main__':
    main()
