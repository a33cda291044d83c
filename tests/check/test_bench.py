# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""docs/bench.md and the sections of tests/bench belong together, and writing tables keeps the prose."""

import os
import sys

SOURCE = os.environ['CAIRN_SOURCE']
sys.path[:0] = [SOURCE + '/tests/bench', SOURCE + '/tests/bench/lib']

import bench
import harness
import page


def test_page_has_a_table_of_each_section():
    with open(SOURCE + '/docs/bench.md') as f:
        assert sorted(page.names(f.read())) == sorted(bench.load_sections())


def test_sections_have_titles():
    assert all(bench.title(f) for f in bench.load_sections().values())


def test_a_table_replaces_its_old_one_only():
    text = page.put(page.put('# Head\n', 'one', 'One', 'old'), 'two', 'Two', 'second')
    text = text.replace('## Two', 'Prose.\n\n## Two') + '\nMore prose.\n'
    assert page.names(text) == ['one', 'two']
    assert page.put(text, 'one', 'One', 'new \\1') == text.replace('\nold\n', '\nnew \\1\n')


def test_table_leaves_out_empty_columns():
    b = harness.Bench('.', '.')
    sample = harness.Sample()
    sample.add(2.0)
    b.row('work', sample, limit=1.0, limit_name='cat', reach=1.5)
    assert b.take_table() == ('| work | cairn | limit | ratio | reach | reached |\n'
                              '|---|---|---|---|---|---|\n'
                              '| work | 2.00 s | cat 1.00 s | 2.00× | ≤ 1.5× | **no** |')
