/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Intern tables of the tree room: each (name, value) pair and each list once. */
#ifndef TREE_XATTR_INTERNAL_H
#define TREE_XATTR_INTERNAL_H

#include "tree/tree.h"

struct intern_slot {
	uint32_t hash;
	void *item; /* NULL: free */
};

/* Open addressing, a power of two of slots, at most half full. */
struct intern_table {
	struct intern_slot *slots;
	uint32_t mask;
	uint32_t nr;
};

struct xattr_intern {
	struct intern_table pairs; /* struct xattr */
	struct intern_table lists; /* struct xattr_list */
};

int xattr_intern_new(struct xattr_intern **ret);
void xattr_intern_free(struct xattr_intern *x);

/* The list that equals @from, made in @a of interned copies of its pairs when there is none yet.
 * NULL: out of memory. */
const struct xattr_list *xattr_intern_list(struct xattr_intern *x, struct arena *a,
					   const struct xattr_list *from);

#endif
