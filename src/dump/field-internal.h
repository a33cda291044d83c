/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Fields of a dump line: numbers and escapes (dump-format §1). */
#ifndef DUMP_FIELD_INTERNAL_H
#define DUMP_FIELD_INTERNAL_H

#include <string.h>

#include "base/error.h"

/* A piece of text, not NUL-terminated. */
struct span {
	const char *p;
	size_t len;
};

/* An unsigned number as strtoull reads it over the whole field: white space and one sign in front,
 * saturating, negative ones wrap. Returns false for anything else. */
bool field_number(struct span f, unsigned int base, uint64_t *ret);

/* Undoes the escapes of @f into @out, which has room for f.len bytes. Returns the decoded length, or
 * -EINVAL with the reason in @err. */
ssize_t field_unescape(struct span f, char *out, struct cairn_error *err);

static inline bool field_is_escaped(struct span f)
{
	return memchr(f.p, '\\', f.len) != NULL;
}

/* Not set: the single character `-`. */
static inline bool field_is_unset(struct span f)
{
	return f.len == 1 && f.p[0] == '-';
}

#endif
