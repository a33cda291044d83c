/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Small JSON documents from outside, read strictly (oci-image.md §4). */
#ifndef OCI_JSON_H
#define OCI_JSON_H

#include <jansson.h>

#include "base/error.h"

/* Reads an object from @data[0..@size): UTF-8, no name twice, nothing behind it, at most @depth levels.
 * @what names it in the words. Returns 0; -EINVAL (FORMAT) with line and column. */
int json_read(const void *data, size_t size, unsigned int depth, const char *what, json_t **ret,
	      struct cairn_error *err);

/* Refuses names in @object that differ only in case from one of @known (NULL ends them). */
int json_check_names(const json_t *object, const char *const *known, const char *what,
		     struct cairn_error *err);

/* The member @name of @object with the right type, into *@ret. null counts as not there. Returns 1: it is
 * there; 0: it is not, *@ret is untouched; -EINVAL (FORMAT): it has another type. */
int json_member(const json_t *object, const char *name, json_type type, json_t **ret,
		const char *what, struct cairn_error *err);
int json_text(const json_t *object, const char *name, const char **ret, const char *what,
	      struct cairn_error *err);
/* An integer from 0 on. */
int json_size(const json_t *object, const char *name, uint64_t *ret, const char *what,
	      struct cairn_error *err);
int json_bool(const json_t *object, const char *name, bool *ret, const char *what,
	      struct cairn_error *err);

DEFINE_CLEANUP(json_t *, json, json_decref)

#endif
