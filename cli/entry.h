/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The row of one name in a tree, for `ls` and `dump`. */
#ifndef CLI_ENTRY_H
#define CLI_ENTRY_H

#include "cli.h"

/* How much of an entry to print. */
enum entry_detail { ENTRY_LS, ENTRY_DUMP };

/* A cairn_entry_fn; @arg: an enum entry_detail. */
int entry_row(void *arg, const struct cairn_entry *entry);

/* "directory", "file", "symlink" … */
const char *entry_type(uint32_t mode);

#endif
