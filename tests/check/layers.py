#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""The arrows of ARCHITECTURE.md hold: which room may include which; every source names its license.

Also: a header that ends in -internal.h is seen only by its own room, the pure rooms make no system
calls, and programs see the library only through include/cairn/.
"""

import os
import re
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# room: the rooms below it that it may include. Every room may include itself and include/cairn/.
ROOMS = {
    'base': '',
    'sys': 'base',
    'digest': 'base',
    'tree': 'base',
    'dump': 'base tree',
    'erofs': 'base digest tree',
    'tar': 'base tree',
    'scan': 'base sys digest tree',
    'store': 'base sys digest tree erofs',
    'export': 'base sys digest tree tar erofs store',
    'oci': 'base sys digest tree tar erofs store',
    'transfer': 'base sys digest tree tar erofs store oci',
    'mount': 'base sys digest erofs store',
    'fuse': 'base sys digest erofs store',
    'api': 'base sys digest tree dump erofs tar scan store export transfer oci mount fuse',
    # What is not in src/: programs know the public headers, and base for comfort.
    'cli': 'base',
    'dropin': 'base',
    'compat': '',
}
ROOMS = {room: set(below.split()) | {room} for room, below in ROOMS.items()}

PURE = {'tree', 'digest', 'dump', 'erofs', 'tar'}
# Headers and functions for system calls and threads; no pure room has a use for them.
IMPURE_HEADER = re.compile(r'^(fcntl|unistd|dirent|threads|sys/(mman|ioctl|mount|xattr|socket|'
                           r'wait|syscall|statfs|statvfs|vfs|file))\.h$')

IMPURE_CALL = re.compile(r'\b(pthread_create|syscall|open|openat|fopen|getenv)\(')

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')
LICENSE = 'SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0'
# Files that hold data in a format of their own, or none.
NO_LICENSE_LINE = re.compile(r'\.(md|txt|supp|dump|err|info|ls|objects|list|sha256|fsverity|json|out|in|golden|bin|img|'
                             r'cfs|exit|stdout|stderr|status)$|^LICENSE|(^|/)\.(gitignore|clang-format|'
                             r'clang-tidy|editorconfig)$|^tests/(golden|fuzz/corpus|cli)/')


def room_of(path):
    parts = path.split('/')
    if parts[0] == 'src' and len(parts) > 2:
        return parts[1]
    return parts[0] if parts[0] in ROOMS else None


def check_include(path, room, quote, name):
    """Returns what is wrong with one #include, or None."""
    if name.startswith('cairn/'):
        return None
    if quote == '<':
        if room in PURE and IMPURE_HEADER.match(name):
            return f'pure room {room} includes <{name}>'
        return None
    first = name.split('/')[0] if '/' in name else room
    if first not in ROOMS:
        return f'"{name}" is in no room'
    if first not in ROOMS[room]:
        return f'room {room} may not include "{name}"'
    if name.endswith('-internal.h') and first != room:
        return f'"{name}" is internal to room {first}'
    return None


def main():
    files = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=SOURCE, check=True,
                           capture_output=True, text=True).stdout.splitlines()
    wrong = []
    for path in sorted(set(files)):
        full = os.path.join(SOURCE, path)
        if not os.path.isfile(full) or os.path.islink(full):
            continue
        with open(full, errors='replace') as f:
            lines = f.read().split('\n')
        if not NO_LICENSE_LINE.search(path) and LICENSE not in '\n'.join(lines[:3]) and any(lines):
            wrong.append(f'{path}:1: no line `{LICENSE}`')
        if not path.endswith(('.c', '.h')):
            continue
        room = room_of(path)
        if path.startswith('src/') and room not in ROOMS:
            wrong.append(f'{path}:1: src/{room} is no room of ARCHITECTURE.md')
            continue
        if path.startswith('include/cairn/'):
            for number, line in enumerate(lines, 1):
                found = INCLUDE.match(line)
                if found and found.group(1) == '"':
                    wrong.append(f'{path}:{number}: a public header includes "{found.group(2)}"')
        if room is None:
            continue
        for number, line in enumerate(lines, 1):
            found = INCLUDE.match(line)
            problem = found and check_include(path, room, found.group(1), found.group(2))
            call = room in PURE and IMPURE_CALL.search(line)
            if call:
                problem = f'pure room {room} calls {call.group(1)}()'
            if problem:
                wrong.append(f'{path}:{number}: {problem}')
    print('\n'.join(wrong) if wrong else f'{len(files)} files')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
