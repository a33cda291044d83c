/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Trees from dump text.
 *
 * A long file is parsed in pieces by all the threads there may be (dump-pieces.c). When anything is
 * wrong with it, and for all other text, it is parsed in one from its beginning, so that complaints
 * do not depend on the number of threads.
 */
#include <errno.h>

#include "api/api-internal.h"
#include "dump/parse.h"
#include "sys/io.h"

/* Fits into the second-level cache with what the parser touches. */
#define READ_SIZE (256u << 10)

DEFINE_CLEANUP(struct dump_parser *, dump_parser, dump_parser_free)

static int parse(int fd, unsigned int flags, struct tree **ret, struct cairn_error *err)
{
	struct dump_parser *p cleanup(dump_parser) = NULL;
	cleanup_free char *buffer = NULL;
	ssize_t got;
	int r = 0;

	buffer = (char *)io_buffer(READ_SIZE);
	if (!buffer || dump_parser_new(flags, &p) < 0)
		return error_errno(err, -ENOMEM, "parse the dump");
	do {
		got = read_full(fd, buffer, READ_SIZE);
		if (got < 0)
			return error_errno(err, (int)got, "read the dump");
		r = dump_parser_feed(p, buffer, (size_t)got, err);
	} while (!r && got);
	return r < 0 ? r : dump_parser_finish(p, ret, err);
}

int cairn_tree_from_dump(int fd, unsigned int flags, unsigned int jobs, struct cairn_tree **ret,
			 struct cairn_error *err)
{
	struct tree *t = NULL;
	int r = -EAGAIN;

	if (jobs > 1)
		r = dump_read_pieces(fd, flags, jobs, &t);
	if (r == -EAGAIN)
		r = parse(fd, flags, &t, err);
	else if (r < 0)
		r = error_errno(err, r, "parse the dump");
	if (r < 0)
		return r;
	*ret = tree_to_public(t);
	return 0;
}
