/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What names given one by one and names given together share. */
#ifndef STORE_NAMES_INTERNAL_H
#define STORE_NAMES_INTERNAL_H

#include "store/names.h"

/* A name as it lies in the store. */
struct names_link {
	char path[STORE_REF_MAX + 32]; /* below the store */
	char target[STORE_TARGET_MAX]; /* text of the link */
};

/* The link of an entry, and of a reference; checked. Returns 0 or -EINVAL (USAGE). */
int names_entry_link(const struct cairn_store *s, enum store_kind kind, const char *name,
		     const struct cairn_digest *id, struct names_link *ret,
		     struct cairn_error *err);
int names_ref_link(const struct cairn_store *s, enum store_kind kind, const char *name,
		   const char *target, struct names_link *ret, struct cairn_error *err);

/* The directory of @path (a path below the store), made if need be; *@ret_last: its last component. @durable:
 * what was made is on disk on return. Returns a descriptor or a negative errno. */
int names_make_parents(const struct cairn_store *s, const char *path, bool durable,
		       const char **ret_last);

/* Makes or moves the link. @durable: it is on disk on return; directories that had to be made always are. Returns 0; -EEXIST: it is there, leads elsewhere
 * and is not to be replaced; -EISDIR: something else has the name; or another negative errno. */
int names_set_link(const struct cairn_store *s, const char *path, const char *target, bool replace,
		   bool durable);

/* The words for what names_set_link() returned. */
int names_failed(const struct cairn_store *s, const struct names_link *link, const char *name,
		 int code, struct cairn_error *err);

#endif
