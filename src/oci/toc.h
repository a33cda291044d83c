/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Tables of contents of zstd:chunked layers (zstd-chunked.md §2, §4, §5) and of eStargz (estargz.md §2, §3): where in the blob
 * the contents of files are, and what is between them in the tar.
 *
 * They only say where bytes can be had. What the layer *is* follows from the tar that is put together
 * again and has the layer's diff_id: a table that lies is found out, and can do no more. Without tar-split that tar
 * cannot be had; who asks for it believes the table, which the manifest pins: toc_walk().
 */
#ifndef OCI_TOC_H
#define OCI_TOC_H

#include "base/buf.h"
#include "base/error.h"
#include "oci/document.h"
#include "tar/tar.h"

#define TOC_SIZE_MAX   (150u << 20) /* bytes of a table, compressed or not: as others accept */
#define TOC_FILES_MAX  (4u << 20)
#define TOC_CHUNKS_MAX (16u << 20)
#define TOC_NAME_MAX   (8u << 10)

/* --- where the tables are -------------------------------------------------------------------- */

enum toc_kind {
	TOC_NONE = 0,
	TOC_CHUNKED, /* zstd:chunked of the current generation, with what it takes to rebuild the tar */
	TOC_LEGACY, /* zstd:chunked without that, or with names of the first generation */
	TOC_ESTARGZ,
};

struct toc_place {
	uint64_t offset, size, unpacked; /* of the table in the blob; eStargz: its footer tells */
	const char *
		digest; /* of its compressed bytes, eStargz: of its JSON; NULL: it cannot be used */
	uint64_t split_offset, split_size, split_unpacked; /* of the tar-split, for CHUNKED */
};

/* What the annotations of a layer say. Returns a toc_kind, filling @ret; -EINVAL (FORMAT). */
int toc_place_of(const struct oci_descriptor *layer, struct toc_place *ret,
		 struct cairn_error *err);

#define TOC_KEY_MAX (OCI_DIGEST_MAX + 16)

/* What a layer is known by of which only the table vouches for what it is: "toc:estargz:sha256:…", from its annotations. False:
 * there is no table that could be used. */
bool toc_key_of(const struct oci_descriptor *layer, char out[TOC_KEY_MAX]);

#define STARGZ_FOOTER_SIZE     51 /* eStargz */
#define STARGZ_OLD_FOOTER_SIZE 47

/* The last STARGZ_FOOTER_SIZE bytes of a blob of @size bytes: where the member with its table begins. Returns the size of the
 * footer, or 0: it is none of either generation. */
size_t stargz_footer(const uint8_t last[STARGZ_FOOTER_SIZE], uint64_t size, uint64_t *ret_offset);

/* --- the table ------------------------------------------------------------------------------- */

struct toc_chunk {
	uint64_t offset; /* in the blob */
	uint64_t size;   /* bytes of content */
	bool zeros;      /* nothing to fetch */
	bool has_digest;
	uint8_t digest[32]; /* SHA-256 of the content of this chunk */
};

/* A regular file that has bytes. */
struct toc_file {
	uint64_t size;
	uint64_t end;       /* of its last chunk in the blob */
	uint32_t chunk;     /* its first */
	uint32_t nr_chunks; /* 1 or more */
	uint32_t name;      /* place in toc.names, NUL-terminated */
	bool open_end;      /* the table does not tell its end: it is where the next one begins */
	uint8_t digest[32]; /* SHA-256 of the content */
};

struct toc {
	struct toc_file *files; /* in the order of the tar */
	size_t nr_files, room_files;
	struct toc_chunk *chunks;
	size_t nr_chunks, room_chunks;
	struct buf names;
	char split_digest
		[OCI_DIGEST_MAX]; /* of the compressed tar-split; "": the table does not say */
	bool replaced;            /* a name had bytes that JSON cannot say */
	bool unchecked;           /* some chunk has no digest of its own */
	bool shared;              /* several contents are in one member (innerOffset) */
};

/* Reads the JSON @data[0..@size). @end: the contents of files lie before this offset of the blob. Returns 0;
 * -EINVAL (FORMAT). */
int toc_parse(const void *data, size_t size, uint64_t end, struct toc *ret,
	      struct cairn_error *err);
void toc_fini(struct toc *toc);
#define cleanup_toc __attribute__((__cleanup__(toc_fini)))

/* The bytes of the blob in which chunk @i of @file is. */
void toc_chunk_range(const struct toc *toc, const struct toc_file *file, uint32_t i,
		     uint64_t *ret_from, uint64_t *ret_size);

/* Calls @fn for each entry of the JSON @data[0..@size) but chunks, as an archive would have it. Returns 0; -EINVAL (FORMAT);
 * or what @fn returned. */
int toc_walk(const void *data, size_t size,
	     int (*fn)(void *arg, const struct tar_entry *entry, struct cairn_error *err),
	     void *arg, struct cairn_error *err);

/* "2023-11-14T22:13:20.5+01:00"; the first second of the year 1 means 1970. Returns 0 or -EINVAL. */
int toc_time(const char *text, int64_t *ret_seconds, uint32_t *ret_nsec);

/* --- what is between contents ---------------------------------------------------------------- */

struct split_handler {
	int (*raw)(void *arg, const void *data, size_t size, struct cairn_error *err);
	int (*file)(void *arg, const char *name, uint64_t size, struct cairn_error *err);
	void *arg;
};

/* Takes lines of JSON piece by piece. */
struct split_reader {
	struct split_handler handler;
	struct buf line;
	uint64_t nr_lines;
	char *raw; /* of SPLIT_LINE_MAX bytes */
	struct split_line *parsed;
};

#define SPLIT_LINE_MAX (8u << 20) /* the longest run of headers in base64 */

int split_reader_init(struct split_reader *r, const struct split_handler *handler);
void split_reader_fini(struct split_reader *r);
/* Fits decompress_fn; @reader: struct split_reader. */
int split_reader_feed(void *reader, const void *data, size_t size, struct cairn_error *err);
int split_reader_finish(struct split_reader *r, struct cairn_error *err);
#define cleanup_split_reader __attribute__((__cleanup__(split_reader_fini)))

#endif
