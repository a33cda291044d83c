/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Finding and mending damage. */
#ifndef STORE_FSCK_H
#define STORE_FSCK_H

#include <cairn/maintain.h>

#include "store/store.h"

/* Gets a file that should be the object @id. Returns 0; -EILSEQ: it is not; or another negative errno. */
typedef int (*fsck_take_fn)(void *arg, const struct cairn_digest *id, int fd);

/* Where right objects may be found beside stores: the check does not know how they come. */
struct fsck_remotes {
	size_t nr;
	/* Brings those of @ids[0..@nr) that remote @i has, and hands each to @take. Returns 0, however
	 * many there were; or a negative errno. */
	int (*bring)(void *arg, size_t i, const struct cairn_digest *ids, size_t nr,
		     fsck_take_fn take, void *take_arg, struct cairn_error *err);
	void *arg;
};

/* As cairn_store_fsck(). @remotes: may be NULL. */
int store_fsck(struct cairn_store *s, const struct cairn_fsck_options *options,
	       const struct fsck_remotes *remotes, struct cairn_fsck_result *ret,
	       struct cairn_error *err);

#endif
