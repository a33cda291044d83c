# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Tables in docs/bench.md: between two markers each, so that the words around them are kept.

    <!-- bench NAME -->
    where and when it was measured, and the table
    <!-- /bench -->
"""

import datetime
import os
import platform
import re
import subprocess

BLOCK = re.compile(r'<!-- bench (\w+) -->\n(.*?)<!-- /bench -->\n', re.S)


def names(text):
    """The sections that the page has a table of, in its order."""
    return [m.group(1) for m in BLOCK.finditer(text)]


def put(text, name, title, table):
    """The page with the table of section @name: in place of its old one, or else at the end."""
    block = f'<!-- bench {name} -->\n{table}\n<!-- /bench -->\n'
    if name not in names(text):
        return f'{text.rstrip()}\n\n## {title}\n\n{block}'
    return BLOCK.sub(lambda m: block if m.group(1) == name else m.group(0), text)


def machine(work, quick):
    """One line: when and on what, the file system of @work included."""
    with open('/proc/cpuinfo') as f:
        lines = f.read().splitlines()
    facts = {l.split(':')[0].strip(): l.split(':')[1].strip() for l in lines if ':' in l}
    flags = facts.get('flags', facts.get('Features', '')).split()
    extra = [text for flag, text in (('avx512f', 'AVX-512'), ('sha_ni', 'SHA-NI'),
                                     ('sha2', 'SHA2')) if flag in flags]
    model = facts.get('model name', platform.machine())
    if 'cpu family' in facts:
        model += f' (family {facts["cpu family"]}, model {facts["model"]})'
    kind = subprocess.run(['stat', '-f', '-c', '%T', work], capture_output=True,
                          text=True).stdout.strip().replace('ext2/ext3', 'ext4')
    release = '.'.join(platform.release().split('.')[:2])
    return (f'{datetime.date.today()}, {"quick, " if quick else ""}'
            f'{", ".join([model] + extra)}, {os.cpu_count()} cores, Linux {release}, {kind}:')
