#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Runs the tests and ends with `N passed, N failed, N skipped`.

What is a test: every test() that a meson.build registers; and in the folders in FOLDERS every
test_*.py (run by pytest, each of its cases counts) and every other file that is executable. Each gets
a folder of its own (its working directory and TMPDIR), a time limit, and this environment, and must
bear others beside it:

    CAIRN_SOURCE   the source tree            CAIRN_BUILD   the build that is tested
    PATH           begins with the programs of that build

A file that says `# not sanitised: WHY` runs with the release build only.

Those of tests/vm run in a guest (guest.py), all of one kernel in one: `# guest: KERNEL...` in a file names
the kernels that it is for.

Exit status 0 passes, 77 skips (the last line that was printed says why), anything else fails. A test of
root has a mount namespace of its own; processes that it leaves behind are killed.
"""

import argparse
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Folders below tests/, with the seconds that a file in them may take.
FOLDERS = {'golden': 300, 'property': 300, 'dropin': 300, 'cli': 300, 'system': 300, 'vm': 900,
           'check': 300}
# The tests in a guest, as root, with a kernel that has fs-verity; the kernel for a file that names none.
GUEST = 'vm'
GUEST_KERNEL = '6.12'

# The builds: (label, directory, suites and folders that run under it; None: all).
BUILDS = [
    ('', 'build', None),
    ('asan', 'build-asan', {'unit', 'property', 'golden', 'dropin', 'cli', 'system', 'fuzz'}),
    ('tsan', 'build-tsan', {'threads', 'cli'}),
]

# Sanitised programs are slower.
TIME_FACTOR = {'': 1, 'asan': 5, 'tsan': 10}

# What a test mounts is seen by it alone, and gone with it.
PRIVATE = ['unshare', '--mount', '--propagation', 'private'] if os.geteuid() == 0 else []
if PRIVATE and subprocess.run(PRIVATE + ['true'], stderr=subprocess.DEVNULL).returncode:
    PRIVATE = []

SKIP = 77
UNSANITISED = r'^# not sanitised: '


class Test:
    def __init__(self, label, build, group, name, cmd, timeout, env=None, pytest=False):
        self.label, self.build, self.group = label, build, group
        self.cmd, self.env, self.pytest = cmd, env or {}, pytest
        self.timeout = timeout * TIME_FACTOR[label]
        self.name = (label + ':' if label else '') + group + '/' + name


class Result:
    """One line of the report. @status: an exit status, None when it ran out of time."""

    def __init__(self, name, status, seconds, output):
        self.name, self.status, self.seconds, self.output = name, status, seconds, output


def meson_tests(label, build, groups):
    with open(os.path.join(build, 'meson-info', 'intro-tests.json')) as f:
        for t in json.load(f):
            suites = [s.split(':')[-1] for s in t['suite']]
            group = suites[0] if suites else 'unit'
            if groups is not None and not groups.intersection(suites):
                continue
            yield Test(label, build, group, t['name'], t['cmd'], t['timeout'] or 600, t['env'])


def read(path):
    with open(path, encoding='utf-8', errors='replace') as f:
        return f.read()


def folder_tests(label, build, groups, registered):
    for group, timeout in FOLDERS.items():
        folder = os.path.join(SOURCE, 'tests', group)
        if groups is not None and group not in groups or not os.path.isdir(folder):
            continue
        for entry in sorted(os.listdir(folder)):
            path = os.path.join(folder, entry)
            pytest = entry.startswith('test_') and entry.endswith('.py')
            if not os.path.isfile(path) or path in registered:
                continue
            if not pytest and not os.access(path, os.X_OK):
                continue
            if label and re.search(UNSANITISED, read(path), re.M):
                continue
            if group == GUEST:
                yield from guest_tests(label, build, entry, path, timeout)
                continue
            cmd = [path]
            if pytest:
                cmd = [sys.executable, '-m', 'pytest', '-q', '--tb=short', '-p', 'no:cacheprovider',
                       '--junitxml=cases.xml', '--rootdir', folder, path]
            yield Test(label, build, group, entry.rsplit('.', 1)[0], cmd, timeout, pytest=pytest)


def guest_tests(label, build, entry, path, timeout):
    """One for each kernel that the file names; join_guests() puts them together."""
    kernels = re.search(r'^# guest: (.*)$', read(path), re.M)
    for kernel in kernels.group(1).split() if kernels else [GUEST_KERNEL]:
        test = Test(label, build, GUEST, f'{entry[:-3]}@{kernel}', [path], timeout, pytest=True)
        test.kernel = kernel
        yield test


def join_guests(tests):
    """The tests of @tests in guests of the same kernel become one: a boot takes as long as many tests."""
    joined = {}
    for test in tests:
        if test.group != GUEST:
            yield test
        elif test.kernel in joined:
            joined[test.kernel].cmd += test.cmd
        else:
            joined[test.kernel] = test
    for kernel, test in joined.items():
        test.name = f'{GUEST}/{kernel}'
        # pytest leaves cases.xml in its working directory, from where guest.py takes it.
        test.cmd = [os.path.join(SOURCE, 'tests', 'lib', 'guest.py'), '-k', kernel, sys.executable, '-m',
                    'pytest', '-q', '--tb=short', '-p', 'no:cacheprovider', '--junitxml=cases.xml',
                    '--rootdir', os.path.join(SOURCE, 'tests', GUEST), '--basetemp',
                    '/mnt/scratch/pytest', *test.cmd]
        yield test


def collect(names):
    tests = []
    for label, build, groups in BUILDS:
        build = os.path.join(SOURCE, build)
        if not os.path.isdir(build):
            continue
        of_meson = list(meson_tests(label, build, groups))
        registered = {word for t in of_meson for word in t.cmd}
        tests += of_meson
        tests += folder_tests(label, build, groups, registered)
    return [t for t in tests if not names or
            any(t.name.startswith(n[1:]) if n[0] == '^' else n in t.name for n in names)]


def cases_of(test, path):
    """The results of the single cases of a file that pytest ran."""
    for case in xml.etree.ElementTree.parse(path).iter('testcase'):
        status, output = 0, ''
        for what in case:
            if what.tag in ('failure', 'error'):
                status, output = 1, what.text or what.get('message', '')
            elif what.tag == 'skipped':
                status, output = SKIP, what.get('message', '')
        name = case.get('name')
        if test.group == GUEST:
            name = case.get('classname') + '/' + name
        yield Result(f'{test.name}/{name}', status, float(case.get('time')), output)


def run(test):
    """Returns the results of a test: one, or of a file of pytest one for each case."""
    folder = tempfile.mkdtemp(prefix='cairn-test.')
    env = dict(os.environ)
    env.update(
        CAIRN_SOURCE=SOURCE, CAIRN_BUILD=test.build, TMPDIR=folder, LC_ALL='C.UTF-8',
        PATH=':'.join([test.build + '/cli', test.build + '/dropin', test.build + '/tests/lib',
                       os.environ.get('PATH', ''), '/usr/sbin', '/sbin']),
        PYTHONDONTWRITEBYTECODE='1',
        TSAN_OPTIONS=f'halt_on_error=1 suppressions={SOURCE}/tests/lib/tsan.supp',
        ASAN_OPTIONS='abort_on_error=1:detect_leaks=1',
        UBSAN_OPTIONS='halt_on_error=1:print_stacktrace=1')
    if test.label:  # slow, and after other faults: one random case of a kind
        env.setdefault('CAIRN_ROUNDS', '1')
    env.update(test.env)
    start = time.monotonic()
    try:
        process = subprocess.Popen(PRIVATE + test.cmd, cwd=folder, env=env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   start_new_session=True)
    except OSError as e:
        os.rmdir(folder)
        return [Result(test.name, -1, 0, str(e))]
    try:
        output, _ = process.communicate(timeout=test.timeout)
        status = process.returncode
    except subprocess.TimeoutExpired:
        status = None
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    if status is None:
        output, _ = process.communicate()
    cases = os.path.join(folder, 'cases.xml')
    if test.pytest and status in (0, 1) and os.path.exists(cases):
        results = list(cases_of(test, cases))
    else:
        results = [Result(test.name, status, time.monotonic() - start,
                          output.decode(errors='replace'))]
    shutil.rmtree(folder, ignore_errors=True)
    return results


def report(result, counts, verbose):
    lines = result.output.strip().splitlines()
    if result.status == 0:
        counts['passed'] += 1
        print(f'ok    {result.name} ({result.seconds:.1f} s)')
        if verbose:
            print(result.output, end='')
    elif result.status == SKIP:
        counts['skipped'] += 1
        print(f'skip  {result.name}: {lines[-1] if lines else "no reason given"}')
    else:
        counts['failed'] += 1
        what = 'out of time' if result.status is None else f'status {result.status}'
        print(f'FAIL  {result.name}: {what} ({result.seconds:.1f} s)')
        for line in lines[-100:]:
            print('      ' + line)
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='*', help='run only tests whose name contains one of these; ^NAME: begins so')
    parser.add_argument('-l', '--list', action='store_true', help='only list the names')
    parser.add_argument('-v', '--verbose', action='store_true', help='print what passing tests say')
    args = parser.parse_args()

    tests = collect(args.names)
    if args.list:
        print('\n'.join(t.name for t in tests))
        return 0
    tests = list(join_guests(tests))
    # A shell starts what runs in its background deaf to this, and tests would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    counts = {'passed': 0, 'failed': 0, 'skipped': 0}
    failed = []
    start = time.monotonic()
    # Side by side, the guests first: they take longest.
    tests.sort(key=lambda t: t.group != GUEST)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run, t) for t in tests]):
            for result in done.result():
                report(result, counts, args.verbose)
                if result.status not in (0, SKIP):
                    failed.append(result.name)
    print(f'{time.monotonic() - start:.0f} s')
    for name in failed:
        print(f'failed: {name}')
    if not tests:
        print('no such test', file=sys.stderr)
    print('{passed} passed, {failed} failed, {skipped} skipped'.format(**counts))
    return 1 if counts['failed'] or not tests else 0


if __name__ == '__main__':
    sys.exit(main())
