# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
# not sanitised: what is judged is what a disk holds, and slow programs finish little before the cut
"""The power goes in the middle of a build, tag, untag, copy, collection or repair: what was reported as done is there
after the next start, every name is whole, and fsck finds nothing but leftovers, or the damage that was being repaired.

The machine is a guest whose disk stays; it is killed at a random moment, and what it had not written by then is
lost. CAIRN_CUTS=N: so many cuts (3 without it); CAIRN_SEED=N repeats a run, as far as time can be repeated.
"""

import os
import random
import shlex
import subprocess
import sys
import time

import pytest

LIB = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib')
sys.path.insert(0, LIB)
import guest  # noqa: E402
from programs import BUILD, SOURCE, program  # noqa: E402

CUTS = int(os.environ.get('CAIRN_CUTS', 3))
SEED = int(os.environ.get('CAIRN_SEED', random.randrange(1 << 32)))
BOOT_SECONDS = 500  # until the guest says something; emulated, on a busy machine
WORK_SECONDS = 4    # at most, from then until the cut

# First what the last cut has left, then work without end. Each step is announced before, and reported after.
SCRIPT = r"""
store=$SCRATCH/store second=$SCRATCH/second
look() {	# STORE: what the last cut has left in it
	$CAIRN fsck -q --store $1 >/tmp/fsck 2>&1
	echo fsck ${1##*/} $?
	grep -v ^leftover /tmp/fsck
}
names() {	# STORE
	$CAIRN refs --store $1 | sed 's/^/ref /'
	for name in $($CAIRN refs --store $1 | cut -d ' ' -f 1); do
		missing=$($CAIRN objects --missing ref:$name --store $1) && [ -z "$missing" ] ||
			echo broken $name
	done
}
digest() {	# STORE NAME
	$CAIRN refs --store $1 | sed -n "s/^$2 //p"
}
bring() {	# NAME COPY
	echo begin $2
	$CAIRN copy ref:$1 --name $2 -q --from $store --to $second >/tmp/digest 2>/dev/null &&
		echo done $2 $(cat /tmp/digest) || { echo same $2; false; }
}
if [ -d $store ]; then
	look $store; look $second
	$CAIRN fsck -q --repair --store $store >/dev/null
	$CAIRN fsck -q --repair --from $store --store $second >/dev/null; echo repaired $?
	names $store; names $second
else
	$CAIRN store init $store >/dev/null; $CAIRN store init $second >/dev/null; sync
fi
echo working
RANDOM=$SEED
for round in $(seq 1000); do
	name=n$((RANDOM % 5)) copy=c$((RANDOM % 3))
	case $((RANDOM % 9)) in
	0 | 1 | 2)
		rm -rf /tmp/tree; mkdir /tmp/tree
		for i in $(seq $((RANDOM % 8 + 2))); do
			head -c $((RANDOM % 9000 + 100)) /dev/zero | tr '\\0' "\\$((RANDOM % 8))" >/tmp/tree/$i
		done
		echo begin $name
		$CAIRN build /tmp/tree --name $name -q --store $store >/tmp/digest && echo done $name $(cat /tmp/digest)
		;;
	3)
		echo begin $name
		$CAIRN untag $name --store $store 2>/dev/null && echo done $name - || echo same $name
		;;
	4)
		other=n$((RANDOM % 5))
		echo begin $name
		$CAIRN tag --move ref:$other $name --store $store 2>/dev/null &&
			echo done $name $(digest $store $name) || echo same $name
		;;
	5)
		echo collecting
		$CAIRN gc -q --empty --store $store >/dev/null && $CAIRN gc -q --empty --store $second >/dev/null &&
			echo collected || echo gc failed
		;;
	6) bring $name $copy ;;
	7 | 8)	# One object of a copy, which the first store has as well.
		bring $name $copy || continue
		object=$($CAIRN objects ref:$copy --store $second | sed -n "$((RANDOM % 3 + 1))p")
		[ -n "$object" ] || continue
		path=$second/objects/$(echo $object | sed 's,^..,&/,')
		echo hurting $object
		[ $((RANDOM % 2)) = 0 ] && rm $path || { echo wrong >$SCRATCH/wrong; mv $SCRATCH/wrong $path; }
		$CAIRN fsck -q --repair --from $store --store $second >/dev/null && echo mended || echo repair failed
		;;
	esac
done
"""


