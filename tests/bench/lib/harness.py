# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""What the subjects of the benchmark measure with: inputs, runs that take turns, and rows.

Everything in a row is measured in the same run, in turn (A B A B …), and the medians are compared.
"""

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import time

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCE = os.path.dirname(os.path.dirname(BENCH))
MIB = 1 << 20

COLUMNS = ('work', 'cairn', 'limit', 'ratio', 'reach', 'reached', 'peak MiB',
           'peers (× our time)')


def say(text):
    print(text, file=sys.stderr, flush=True)


class Sample:
    """What the runs of one command took: seconds each, and the peak in bytes of the largest."""

    def __init__(self):
        self.seconds, self.peak = [], 0

    def add(self, seconds, peak=0):
        self.seconds.append(seconds)
        self.peak = max(self.peak, peak)

    def median(self):
        return statistics.median(self.seconds)


def execute(command):
    """Runs an argument list, a shell text, or a function without arguments.

    Returns (seconds, peak bytes of its largest process; 0 of a function).
    """
    if callable(command):
        start = time.perf_counter()
        command()
        return time.perf_counter() - start, 0
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


def paired(commands, rounds, before=None, budget=None):
    """Runs each of {name: command} once a round: {name: Sample}.

    @before: called with the name ahead of each run, not timed. @budget: seconds; no round is begun that would
    go beyond, but the first.
    """
    samples = {name: Sample() for name in commands}
    start = time.monotonic()
    for i in range(rounds):
        spent = time.monotonic() - start
        if budget and i and spent * (i + 1) / i > budget:
            say(f'{i} of {rounds} rounds, in {spent:.0f} s')
            break
        for name, command in commands.items():
            if before:
                before(name)
            samples[name].add(*execute(command))
    return samples


def installed(commands):
    """Those of {name: command} whose program is there; the name begins with the program's."""
    return {n: c for n, c in commands.items() if shutil.which(n.split()[0])}


def seconds_text(s):
    return f'{s * 1000:.1f} ms' if s < 0.1 else f'{s:.2f} s'


class Bench:
    """One run: where the inputs lie, what is measured, and the rows of the present section."""

    def __init__(self, work, build, quick=False, rounds=None):
        self.work = work
        self.build = os.path.abspath(build)
        self.cairn = self.build + '/cli/cairn'
        self.quick = quick
        self.rounds = rounds or (3 if quick else 5)
        self.rows = []

    # --- inputs: made when first asked for, kept for the other sections -----------------------

    def path(self, name):
        return os.path.join(self.work, name)

    def tool(self, name):
        """A program that is built from tests/bench."""
        return f'{self.build}/tests/bench/{name}'

    def dump(self, shape, count):
        """A dump text of @count entries (gendump.c)."""
        path = self.path(f'{shape}-{count}.dump')
        if not os.path.exists(path):
            say(f'making {path}')
            with open(path, 'wb') as f:
                subprocess.run([self.tool('gendump'), shape, str(count)], stdout=f, check=True)
        return path

    def tree(self, sort, count):
        """A directory with @count files (gentree.py)."""
        path = self.path(f'{sort}-{count}.tree')
        if not os.path.exists(path):
            say(f'making {path}')
            subprocess.run([BENCH + '/gentree.py', sort, str(count), path], check=True)
            subprocess.run(['sync', '-f', path], check=True)
        return path

    @contextlib.contextmanager
    def disk(self, gib):
        """A folder in an empty ext4 of its own, in a file of --work, that goes as a whole in the end.

        To remove a million files takes longer than to make them; and ext4 passes over the inodes that were
        freed within the last half a minute one by one, so that whoever makes files after that pays for it.
        Who is not root gets a plain folder.
        """
        image, folder = self.fresh('disk.img'), self.fresh('disk')
        os.mkdir(folder)
        mounted = os.geteuid() == 0
        if mounted:
            with open(image, 'wb') as f:
                f.truncate(gib << 30)
            subprocess.run(['mkfs.ext4', '-q', '-i', '4096', image], check=True)
            subprocess.run(['mount', '-o', 'loop,noinit_itable', image, folder], check=True)
        try:
            yield folder
        finally:
            if mounted:
                subprocess.run(['umount', folder], check=True)
            self.fresh('disk')
            self.fresh('disk.img')

    def fresh(self, name):
        """A path with nothing there."""
        path = self.path(name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)
        return path

    # --- rows ---------------------------------------------------------------------------------

    def row(self, work, sample, limit=None, limit_name='', reach=None, peak=None, peers=None,
            per=1, show=seconds_text, wanted=None, good=None):
        """Adds a row.

        @limit: seconds (of one of @per things) that @sample is compared with; @reach: the ratio
        wanted at most; @peak: bytes wanted at most; @peers: {name: seconds}. @wanted and @good: a
        goal of another sort, and whether it is reached.
        """
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
                          f'{sample.peak / MIB:.0f}' if sample.peak else '', others))
        say(' | '.join(self.rows[-1]))

    def take_table(self):
        """The rows so far as a table, without the columns that none of them uses."""
        used = [i for i in range(len(COLUMNS)) if any(r[i] for r in self.rows)]
        lines = ['| ' + ' | '.join(r[i] for i in used) + ' |' for r in [COLUMNS] + self.rows]
        lines.insert(1, '|' + '---|' * len(used))
        self.rows = []
        return '\n'.join(lines)
