/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What the public functions share. */
#ifndef API_API_INTERNAL_H
#define API_API_INTERNAL_H

#include <cairn/cairn.h>

#include "tree/tree.h"

/* A struct cairn_tree is a struct tree; the name outside says nothing about what is in it. */
static inline struct cairn_tree *tree_to_public(struct tree *t)
{
	return (struct cairn_tree *)t;
}

static inline const struct tree *tree_from_public(const struct cairn_tree *t)
{
	return (const struct tree *)t;
}

#endif
