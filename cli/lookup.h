/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Finding a file in a tree the way that open(2) would, symbolic links included. */
#ifndef CLI_LOOKUP_H
#define CLI_LOOKUP_H

#include <cairn/tree.h>

/* The entry that @path leads to inside @tree; symbolic links stay inside the tree.
 * @ret: as from cairn_tree_walk(), but its path is NULL.
 * Returns 0; -ENOENT, -ENOTDIR, -ELOOP (more than 40 links), -ENAMETOOLONG; -ENOMEM. */
int lookup_entry(const struct cairn_tree *tree, const char *path, struct cairn_entry *ret);

#endif
