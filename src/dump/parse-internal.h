/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The parser's state, and what its files share. */
#ifndef DUMP_PARSE_INTERNAL_H
#define DUMP_PARSE_INTERNAL_H

#include "base/buf.h"
#include "dump/dirs-internal.h"
#include "dump/parse.h"

#define XATTR_TEXT_MAX 65535 /* bytes after the DIGEST field */
#define XATTR_CACHE    1024  /* recently seen xattr texts, a power of two */

struct cached_xattrs {
	uint64_t hash;
	struct span text;
	const struct xattr_list *list;
};

struct dump_parser {
	unsigned int flags;
	uint64_t line;     /* number of the current one, from 1 */
	bool has_nul;      /* somewhere in the line, or near it */
	struct node *root; /* NULL: its line has not come yet */
	struct tree *tree;
	struct tree_shard shard;
	struct buf partial;  /* a line whose end has not come yet */
	struct buf scratch;  /* decoded path */
	struct buf scratch2; /* other decoded fields */
	struct dirs dirs;
	struct node *first_link, *last_link; /* chained by link.target until they are resolved */
	struct cached_xattrs cache[XATTR_CACHE];
};

enum { FIELD_NONE = -1, FIELD_PATH = 0 };

/* Complains about a field of the current line: -EINVAL, with the line's number and the field's name
 * in front of the sentence. @field: enum field of line.c, FIELD_PATH, or FIELD_NONE. */
int dump_fail(struct dump_parser *p, int field, struct cairn_error *err, const char *fmt, ...)
	__printf_like(4, 5);

/* Takes the next line, without its end. Returns 0, -EINVAL, -ENOMEM. */
int dump_parse_line(struct dump_parser *p, const char *text, size_t len, struct cairn_error *err);

/* Finds the targets of the hard links that are chained from @first by link.target, in the order of
 * their lines. Returns 0 or -EINVAL. */
int dump_resolve_links(const struct tree *t, struct node *first, unsigned int flags,
		       struct cairn_error *err);

#endif
