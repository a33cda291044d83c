/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The bytes of one file into another, hashed in passing. */
#include "store/stream.h"

#include <errno.h>

#include "sys/copy.h"
#include "sys/io.h"

#define PIECE (128u << 10) /* bytes; stays in the processor's cache between read and hash */

int stream_run(const struct stream *s)
{
	cleanup_free uint8_t *data = (uint8_t *)io_buffer(PIECE);
	uint64_t written = 0;
	int r = 0;

	if (!data)
		return -ENOMEM;
	for (uint64_t at = 0; at < s->size && !r;) {
		size_t want = (size_t)MIN(s->size - at, (uint64_t)PIECE);
		ssize_t n = pread_full(s->from, data, want, (off_t)at);

		if (n != (ssize_t)want)
			return n < 0 ? (int)n : -ENODATA;
		if (s->v)
			verity_update(s->v, data, want);
		if (s->to >= 0)
			r = copy_append(s->to, data, want, s->sparse, &written);
		at += want;
		if (!r && s->tick)
			r = s->tick(s->arg);
	}
	if (!r && s->to >= 0 && s->sparse)
		r = copy_end(s->to, written);
	return r;
}
