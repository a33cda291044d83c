/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Trees from dump text. */
#include <errno.h>

#include "api/api-internal.h"
#include "dump/parse.h"

/* Fits into the second-level cache with what the parser touches. */
#define READ_SIZE (256u << 10)

DEFINE_CLEANUP(struct dump_parser *, dump_parser, dump_parser_free)

int cairn_tree_from_dump(int fd, unsigned int flags, struct cairn_tree **ret,
			 struct cairn_error *err)
{
	struct dump_parser *p cleanup(dump_parser) = NULL;
	cleanup_free char *data = NULL;
	struct tree *t;
	int r;

	data = (char *)malloc(READ_SIZE);
	if (!data || dump_parser_new(flags, &p) < 0)
		return error_errno(err, -ENOMEM, "parse the dump");

	for (;;) {
		ssize_t n = read(fd, data, READ_SIZE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, -errno, "read the dump");
		if (n == 0)
			break;
		r = dump_parser_feed(p, data, (size_t)n, err);
		if (r < 0)
			return r;
	}
	r = dump_parser_finish(p, &t, err);
	if (r < 0)
		return r;
	*ret = tree_to_public(t);
	return 0;
}
