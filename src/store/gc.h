/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Removing what nothing needs. */
#ifndef STORE_GC_H
#define STORE_GC_H

#include <cairn/maintain.h>

#include "store/store.h"

/* Calls @fn for each image that is mounted somewhere, of whatever store. */
typedef int (*gc_mounted_fn)(int (*fn)(void *arg, const struct cairn_digest *id), void *arg);

/* As cairn_store_gc(). @mounted: what knows of mounts; NULL: there are none. */
int store_gc(struct cairn_store *s, const struct cairn_gc_options *options, gc_mounted_fn mounted,
	     struct cairn_gc_result *ret, struct cairn_error *err);

#endif
