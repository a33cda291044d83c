#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""The examples in docs/format/ are true: the image has the bytes and the digest that are shown, and
every dump text can be built and comes back."""

import glob
import os
import re
import subprocess
import sys

SOURCE = os.environ['CAIRN_SOURCE']


def cairn(*args):
    return subprocess.run(['cairn', *args], check=True, capture_output=True, text=True).stdout


def block(text, kind):
    return re.search(rf'^```{kind}\n(.*?)^```$', text, re.M | re.S).group(1)


def main():
    for page in glob.glob(SOURCE + '/docs/format/*.md'):
        with open(page) as f:
            text = f.read()
        if '```dump' not in text:
            continue
        with open('example.dump', 'w') as f:
            f.write(block(text, 'dump'))
        printed = cairn('build', 'example.dump', '-o', 'image', '--format', '0').split()[-1]
        print(page, printed)
        if cairn('dump', 'image') != block(text, 'dump') and '@' not in block(text, 'dump'):
            sys.exit(f'{page}: `cairn dump` prints something else:\n' + cairn('dump', 'image'))
        if '```hex' not in text:
            continue
        with open('image', 'rb') as f:
            image = f.read()
        for line in block(text, 'hex').splitlines():
            if not re.match(r'[0-9a-f]{8}: ', line):
                continue
            offset, there = int(line[:8], 16), bytes.fromhex(line[10:49].replace(' ', ''))
            if image[offset:offset + 16] != there:
                sys.exit(f'{page}: at {offset:#x} the image has {image[offset:offset + 16].hex()}')
        if printed != block(text, 'digest').strip():
            sys.exit(f'{page}: the digest is {printed}')


if __name__ == '__main__':
    main()
