#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""The benchmarks: what cairn does, beside its physical limit and the peers of Debian.

The limit of a row is what the machine needs to move the same bytes or visit the same files without
doing anything with them. `reach` is the ratio to it (or to what the row names) that we want at most.

Every file of subjects/ has sections: functions of one argument, the Bench of lib/harness.py, which
add rows to it. The first line of a section's comment is its title. With --write each section that
ran replaces its table in docs/bench.md, and the rest of the page is kept.
"""

import argparse
import glob
import importlib.util
import os
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib'))

import page
from harness import BENCH, SOURCE, Bench, say

PAGE = SOURCE + '/docs/bench.md'


def load_sections():
    """{name: function} of all subjects."""
    sections = {}
    for path in sorted(glob.glob(BENCH + '/subjects/*.py')):
        name = os.path.basename(path)[:-3]
        spec = importlib.util.spec_from_file_location('subject_' + name, path)
        subject = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(subject)
        sections.update({f.__name__: f for f in subject.SECTIONS})
    return sections


def title(section):
    return section.__doc__.strip().splitlines()[0].rstrip('.')


def write(name, section, table):
    with open(PAGE) as f:
        text = f.read()
    with open(PAGE, 'w') as f:
        f.write(page.put(text, name, title(section), table))


def main():
    sections = load_sections()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='sections:\n' + '\n'.join(f'  {n:16} {title(f)}' for n, f in sections.items()))
    parser.add_argument('sections', nargs='*', metavar='SECTION', help='only these')
    parser.add_argument('--quick', action='store_true', help='smaller inputs, fewer rounds')
    parser.add_argument('--rounds', type=int, help='runs of each command (default 5, quick 3)')
    parser.add_argument('--write', action='store_true', help='write the tables to docs/bench.md')
    parser.add_argument('--work', help='directory for the inputs, kept and used again')
    parser.add_argument('--build', default=SOURCE + '/build', help='the build to measure')
    args = parser.parse_args()
    unknown = set(args.sections) - set(sections)
    if unknown:
        parser.error('no such section: ' + ' '.join(sorted(unknown)))

    work = args.work or tempfile.mkdtemp(prefix='cairn-bench.',
                                         dir=os.environ.get('TMPDIR', '/var/tmp'))
    os.makedirs(work, exist_ok=True)
    bench = Bench(work, args.build, args.quick, args.rounds)
    try:
        for name in args.sections or sections:
            say(f'— {name}: {title(sections[name])}')
            sections[name](bench)
            table = page.machine(work, args.quick) + '\n\n' + bench.take_table()
            print(f'{title(sections[name])}\n\n{table}\n', flush=True)
            if args.write:
                write(name, sections[name], table)
    finally:
        if not args.work:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == '__main__':
    main()
