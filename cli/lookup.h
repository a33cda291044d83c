/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Finding a file in a tree the way that open(2) would, symbolic links included. */
#ifndef CLI_LOOKUP_H
#define CLI_LOOKUP_H

#include <cairn/tree.h>

/* The name without symbolic links that @path leads to inside @tree; links stay inside the tree.
 * @ret: freed by the caller.
 * Returns 0; -ENOENT, -ENOTDIR, -ELOOP (more than 40 links), -ENAMETOOLONG; -ENOMEM. */
int lookup_path(const struct cairn_tree *tree, const char *path, char **ret);

#endif
