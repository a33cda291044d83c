/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Tree to text: composefs-dump(5) lines (dump-format §7) or a plain list (tools §2). */
#ifndef DUMP_PRINT_H
#define DUMP_PRINT_H

#include <cairn/tree.h>

#include "tree/tree.h"

/* Prints @start and what is below it, depth first, through @write in pieces of up to 256 KiB.
 * Of several names of a file the first one printed is the file. Returns 0, -ENOMEM, or what @write
 * returned. */
int dump_print(const struct tree *t, enum cairn_print how, const struct node *start,
	       cairn_write_fn write, void *arg);

#endif
