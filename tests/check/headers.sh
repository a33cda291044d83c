#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
# Every public header compiles alone, as C11 and as C++.
set -eu
for header in "$CAIRN_SOURCE"/include/cairn/*.h; do
	name=cairn/$(basename "$header")
	for compiler in "gcc -x c -std=c11" "g++ -x c++ -std=c++11" "clang -x c -std=c11" "clang++ -x c++ -std=c++11"; do
		command -v "${compiler%% *}" >/dev/null || {
			echo "no ${compiler%% *}"
			exit 77
		}
		echo "$compiler $name"
		echo "#include <$name>" | $compiler -Wall -Wextra -Werror -pedantic -fsyntax-only \
			-I "$CAIRN_SOURCE/include" -I "$CAIRN_BUILD/include" -
	done
done
