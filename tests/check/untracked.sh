#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
# Building and testing leave no file in the source tree. `./dev test` noted what lay there before.
cd "$CAIRN_SOURCE" || exit 1
[ -f "$CAIRN_BUILD/untracked" ] || {
	echo "run by ./dev test only"
	exit 77
}
diff "$CAIRN_BUILD/untracked" <(git ls-files -o --exclude-standard)
