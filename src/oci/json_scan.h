/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * JSON that is too large for a tree in memory: read value by value, where it lies.
 *
 *	r = json_scan_object(&s);
 *	while (r == 0 && (r = json_scan_name(&s, name, sizeof(name))) == 1)
 *		r = !strcmp(name, "size") ? json_scan_size(&s, &size) : json_scan_skip(&s);
 *
 * Functions return 0 (or what they say), or -EINVAL; then @error tells why and @at where.
 */
#ifndef OCI_JSON_SCAN_H
#define OCI_JSON_SCAN_H

#include "base/macro.h"

#define JSON_SCAN_DEPTH 32

struct json_scan {
	const char *start, *at, *end;
	const char *error;
	unsigned int depth;
	bool first; /* nothing of the innermost object or array was read yet */
};

void json_scan_init(struct json_scan *s, const void *data, size_t size);

/* Into an object or array. */
int json_scan_object(struct json_scan *s);
int json_scan_array(struct json_scan *s);

/* The next name of an object; then its value is next. Returns 1, or 0: the object has ended. A name that does
 * not fit becomes "". */
int json_scan_name(struct json_scan *s, char *name, size_t size);

/* Whether another element of an array is next. Returns 1, or 0: the array has ended. */
int json_scan_element(struct json_scan *s);

/* A string without its escapes, NUL behind it; -EINVAL also when it does not fit. @ret_len may be NULL. */
int json_scan_text(struct json_scan *s, char *text, size_t size, size_t *ret_len);

/* An integer from 0 on, below 2^63. null counts as 0. */
int json_scan_size(struct json_scan *s, uint64_t *ret);

/* Over any value. */
int json_scan_skip(struct json_scan *s);

/* Nothing but white space is left. */
int json_scan_end(struct json_scan *s);

#endif
