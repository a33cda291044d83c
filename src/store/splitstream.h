/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Split streams (splitstream.md): a byte stream whose large parts are objects of the store, so that a
 * layer's tar is kept exactly and its files only once. The file is itself an object.
 *
 *	what it refers to	splitstream_open(), splitstream_refs(), splitstream_named()
 *	the stream itself	splitstream_read(): inline bytes and object ids, in order
 *	making one		splitwriter_new(), splitwriter_inline()…, splitwriter_finish()
 *
 * Ids are raw digests, of 32 bytes (SHA-256) or 64 (SHA-512). No byte of the file is trusted.
 */
#ifndef STORE_SPLITSTREAM_H
#define STORE_SPLITSTREAM_H

#include <cairn/digest.h>

#include "base/error.h"

/* content_type: eight ASCII characters, the first in the low byte (repository §9). */
#define SPLITSTREAM_LAYER    UINT64_C(0x726579616c69636f) /* "ocilayer" */
#define SPLITSTREAM_CONFIG   UINT64_C(0x67666e6f6369636f) /* "ociconfg" */
#define SPLITSTREAM_MANIFEST UINT64_C(0x66696e616d69636f) /* "ocimanif" */
#define SPLITSTREAM_BLOB     UINT64_C(0x626f6c625f69636f) /* "oci_blob" */
#define SPLITSTREAM_SEAL     UINT64_C(0x6c6165735f69636f) /* "oci_seal", ours */

#define SPLITSTREAM_IDS_MAX   (1u << 24)  /* ids in a table: the entries of the largest image */
#define SPLITSTREAM_NAMED_MAX (16u << 20) /* bytes of all names with their numbers */

/* --- reading --------------------------------------------------------------------------------- */

struct splitstream;

/* Opens the split stream in the file @fd, which is read with pread and stays the caller's, open as long
 * as the result is used. Only the header is read. @alg: that the ids must have, 0: either.
 * Returns 0; -EINVAL (kind FORMAT): it is none, or a broken one; -ENOTSUP: of an unknown version or of
 * another algorithm; or a read error. */
int splitstream_open(int fd, enum cairn_alg alg, struct splitstream **ret, struct cairn_error *err);

/* The same of bytes in memory, which must stay as they are. */
int splitstream_open_data(const void *data, size_t size, enum cairn_alg alg,
			  struct splitstream **ret, struct cairn_error *err);

void splitstream_free(struct splitstream *s);

DEFINE_CLEANUP(struct splitstream *, splitstream, splitstream_free)

/* What the header says. */
enum cairn_alg splitstream_alg(const struct splitstream *s);
uint64_t splitstream_type(const struct splitstream *s); /* SPLITSTREAM_LAYER … or any other */
uint64_t splitstream_size(const struct splitstream *s); /* bytes of the whole stream */

enum splitstream_table {
	SPLITSTREAM_STREAMS, /* ids that names refer to: other split streams, images */
	SPLITSTREAM_OBJECTS, /* ids of the parts outside */
};

/* Number of ids in a table. */
uint32_t splitstream_nr_refs(const struct splitstream *s, enum splitstream_table table);

/* Calls @fn for every id in a table, in order, without decompressing anything and in little memory.
 * Returns 0, a read error, or what @fn returned below 0, which ends it. */
int splitstream_refs(const struct splitstream *s, enum splitstream_table table,
		     int (*fn)(void *arg, const struct cairn_digest *id), void *arg,
		     struct cairn_error *err);

/* Calls @fn for every named reference in the order of the file. @name: @len bytes of UTF-8, with a NUL
 * behind. Returns 0; -EINVAL (FORMAT); or what @fn returned below 0. */
int splitstream_named(const struct splitstream *s,
		      int (*fn)(void *arg, const char *name, size_t len,
				const struct cairn_digest *id),
		      void *arg, struct cairn_error *err);

/* Where a stream goes. Each returns a negative errno to end the reading, which then gives it back. */
struct splitstream_sink {
	/* The next @size bytes of the stream; a part inside may come in several pieces. */
	int (*bytes)(void *arg, const void *data, size_t size);

	/* The next part is the whole content of the object @id. Returns how many bytes that is: the
	 * format does not say it. May be NULL when there can be none (-EINVAL, then, if there is). */
	int64_t (*object)(void *arg, const struct cairn_digest *id);

	void *arg;
};

/* The stream from its beginning to its end. The bytes must add up to splitstream_size(): no more than
 * that is ever handed out. Returns 0; -EINVAL (FORMAT); a read error; or what the sink returned. */
int splitstream_read(const struct splitstream *s, const struct splitstream_sink *sink,
		     struct cairn_error *err);

/* --- writing --------------------------------------------------------------------------------- */

/*
 * What is written depends on the calls alone, and on the version of libzstd. It is what composefs-rs
 * writes for the same calls, byte for byte, but where more than SPLITWRITER_INLINE_MAX bytes follow each
 * other inside: a part has its length in front, so that all of it is in memory first.
 */
#define SPLITWRITER_INLINE_MAX (64u << 20)

struct splitwriter;

/* Returns 0, -ENOMEM, or -EINVAL for an unknown algorithm. */
int splitwriter_new(enum cairn_alg alg, uint64_t type, struct splitwriter **ret);
void splitwriter_free(struct splitwriter *w);

DEFINE_CLEANUP(struct splitwriter *, splitwriter, splitwriter_free)

/* The next @size bytes of the stream, kept inside. Returns 0 or a negative errno. */
int splitwriter_inline(struct splitwriter *w, const void *data, size_t size);

/* The next @size bytes of the stream are the content of the object @id. */
int splitwriter_external(struct splitwriter *w, const struct cairn_digest *id, uint64_t size);

/* A named reference to the split stream @id, in the order in which they are wanted in the table. Of two
 * of one name the later counts. @name: UTF-8 without NUL. -EINVAL: it is not. */
int splitwriter_named(struct splitwriter *w, const char *name, const struct cairn_digest *id);

/* Hands the file to @write from beginning to end. The writer is then of no more use than to be freed.
 * Returns 0, a negative errno, or what @write returned. */
int splitwriter_finish(struct splitwriter *w, cairn_write_fn write, void *arg);

#endif
