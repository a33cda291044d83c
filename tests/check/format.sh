#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
# Every C file is as clang-format leaves it.
cd "$CAIRN_SOURCE" || exit 1
command -v clang-format >/dev/null || {
	echo "no clang-format"
	exit 77
}
exec ./dev format --check
