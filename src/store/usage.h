/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Who needs which objects (cairn/usage.h says what that means). */
#ifndef STORE_USAGE_H
#define STORE_USAGE_H

#include <cairn/usage.h>

#include "store/gc.h"

/* As the functions cairn_usage_…(). @mounted: as for store_gc(). */
int usage_new(const struct cairn_store *s, const struct cairn_gc_options *options,
	      gc_mounted_fn mounted, struct cairn_usage **ret, struct cairn_error *err);
void usage_free(struct cairn_usage *u);
const struct cairn_usage_total *usage_total(const struct cairn_usage *u);
const struct cairn_usage_user *usage_users(const struct cairn_usage *u, unsigned long *ret_nr);
const struct cairn_usage_set *usage_sets(const struct cairn_usage *u, unsigned long *ret_nr);
uint64_t usage_frees(const struct cairn_usage *u, const unsigned char *chosen);

#endif
