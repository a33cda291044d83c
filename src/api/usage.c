/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The public functions on what a store's images cost. */
#include "store/usage.h"

#include "api/mounted.h"

int cairn_usage_new(const struct cairn_store *store, const struct cairn_gc_options *options,
		    struct cairn_usage **ret, struct cairn_error *err)
{
	static const struct cairn_gc_options defaults = {0};

	return usage_new(store, options ? options : &defaults, mounted_images, ret, err);
}

void cairn_usage_free(struct cairn_usage *usage)
{
	usage_free(usage);
}

const struct cairn_usage_total *cairn_usage_total(const struct cairn_usage *usage)
{
	return usage_total(usage);
}

const struct cairn_usage_user *cairn_usage_users(const struct cairn_usage *usage,
						 unsigned long *ret_nr)
{
	return usage_users(usage, ret_nr);
}

const struct cairn_usage_set *cairn_usage_sets(const struct cairn_usage *usage,
					       unsigned long *ret_nr)
{
	return usage_sets(usage, ret_nr);
}

uint64_t cairn_usage_frees(const struct cairn_usage *usage, const unsigned char *chosen)
{
	return usage_frees(usage, chosen);
}
