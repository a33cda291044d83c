/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* A growable buffer. */
#include "base/buf.h"

#include <errno.h>

void buf_fini(struct buf *b)
{
	free(b->data);
	b->data = NULL;
	b->len = b->size = 0;
}

int buf_reserve(struct buf *b, size_t more)
{
	size_t want, size;
	char *data;

	if (more <= b->size - b->len)
		return 0;
	if (more > b->ceiling - b->len)
		return -EFBIG;

	want = b->len + more;
	size = MAX(b->size, (size_t)256);
	while (size < want)
		size *= 2;
	size = MIN(size, b->ceiling);
	data = (char *)realloc(b->data, size);
	if (!data)
		return -ENOMEM;
	b->data = data;
	b->size = size;
	return 0;
}

int buf_put(struct buf *b, const void *data, size_t size)
{
	int r = buf_reserve(b, size);

	if (r < 0)
		return r;
	if (size)
		memcpy(b->data + b->len, data, size);
	b->len += size;
	return 0;
}
