/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Decompression of streams: gzip of any number of members, zstd of any number of frames, or neither
 * (oci-image §9). Compressed bytes are pushed in, in pieces of any size; plain ones come out.
 *
 * Checksums are verified, and what comes out has a ceiling. One object belongs to one thread at a time;
 * any number may be used at once.
 */
#ifndef SYS_DECOMPRESS_H
#define SYS_DECOMPRESS_H

#include <cairn/error.h>

#include "base/error.h"

enum compression {
	COMPRESSION_AUTO = 0, /* told by the first bytes: gzip, zstd or else none */
	COMPRESSION_NONE,
	COMPRESSION_GZIP,
	COMPRESSION_ZSTD,
};

#define COMPRESSION_PROBE_SIZE 4 /* first bytes that tell */

/* What the first @size bytes of a stream look like; never AUTO. */
enum compression compression_probe(const void *data, size_t size);

/* "gzip" */
const char *compression_name(enum compression c);

struct decompressor;

/* Takes the next @size bytes. Returns 0, or a negative errno, with words, that ends the stream. */
typedef int (*decompress_fn)(void *arg, const void *data, size_t size, struct cairn_error *err);

/* @limit: ceiling for the bytes that come out. Returns 0 or -ENOMEM. */
int decompressor_new(enum compression c, uint64_t limit, decompress_fn fn, void *arg,
		     struct decompressor **ret);
void decompressor_free(struct decompressor *d);

DEFINE_CLEANUP(struct decompressor *, decompressor, decompressor_free)

/* What it is, AUTO while too few bytes came to tell. */
enum compression decompressor_kind(const struct decompressor *d);

/* Bytes that came out so far. */
uint64_t decompressor_total(const struct decompressor *d);

/* Returns 0; -EINVAL (kind FORMAT) for bad data; -EFBIG (FORMAT) above the limit; -ENOMEM; or what @fn
 * returned. */
int decompressor_feed(struct decompressor *d, const void *data, size_t size,
		      struct cairn_error *err);

/* The end of the stream. Returns 0, or -EINVAL (FORMAT) when it ends inside a member or frame. */
int decompressor_finish(struct decompressor *d, struct cairn_error *err);

#endif
