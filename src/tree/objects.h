/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The objects that a tree's files need. */
#ifndef TREE_OBJECTS_H
#define TREE_OBJECTS_H

#include "tree/tree.h"

/* One object: a file that needs it tells the rest. */
struct object_use {
	uint64_t key; /* first bytes of the path, in its order */
	const struct node *node;
};

/* The algorithm of the paths that follow from digests: SHA-256 where the tree has both. */
enum cairn_alg tree_alg(const struct tree *t);

/* Every object path of the tree once, in byte order; node_payload() of the node gives it.
 * @ret: freed by the caller. Returns their number or -ENOMEM. */
int64_t tree_objects(const struct tree *t, struct object_use **ret);

/* Gives every external file the digest, and with it the path, that its object has in a store of @alg:
 * @digests[0..@nr) in the order of tree_objects(). All must be named by their digest. The caller alone has
 * the tree. Returns 0, -EINVAL for another number, or -ENOMEM. */
int tree_set_digests(struct tree *t, enum cairn_alg alg, const uint8_t *digests, size_t nr);

#endif
