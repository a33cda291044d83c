/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* A tar as a zstd:chunked layer. */
#include <cairn/oci.h>
#include <errno.h>
#include <stdio.h>

#include "oci/chunked_write.h"
#include "sys/decompress.h"
#include "sys/io.h"

#define READ_SIZE (256u << 10)

static int feed_all(int fd, struct decompressor *d, cairn_progress_fn progress, void *progress_arg,
		    struct cairn_error *err)
{
	char *data cleanup_free = (char *)malloc(READ_SIZE);
	uint64_t done = 0;
	int r = 0;

	if (!data)
		return error_errno(err, -ENOMEM, "read the layer");
	while (r == 0) {
		ssize_t n = read_full(fd, data, READ_SIZE);

		if (n <= 0)
			return n < 0 ? error_errno(err, (int)n, "read the layer") : 0;
		r = decompressor_feed(d, data, (size_t)n, err);
		done += (uint64_t)n;
		if (r == 0 && progress && progress(progress_arg, 0, done, 0, 0))
			r = error_errno(err, -ECANCELED, "convert");
	}
	return r;
}

int cairn_layer_convert(int fd, int level, cairn_write_fn write, void *arg,
			cairn_progress_fn progress, void *progress_arg, struct cairn_chunked *ret,
			struct cairn_error *err)
{
	struct chunked_writer *w cleanup(chunked_writer) = NULL;
	struct decompressor *d cleanup(decompressor) = NULL;
	struct chunked_written written;
	int r = chunked_writer_new(level ? level : CHUNKED_LEVEL_DEFAULT, write, arg, &w);

	if (r == -EINVAL)
		return error_set(err, r, CAIRN_ERROR_USAGE, "the level is not from 1 to %d",
				 CHUNKED_LEVEL_MAX);
	if (r == 0)
		r = decompressor_new(COMPRESSION_AUTO, UINT64_MAX, chunked_writer_feed, w, &d);
	if (r < 0)
		return error_errno(err, r, "convert");
	r = feed_all(fd, d, progress, progress_arg, err);
	if (r == 0)
		r = decompressor_finish(d, err);
	if (r == 0)
		r = chunked_writer_finish(w, &written, err);
	if (r < 0)
		return r;
	*ret = (struct cairn_chunked){
		.tar_size = written.tar_size, .size = written.size, .files = written.files};
	snprintf(ret->diff_id, sizeof(ret->diff_id), "%.135s", written.diff_id);
	snprintf(ret->digest, sizeof(ret->digest), "%.135s", written.digest);
	snprintf(ret->toc_digest, sizeof(ret->toc_digest), "%.135s", written.toc_digest);
	snprintf(ret->toc_position, sizeof(ret->toc_position), "%s", written.toc_position);
	snprintf(ret->split_position, sizeof(ret->split_position), "%s", written.split_position);
	return 0;
}
