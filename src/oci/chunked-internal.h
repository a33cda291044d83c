/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Between the parts of chunked pulls.
 *
 *	chunked.c		tables, what is here, the tar out of tar-split
 *	chunked_table.c		the tar out of a table alone
 *	chunked_contents.c	contents, in the order of the tar, into the import
 */
#ifndef OCI_CHUNKED_INTERNAL_H
#define OCI_CHUNKED_INTERNAL_H

#include "oci/chunked.h"

#define CHUNKED_BATCH_MAX  (16u << 20)
#define CHUNKED_RANGES_MAX 64 /* in a batch */

struct span { /* bytes of the blob in the buffer */
	uint64_t from, size;
	size_t at; /* in the buffer */
	size_t filled;
};

struct chunked_work {
	const struct chunked_pull *p;
	struct layer_import *import;
	struct toc toc;
	struct cairn_digest *here; /* of each file the object that has it; alg 0: it is fetched */
	size_t next;               /* file that comes next */
	struct store_reading *reading;

	struct buf batch;
	struct span spans[CHUNKED_RANGES_MAX];
	size_t nr_spans;
	size_t batched; /* files before this one were fetched or are here */
	uint64_t fetched, saved;

	enum compression compression; /* of its frames or members */
	bool by_table;     /* the table vouches for the layer, and no diff_id is computed */
	uint64_t blob_end; /* where contents end in the blob */
	struct buf table;  /* its JSON, until it is not needed any more */

	/* Of the content that is being fed. */
	struct oci_hash hash, chunk;
	bool hash_chunk;
	uint64_t left; /* bytes of the chunk that are wanted */
	bool over;     /* they are all there, and more has come */
};

/* The next bytes of the tar. */
int chunked_feed(struct chunked_work *w, const void *data, size_t size, struct cairn_error *err);

/* The next file, which must be the one that the tables name so: its content into the import. As split_handler.file. */
int chunked_file(void *work, const char *name, uint64_t size, struct cairn_error *err);

/* The bytes of the blob that a file needs, zeros between its chunks included: they are few. */
void chunked_span(const struct toc *toc, const struct toc_file *f, uint64_t *ret_from,
		  uint64_t *ret_size);

/* Whether @data has the digest @wanted. Returns 0 or -EILSEQ (DIGEST), … */
int chunked_check(const char *what, const void *data, uint64_t size, const char *wanted,
		  struct cairn_error *err);

/* --- without tar-split ----------------------------------------------------------------------- */

/* eStargz: fetches and reads the table into w->table, and w->blob_end. -EOPNOTSUPP: it has none that could be used. */
int chunked_stargz_table(struct chunked_work *w, const char *digest, struct cairn_error *err);

/* The tar that w->table describes into the import; of eStargz with the table in it, as there. */
int chunked_table_tar(struct chunked_work *w, bool stargz, struct cairn_error *err);

#endif
