/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Sorting the children of a directory. */
#ifndef TREE_SORT_INTERNAL_H
#define TREE_SORT_INTERNAL_H

#include "tree/tree.h"

/* Sorts @nodes by the bytes of their names; equal names keep their order. -ENOMEM or 0. */
int sort_nodes(struct node **nodes, size_t nr);

#endif
