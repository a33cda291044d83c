# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Layers side by side, each over several threads: the same image and the same store as with one, and the same words
when something is wrong. Here, and not with the other pulls, because the thread sanitiser watches this folder."""

import os
import random
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from programs import run  # noqa: E402
from registry import Layout, tar  # noqa: E402

ENV = {'HOME': '/nonexistent', 'XDG_RUNTIME_DIR': '/nonexistent', 'CONTAINERS_REGISTRIES_CONF': '/dev/null'}
# Inline, in a batch, in pieces that wait, in pieces that are written.
SIZES = [0, 1, 64, 65, 4096, 5000, 100000, 524288, 524289, 1 << 20, (4 << 20) + 1]


def layers(seed, nr=4):
    rng = random.Random(seed)
    noise = rng.randbytes(5 << 20)
    made = []
    for layer in range(nr):
        entries = {'usr/': None}
        for i in range(300):
            size = SIZES[i] if i < len(SIZES) else rng.choice(SIZES[:6])
            start = rng.randrange(len(noise) - size)
            entries[f'usr/l{layer}-{i}'] = noise[start:start + size]
        made.append(tar(entries))
    return made


def pull(store, reference, jobs, *options):
    return run('cairn', 'pull', '--store', store, '--jobs', str(jobs), *options, reference, env=ENV)


def contents(store):
    return sorted(os.path.relpath(os.path.join(folder, name), store) for part in ('objects', 'streams', 'images')
                  for folder, _, names in os.walk(os.path.join(store, part)) for name in names)


@pytest.mark.parametrize('how', ['gzip', 'zstd', 'none'])
def test_same(tmp_path, how):
    layout = Layout(tmp_path / 'layout')
    layout.name(layout.image(layers(1), how), 'a')
    results = [pull(tmp_path / f's{jobs}', f'oci:{layout.path}:a', jobs) for jobs in (1, 4)]
    assert [r.returncode for r in results] == [0, 0], results
    assert results[0].stdout == results[1].stdout
    assert contents(tmp_path / 's1') == contents(tmp_path / 's4')
    assert run('cairn', 'fsck', '--store', tmp_path / 's4').returncode == 0


def test_first_error(tmp_path):
    """The first mistake in the tar is told, also when what comes behind it is worse."""
    made = layers(2, nr=2)
    broken = bytearray(made[1])
    broken[512:1024] = b'x' * 512                 # the second header
    broken = bytes(broken[:-4096]) + b'y' * 4096  # and the end
    layout = Layout(tmp_path / 'layout')
    layout.name(layout.image([made[0], broken]), 'a')
    results = [pull(tmp_path / f's{jobs}', f'oci:{layout.path}:a', jobs) for jobs in (1, 4)]
    assert [r.returncode for r in results] == [1, 1], results
    assert results[0].stderr.replace(b's1', b's4') == results[1].stderr
    assert b'tar header at byte 512' in results[0].stderr
