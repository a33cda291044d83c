/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The public functions that keep a store in order. */
#include <cairn/maintain.h>
#include <errno.h>

#include "api/mounted.h"
#include "base/error.h"
#include "store/fsck.h"
#include "store/gc.h"
#include "transfer/transfer.h"

#define GC_FLAGS   (CAIRN_GC_DRY_RUN | CAIRN_GC_EMPTY | CAIRN_GC_NO_CHILDREN)
#define FSCK_FLAGS (CAIRN_FSCK_METADATA_ONLY | CAIRN_FSCK_REPAIR | CAIRN_FSCK_SCRUB)

int cairn_store_gc(struct cairn_store *store, const struct cairn_gc_options *options,
		   struct cairn_gc_result *ret, struct cairn_error *err)
{
	static const struct cairn_gc_options defaults = {0};
	struct cairn_gc_result result;

	if (!options)
		options = &defaults;
	if (options->flags & ~(unsigned int)GC_FLAGS)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "collect: unknown flags");
	return store_gc(store, options, mounted_images, ret ? ret : &result, err);
}

/* The web servers that may have what a check found damaged. */
struct sources {
	struct cairn_store *store;
	const struct cairn_fsck_options *options;
};

/* As fsck_remotes.bring. */
static int bring(void *arg, size_t i, const struct cairn_digest *ids, size_t nr, fsck_take_fn take,
		 void *take_arg, struct cairn_error *err)
{
	const struct sources *s = (const struct sources *)arg;
	const struct cairn_transfer_options options = {
		.plain_http = s->options->plain_http,
		.progress = s->options->progress,
		.progress_arg = s->options->progress_arg,
	};
	cleanup(fetch) struct fetch *f = NULL;
	cleanup_wants struct wants w = WANTS_INIT;
	int r;

	w.want = (struct want *)calloc(nr, sizeof(*w.want));
	if (!w.want)
		return error_errno(err, -ENOMEM, "%s", s->options->urls[i]);
	for (; w.nr < nr; w.nr++)
		w.want[w.nr] = (struct want){ids[w.nr], WANT_SIZE_UNKNOWN};
	r = fetch_open(s->store, s->options->urls[i], &options, &f, err);
	return r ? r : fetch_each(f, &w, take, take_arg, err);
}

int cairn_store_fsck(struct cairn_store *store, const struct cairn_fsck_options *options,
		     struct cairn_fsck_result *ret, struct cairn_error *err)
{
	static const struct cairn_fsck_options defaults = {0};
	struct cairn_fsck_result result;
	struct sources sources = {store, options ? options : &defaults};
	const struct fsck_remotes remotes = {sources.options->nr_urls, bring, &sources};

	options = sources.options;
	if (options->flags & ~(unsigned int)FSCK_FLAGS ||
	    (options->flags & CAIRN_FSCK_SCRUB && options->flags & CAIRN_FSCK_METADATA_ONLY))
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "check: unknown flags, or flags that exclude each other");
	return store_fsck(store, options, &remotes, ret ? ret : &result, err);
}
