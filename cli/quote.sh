#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
# quote.sh FILE: the file as the text of a string in C, a line each.
exec sed -e 's/["\\]/\\&/g' -e 's/^/"/' -e 's/$/\\n"/' "$1"
