#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""gentree.py real|small N DIR: a directory tree of N files for benchmarks, the same each time.

real   copies of the files of /usr, with its directories and symbolic links, over and over until there
       are N files; the first bytes of each copy differ, so that no two files are the same object
small  files of 0 to 4000 bytes, a hundred a directory
"""

import os
import random
import sys

LARGEST = 8 << 20  # bytes; a few giants of /usr would be most of the tree


def copies_of_usr(count, top):
    made = 0
    for copy in range(1000):
        for folder, folders, names in os.walk('/usr'):
            folders.sort()
            target = f'{top}/{copy}{folder}'
            os.makedirs(target, exist_ok=True)
            for name in sorted(names):
                source = os.path.join(folder, name)
                if os.path.islink(source):
                    os.symlink(os.readlink(source), os.path.join(target, name))
                    continue
                if not os.path.isfile(source) or os.path.getsize(source) > LARGEST:
                    continue
                with open(source, 'rb') as f:
                    data = bytearray(f.read())
                mark = b'%d %d' % (copy, made)
                if len(data) >= len(mark):
                    data[:len(mark)] = mark
                with open(os.path.join(target, name), 'wb') as f:
                    f.write(data)
                made += 1
                if made == count:
                    return


def small_files(count, top):
    numbers = random.Random(20211014)
    for i in range(count):
        folder = f'{top}/{i // 10000:03}/{i // 100 % 100:02}'
        if i % 100 == 0:
            os.makedirs(folder)
        with open(f'{folder}/file{i % 100:02}', 'wb') as f:
            f.write(numbers.randbytes(numbers.randrange(4001)))


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ('real', 'small'):
        sys.exit(__doc__)
    os.makedirs(sys.argv[3])
    make = copies_of_usr if sys.argv[1] == 'real' else small_files
    make(int(sys.argv[2]), sys.argv[3])


if __name__ == '__main__':
    main()
