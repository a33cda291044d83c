#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
# localize.sh ARCHIVE OUTPUT DIR CC...: joins the objects of ARCHIVE to one, makes its hidden symbols
# local, and writes it as archive OUTPUT. Who links it may then have an error_set() of his own.
set -eu
archive=$1 output=$2 dir=$3
shift 3
mkdir -p "$dir"
"$@" -r -nostdlib -o "$dir/cairn.o" -Wl,--whole-archive "$archive" -Wl,--no-whole-archive
objcopy --localize-hidden "$dir/cairn.o"
rm -f "$output"
ar rcsD "$output" "$dir/cairn.o"
