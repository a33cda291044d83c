#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""report.py FILE: what `cairn build --json` reported, for people."""

import json
import sys


def size(number):
    return f'{number / (1 << 20):,.1f} MiB'


def main():
    with open(sys.argv[1]) as f:
        r = json.load(f)
    shared = r['bytes'] - r['new_bytes']
    print(f"source  {r['source']}: {r['files']:,} files, {size(r['bytes'])}")
    print(f"image   {r['inodes']:,} inodes, {size(r['size'])}, format {r['format']}")
    print(f"store   {r['new_objects']:,} objects, {size(r['new_bytes'])}, {r['reflinked']:,} of them reflinked;"
          f" {size(shared)} ({100 * shared / max(r['bytes'], 1):.1f} %) shared or in the image")
    print(f"digest  {r['digest']} (fs-verity, {r['alg']})")
    print(f"time    {r['seconds']:.2f} s, {size(r['bytes'] / max(r['seconds'], 0.001))}/s")


if __name__ == '__main__':
    main()
