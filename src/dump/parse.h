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

/*
 * --- in pieces, by several threads ---
 *
 * The text is cut at ends of lines. Each piece is parsed by itself, in any order, with one of several
 * parsers; the pieces are joined in the order of the text:
 *
 *	dump_parser_new() for each thread     dump_join_new()
 *	dump_parser_piece() for each piece    dump_join_add() for each piece
 *	                                      dump_join_finish()
 *
 * This is the way for text without a mistake. What returns -EAGAIN has found one, or cannot be sure:
 * parsing the text from its beginning, in one, tells which.
 */
struct dump_piece;
struct dump_join;

/* Parses @text[0..@size), whole lines; the last may lack its end. @first: it begins the text.
 * Afterwards @p is ready for another piece. Returns 0, -EAGAIN, -ENOMEM. */
int dump_parser_piece(struct dump_parser *p, bool first, const char *text, size_t size,
		      struct dump_piece **ret);
void dump_piece_free(struct dump_piece *piece);

int dump_join_new(struct dump_join **ret);
void dump_join_free(struct dump_join *j);

/* Adds the piece that follows in the text, which is freed. Other threads may parse meanwhile.
 * Returns 0, -EAGAIN, -ENOMEM. */
int dump_join_add(struct dump_join *j, struct dump_piece *piece);

/* Makes the tree, once all pieces are added, of what @parsers hold, with the threads of @team.
 * Returns 0, -EAGAIN, -ENOMEM. */
int dump_join_finish(struct dump_join *j, struct dump_parser *const *parsers, unsigned int nr,
		     const struct team *team, struct tree **ret);

/* The grammar has no limit; 65535 bytes of xattr text, 5000 of content and 4095 of payload, all
 * escaped, leave this much room for the path. */
#define DUMP_LINE_MAX (4u << 20)

#endif
