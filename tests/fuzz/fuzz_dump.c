/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Dump text → tree → image, in every format. Oracles: cutting the text elsewhere changes nothing;
 * pieces that are parsed by themselves make the same tree, or are not taken when there is none;
 * an image has the size that was planned; writing it twice gives the same bytes.
 */
#include "roundtrip.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "dump/parse.h"
#include "erofs/write.h"
#include "tree/diff.h"

/* A sink that keeps a sum of what went through. */
struct sum {
	uint64_t size, hash;
};

static int add_up(void *arg, const uint8_t *data, size_t size)
{
	struct sum *s = arg;

	for (size_t i = 0; i < size; i++)
		s->hash = (s->hash ^ data[i]) * 0x100000001b3;
	s->size += size;
	return 0;
}

static struct tree *parse(const uint8_t *data, size_t size, size_t piece, unsigned int flags)
{
	struct dump_parser *parser = NULL;
	struct tree *tree = NULL;
	struct cairn_error err = {0};
	int r;

	must(dump_parser_new(flags, &parser) == 0);
	for (r = 0; r == 0 && size; size -= piece, data += piece) {
		if (piece > size)
			piece = size;
		r = dump_parser_feed(parser, (const char *)data, piece, &err);
	}
	if (r == 0)
		r = dump_parser_finish(parser, &tree, &err);
	must((r == 0) == (tree != NULL));
	must(r == 0 || (err.code < 0 && err.text[0]));
	dump_parser_free(parser);
	return tree;
}

/* Pieces of lines that begin within 50 bytes of each other. */
static struct tree *parse_pieces(const uint8_t *data, size_t size, unsigned int flags)
{
	struct dump_parser *parser[2] = {NULL};
	const struct team team = {0};
	struct dump_join *join = NULL;
	struct tree *tree = NULL;
	int r = 0;

	must(dump_join_new(&join) == 0);
	for (int i = 0; i < 2; i++)
		must(dump_parser_new(flags, &parser[i]) == 0);
	for (size_t at = 0, end, i = 0; r == 0 && at < size; at = end, i++) {
		const uint8_t *lf =
			size - at > 50 ? memchr(data + at + 50, '\n', size - at - 50) : NULL;
		struct dump_piece *piece;

		end = lf ? (size_t)(lf - data) + 1 : size;
		r = dump_parser_piece(parser[i % 2], !at, (const char *)data + at, end - at,
				      &piece);
		if (r == 0)
			r = dump_join_add(join, piece);
	}
	if (r == 0)
		r = dump_join_finish(join, parser, 2, &team, &tree);
	must(r == 0 || r == -EAGAIN);
	for (int i = 0; i < 2; i++)
		dump_parser_free(parser[i]);
	dump_join_free(join);
	return tree;
}

static bool write_image(const struct tree *tree, int format, struct sum *ret)
{
	struct erofs_plan *plan = NULL;
	struct cairn_error err = {0};

	ret->size = 0;
	ret->hash = 0xcbf29ce484222325;
	if (erofs_plan_new(tree, format, CAIRN_SHA256, &(struct team){0}, &plan, &err) < 0) {
		must(err.code < 0 && err.text[0]);
		return false;
	}
	must(erofs_emit(plan, add_up, ret) == 0);
	must(ret->size == erofs_plan_size(plan));
	erofs_plan_free(plan);
	return true;
}

static int stop(void *arg, const struct cairn_difference *difference)
{
	(void)arg;
	(void)difference;
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sum sums[2];

	for (unsigned int flags = 0; flags <= (CAIRN_DUMP_STRICT | CAIRN_DUMP_COMPAT); flags++) {
		struct tree *tree = parse(data, size, size, flags);
		struct tree *again = parse(data, size, 7, flags);
		struct tree *joined = parse_pieces(data, size, flags);

		must(!tree == !again && !tree == !joined);
		must(!tree || tree_diff(tree, joined, stop, NULL) == 0);
		tree_free(joined);
		for (int format = CAIRN_FORMAT_AUTO; tree && format <= CAIRN_FORMAT_V2; format++) {
			bool written = write_image(tree, format, &sums[0]);

			must(written == write_image(again, format, &sums[1]));
			must(!written ||
			     (sums[0].size == sums[1].size && sums[0].hash == sums[1].hash));
		}
		/* Hard links to directories are only for the reference tools. */
		for (int format = CAIRN_FORMAT_AUTO;
		     tree && !(flags & CAIRN_DUMP_COMPAT) && format <= CAIRN_FORMAT_V2; format++)
			roundtrip(tree, format);
		if (tree && !(flags & CAIRN_DUMP_COMPAT))
			reprint(tree);
		tree_free(tree);
		tree_free(again);
	}
	return 0;
}
