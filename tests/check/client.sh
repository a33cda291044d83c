#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
# The client in README.md builds against the installed package, with the shared library and with the
# static one, and prints the digest that cairn prints.
set -eu
DESTDIR=$PWD/root meson install -C "$CAIRN_BUILD" --no-rebuild >/dev/null
prefix=$(find root -name cairn.pc -printf '%h\n')
prefix=$(realpath "$prefix/../..")
sed -i "s|^prefix=.*|prefix=$prefix|" "$prefix"/lib/pkgconfig/cairn.pc
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig

sed -n '/^```c$/,/^```$/p' "$CAIRN_SOURCE/README.md" | sed '/^```/d' >client.c
[ "$(wc -l <client.c)" -ge 10 ]
# shellcheck disable=SC2046 # flags are words
gcc -std=gnu11 -Wall -Wextra -Werror -o client client.c $(pkg-config --cflags --libs cairn)
# shellcheck disable=SC2046
gcc -std=gnu11 -Wall -Wextra -Werror -o client-static client.c \
	$(pkg-config --cflags cairn) "$prefix/lib/libcairn.a" $(pkg-config --libs --static cairn | sed 's/-lcairn//')

mkdir tree
seq 1000 >tree/numbers
ln tree/numbers tree/again
"$CAIRN_BUILD/cli/cairn" digest tree >expected
LD_LIBRARY_PATH=$prefix/lib ./client tree image >printed
grep -o '^[0-9a-f]*' expected | diff - printed
"$CAIRN_BUILD/cli/cairn" check image
./client-static tree image2 | diff - printed
cmp image image2
