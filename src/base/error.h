/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Filling struct cairn_error. Every function here returns the (negative) code, so that the error path
 * is one line: return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "inode %u: …", n);
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <cairn/error.h>

#include "base/macro.h"

/* Sets code, kind and sentence. @code: negative errno. Returns @code. @err may be NULL. */
int error_set(struct cairn_error *err, int code, enum cairn_error_kind kind, const char *fmt, ...)
	__printf_like(4, 5);

/* A refused system call: kind SYSTEM, the sentence ends with ": " and the words for @code. */
int error_errno(struct cairn_error *err, int code, const char *fmt, ...) __printf_like(3, 4);

/* Puts "noun: " in front of the sentence that is there. Returns err->code (0 without @err). */
int error_prepend(struct cairn_error *err, const char *fmt, ...) __printf_like(2, 3);

/* Bytes of the input in messages: unprintable ones as \xhh, at most 4 * @len + 1 bytes in @out and
 * never more than @out_size. Returns @out. */
const char *error_quote(const char *name, size_t len, char *out, size_t out_size);

#endif
