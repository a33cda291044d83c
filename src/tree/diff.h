/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Where two trees differ. */
#ifndef TREE_DIFF_H
#define TREE_DIFF_H

#include <cairn/tree.h>

#include "tree/tree.h"

/* See cairn_tree_diff(). */
int64_t tree_diff(const struct tree *a, const struct tree *b,
		  int (*fn)(void *arg, const struct cairn_difference *difference), void *arg);

#endif