class Machine:
    """A guest with a disk that outlives it."""

    def __init__(self, folder):
        cache = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'),
                             'cairn-guest')
        try:
            self.kernel = guest.fetch_kernel(cache, guest.BASE)
        except SystemExit:
            pytest.skip('there can be no guest here')
        self.work = str(folder)
        self.disk = guest.make_disk(self.work + '/disk', *guest.ext4())

    def run_until_cut(self, seed, word, seconds):
        """What it said before the power went, @seconds after it said @word."""
        shares = guest.shares_for([SOURCE, BUILD])
        env = {'PATH': os.environ['PATH'], 'SCRATCH': '/mnt/scratch', 'HOME': '/root', 'LC_ALL': 'C',
               'CAIRN': program('cairn'), 'SEED': str(seed)}
        command = ''.join(f'export {k}={shlex.quote(v)}\n' for k, v in env.items()) + 'cd /tmp\n' + SCRIPT
        guest.make_initramfs(self.kernel, [], shares, command, self.work + '/initramfs')
        for name in 'output', 'status', 'cases', 'console':
            open(f'{self.work}/{name}', 'w').close()
        process = subprocess.Popen(guest.machine(self.kernel, self.work, [self.disk], shares),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        end = time.monotonic() + BOOT_SECONDS
        while word not in self.said() and time.monotonic() < end and process.poll() is None:
            time.sleep(0.05)
        time.sleep(seconds)
        process.kill()
        process.wait()
        said = self.said()
        assert 'working' in said, (said, open(self.work + '/console', errors='replace').read()[-2000:])
        return said

    def said(self):
        with open(self.work + '/output', encoding='utf-8', errors='replace') as f:
            return f.read().replace('\r', '')


def lines_of(text):
    """Whole lines: the last may have been cut."""
    return text[:text.rfind('\n') + 1].splitlines()


def test_power_cuts(tmp_path):
    rng = random.Random(SEED)
    print(f'CAIRN_SEED={SEED}')
    machine = Machine(tmp_path)
    known, pending, hurting, counts = {}, None, False, {}
    for cut in range(CUTS + 1):
        said = machine.run_until_cut(rng.randrange(32768), 'working' if cut else '\ndone ',
                                     0 if cut == CUTS else rng.random() * WORK_SECONDS)
        lines = lines_of(said)
        before = lines[:lines.index('working')]
        if cut:
            assert 'fsck store 0' in before and 'repaired 0' in before, said
            assert 'fsck second 0' in before or (hurting and 'fsck second 3' in before), said
            assert not [line for line in before if line.startswith('broken')], said
            found = dict(line.split()[1:3] for line in before if line.startswith('ref '))
            for name in set(known) | set(found):
                if name != pending:
                    assert found.get(name) == known.get(name), (cut, name, found, known, said)
            known = found
        pending, hurting = None, False
        for line in lines[lines.index('working') + 1:]:
            words = line.split()
            counts[words[0]] = counts.get(words[0], 0) + 1
            if words[0] == 'begin':
                pending = words[1]
            elif words[0] in ('done', 'same'):
                if words[0] == 'done':
                    known[words[1]] = words[2]
                if words[-1] == '-':
                    del known[words[1]]
                pending = None
            elif words[0] in ('hurting', 'mended'):
                hurting = words[0] == 'hurting'
            elif words[0] in ('collecting', 'collected'):
                pass
            else:
                raise AssertionError(said)
    print(f'{CUTS} cuts, {counts}')
    assert counts['done']
