#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""by_spec.py LOWER TARGET: mounts what `cairn mount --spec --json` prints, with mount(8) alone."""

import json
import os
import subprocess
import sys


def mount(kind, source, target, options):
    escaped = [o.replace('\\', '\\\\').replace(',', '\\,') for o in options]
    os.makedirs(target, exist_ok=True)
    subprocess.run(['mount', '-i', '-t', kind, '-o', ','.join(escaped), source, target], check=True)


def main():
    lower, target = sys.argv[1:]
    layers = [json.loads(line) for line in sys.stdin]
    assert [x['layer'] for x in layers] == ['image', 'data', 'stack'], layers
    image, data, stack = layers
    mount(image['type'], image['source'], lower, image['options'])
    # mount(8) of Debian 12 has the old calls only, where the layers are one word.
    options = [o for o in stack['options'] if not o.startswith(('lowerdir+=', 'datadir+='))]
    assert f'datadir+={data["source"]}' in stack['options']
    mount(stack['type'], stack['source'], target, [*options, f'lowerdir={lower}::{data["source"]}'])


if __name__ == '__main__':
    main()
