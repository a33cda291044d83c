#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
# What libcairn.so exports is what the public headers declare, each with a version; all of it, and
# every global symbol of the static library too, begins with cairn_.
set -eu
export LC_ALL=C
library=$CAIRN_BUILD/src/libcairn.so

nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | sort >exported
if grep -v '^cairn_[a-z0-9_]*@@CAIRN_[0-9.]*$' exported; then
	echo "these have another prefix, or no version"
	exit 1
fi
sed 's/@@.*//' exported >names

cat "$CAIRN_SOURCE"/include/cairn/*.h | tr '\n' ' ' | grep -o 'CAIRN_API [^;]*(' |
	sed 's/ *(.*//; s/.*[ *]//' | grep '^cairn_' | sort >declared
diff declared names || {
	echo "declared in the headers (<) is not exported (>)"
	exit 1
}
# The programs load libcrypto when they call it (src/sys/libcrypto-late.c): a function that is missing there would
# bring it back at every start.
for program in "$CAIRN_BUILD"/cli/cairn "$CAIRN_BUILD"/dropin/mount.composefs; do
	if readelf -d "$program" | grep 'NEEDED.*libcrypto'; then
		nm -D --undefined-only "$program" | grep OPENSSL
		echo "$program is linked with libcrypto"
		exit 1
	fi
done

echo "$(wc -l <names) symbols"
