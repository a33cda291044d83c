/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Writing zstd:chunked (zstd-chunked.md §9): a tar as zstd frames, each content in one of its own, then the table
 * of contents, the tar-split and a footer in skippable frames. Any decompressor of zstd gives the tar back.
 *
 * What is written depends on the tar and the level alone, and on the version of libzstd.
 */
#ifndef OCI_CHUNKED_WRITE_H
#define OCI_CHUNKED_WRITE_H

#include "oci/toc.h"

#define CHUNKED_LEVEL_DEFAULT 3
#define CHUNKED_LEVEL_MAX     19

struct chunked_written {
	char diff_id[OCI_DIGEST_MAX];    /* of the tar */
	uint64_t tar_size;               /* bytes of it */
	char digest[OCI_DIGEST_MAX];     /* of what was written */
	uint64_t size;                   /* bytes of that */
	char toc_digest[OCI_DIGEST_MAX]; /* for annotation …manifest-checksum */
	char toc_position[96];           /* … manifest-position */
	char split_position[72];         /* … tarsplit-position */
	uint64_t files;                  /* contents in frames of their own */
};

struct chunked_writer;

/* @write gets the blob from beginning to end. Returns 0, -EINVAL for the level, or -ENOMEM. */
int chunked_writer_new(int level, cairn_write_fn write, void *arg, struct chunked_writer **ret);
void chunked_writer_free(struct chunked_writer *w);
DEFINE_CLEANUP(struct chunked_writer *, chunked_writer, chunked_writer_free)

/* The next bytes of the tar, plain. Fits decompress_fn and source_fn; @writer: struct chunked_writer. Returns 0;
 * as tar_reader_feed(); or what @write returned. */
int chunked_writer_feed(void *writer, const void *data, size_t size, struct cairn_error *err);

int chunked_writer_finish(struct chunked_writer *w, struct chunked_written *ret,
			  struct cairn_error *err);

#endif
