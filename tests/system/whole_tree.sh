#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
# A real tree of tens of thousands of files, mounted, is the same for tools that know nothing of cairn:
# diff, find, getfattr. And for treecmp, which also looks at hard links.
set -euo pipefail
tree=/usr/share

[ "$(id -u)" = 0 ] || {
	echo "mounting needs root"
	exit 77
}
mkdir mnt
cairn build "$tree" -o image --store store
cairn mount image mnt --store store
trap 'umount mnt' EXIT

# Facts of every name; directories have neither a size nor a link count of their own in a mount.
facts() {
	find "$1" -type d -printf '%P %y %m %U %G %T@\n' -o -printf '%P %y %m %U %G %T@ %s %n %l\n' | sort
}
diff <(facts "$tree") <(facts mnt)
attributes() { (cd "$1" && getfattr -R -h -d -m - . | sort); }
diff <(attributes "$tree") <(attributes mnt)
diff -r --no-dereference "$tree" mnt
treecmp "$tree" mnt
