/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Finding and mending damage. */
#ifndef STORE_FSCK_H
#define STORE_FSCK_H

#include <cairn/maintain.h>

#include "store/store.h"

/* As cairn_store_fsck(). */
int store_fsck(struct cairn_store *s, const struct cairn_fsck_options *options,
	       struct cairn_fsck_result *ret, struct cairn_error *err);

#endif
