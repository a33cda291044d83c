/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What the public functions share. */
#ifndef API_API_INTERNAL_H
#define API_API_INTERNAL_H

#include <cairn/cairn.h>

#include "store/names.h"
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

struct object_signature;

/* As cairn_store_add_image(), but its names go to @batch, which makes it durable when it is committed. @sig: over the
 * image's digest, for the kernel; NULL: none. */
int image_into_batch(struct cairn_store *store, const struct cairn_tree *tree,
		     const struct cairn_image_options *options, const char *name,
		     struct names_batch *batch, struct object_signature *sig,
		     struct cairn_image_result *ret, struct cairn_error *err);

/* A tree from the dump text in the rest of file @fd, with several threads. Returns 0, or -EAGAIN, with
 * the file where it was, for what is to be parsed in one: no long file, or a mistake in it; -ENOMEM. */
int dump_read_pieces(int fd, unsigned int flags, unsigned int jobs, struct tree **ret);

#endif
