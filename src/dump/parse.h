/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * composefs-dump(5) text to tree (dump-format).
 *
 * Text is fed in pieces of any size, so that a dump of a million lines is never in memory whole.
 * After an error the parser is of no more use than to be freed.
 */
#ifndef DUMP_PARSE_H
#define DUMP_PARSE_H

#include <cairn/tree.h>

#include "tree/tree.h"

struct dump_parser;

/* @flags: enum cairn_dump_flags. Returns 0 or -ENOMEM. */
int dump_parser_new(unsigned int flags, struct dump_parser **ret);
void dump_parser_free(struct dump_parser *p);

/* Takes the next @size bytes. Returns 0, -EINVAL (kind FORMAT), -EFBIG for a line of more than
 * DUMP_LINE_MAX bytes, -ENOMEM. */
int dump_parser_feed(struct dump_parser *p, const char *data, size_t size, struct cairn_error *err);

/* The end of the text: resolves hard links and seals the tree. Returns 0 or as above; -ELOOP and the
 * other errors of tree_seal(). */
int dump_parser_finish(struct dump_parser *p, struct tree **ret, struct cairn_error *err);

/* The grammar has no limit; 65535 bytes of xattr text, 5000 of content and 4095 of payload, all
 * escaped, leave this much room for the path. */
#define DUMP_LINE_MAX (4u << 20)

#endif
