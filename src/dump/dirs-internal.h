/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Which directory a dump line belongs to.
 *
 * Lines mostly come depth first, so the search begins where the last path and this one part; only
 * the components after that are looked up in a table of all directories so far.
 */
#ifndef DUMP_DIRS_INTERNAL_H
#define DUMP_DIRS_INTERNAL_H

#include "base/buf.h"
#include "dump/field-internal.h"
#include "tree/tree.h"

struct dirs {
	struct node **slots; /* by (parent, name), open addressing; NULL: free */
	size_t mask;
	size_t nr;
	struct buf last;  /* path of the directory that was found last; may be empty */
	struct buf steps; /* struct step: the directories on the way to it, outermost first */
};

/* @path_max: bytes of the longest path. Returns 0 or -ENOMEM. */
int dirs_init(struct dirs *d, size_t path_max);
void dirs_fini(struct dirs *d);

/* Makes @dir, which is not the root, known. Returns 0 or -ENOMEM. */
int dirs_add(struct dirs *d, struct node *dir);

/* The directory at @path below @root: components between any number of slashes, taken literally.
 * Returns 0; -ENOTDIR when the last component is there but is no directory; -ENOENT; -ENOMEM. */
int dirs_find(struct dirs *d, struct node *root, struct span path, struct node **ret);

#endif
