#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
# The program in docs/mounting.md builds, and mounts by descriptors; so can a shell by --spec.
set -eu
[ "$(id -u)" = 0 ] || { echo "not root: cannot mount"; exit 77; }
sed -n '/^```c$/,/^```$/p' "$CAIRN_SOURCE/docs/mounting.md" | sed '/^```/d' >engine.c
[ "$(wc -l <engine.c)" -ge 25 ]
gcc -std=gnu11 -Wall -Wextra -Werror -I "$CAIRN_SOURCE/include" -I "$CAIRN_BUILD/include" -o engine engine.c -L "$CAIRN_BUILD/src" -lcairn

mkdir -p tree/etc mnt
seq 10000 >tree/etc/numbers
cairn build -q tree -o image --store store >/dev/null
LD_LIBRARY_PATH=$CAIRN_BUILD/src ./engine image store/objects mnt >said || { cat said; exit 1; }
grep -qx 'enforced\|not enforced' said
diff -r tree mnt
grep -q " $PWD/mnt .*nosuid,nodev" /proc/self/mountinfo
umount mnt

mkdir other
cairn build -q other -o bare.cfs --store store >/dev/null
[ "$(LD_LIBRARY_PATH=$CAIRN_BUILD/src ./engine bare.cfs store/objects mnt 2>&1)" = 'no etc in it' ]
[ -z "$(ls mnt)" ]

# By hand, from the specification alone.
cairn mount --spec --json image --store store -o noverity | "$CAIRN_SOURCE/tests/lib/by_spec.py" lower mnt
diff -r tree mnt
umount mnt lower
