/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A small reader of TOML: it calls back for every value with the path to it.
 *
 * Read: comments, bare and quoted names, dotted names, tables, arrays of tables, basic and literal strings of one
 * line, integers, booleans, arrays (over several lines), inline tables. Refused: dates, fractions,
 * strings of several lines.
 */
#ifndef OCI_TOML_H
#define OCI_TOML_H

#include <cairn/error.h>

#include "base/macro.h"

#define TOML_DEPTH_MAX 8    /* of tables and arrays in a value */
#define TOML_TEXT_MAX  4096 /* bytes of a string */
#define TOML_PATH_MAX  512  /* bytes of a path */

enum toml_kind {
	TOML_TABLE = 1, /* [path] begins */
	TOML_ELEMENT,   /* [[path]] begins, or a table in an array */
	TOML_STRING,
	TOML_INTEGER,
	TOML_BOOLEAN,
};

/* @path: names joined by '.' ("registry.mirror.location"), of a value in an array that of the array. @text:
 * of a string, NUL-terminated. Returns 0, or a negative errno that ends the reading. */
typedef int (*toml_fn)(void *arg, enum toml_kind kind, const char *path, const char *text,
		       int64_t number, struct cairn_error *err);

/* Returns 0; -EINVAL (FORMAT), naming the line; or what @fn returned, with the line in front. */
int toml_read(const char *text, size_t size, toml_fn fn, void *arg, struct cairn_error *err);

#endif
