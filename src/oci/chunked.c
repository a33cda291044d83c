/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Putting a layer's tar together from what is here and what is fetched.
 *
 *  1. Contents are needed in the order of the tar, which is that of the blob. So the ranges that are missing
 *     are fetched in that order, a batch of up to BATCH_MAX bytes at a time, all ranges of a batch at once,
 *     into one buffer; a single content larger than that is passed through.
 *  2. Nothing is fed before the table was found usable: until then a full pull is possible.
 */
#include "oci/chunked.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "oci/chunked-internal.h"
#include "oci/source.h"
#include "sys/decompress.h"

#define MOSTLY 80 /* per cent of a blob: when more is missing, all of it is fetched in one stream */

/* --- the tar --------------------------------------------------------------------------------- */

static int on_raw(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	return chunked_feed((struct chunked_work *)arg, data, size, err);
}

static int split_piece(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	return split_reader_feed(arg, data, size, err);
}

static int build_tar(struct chunked_work *w, const char *split, struct cairn_error *err)
{
	const struct split_handler handler = {on_raw, chunked_file, w};
	struct split_reader reader cleanup_split_reader = {0};
	struct decompressor *d cleanup(decompressor) = NULL;
	int r = split_reader_init(&reader, &handler);

	if (r == 0)
		r = decompressor_new(COMPRESSION_ZSTD, w->p->place->split_unpacked, split_piece,
				     &reader, &d);
	if (r < 0)
		return error_errno(err, r, "tar-split");
	r = decompressor_feed(d, split, (size_t)w->p->place->split_size, err);
	if (r == 0)
		r = decompressor_finish(d, err);
	if (r == 0)
		r = split_reader_finish(&reader, err);
	if (r == 0 && w->next != w->toc.nr_files)
		r = error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
			      "the table of contents has more files than tar-split");
	return r;
}

/* --- tables ---------------------------------------------------------------------------------- */

static int collect(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	return buf_put((struct buf *)arg, data, size) < 0 ? error_errno(err, -EFBIG, "table") : 0;
}

int chunked_check(const char *what, const void *data, uint64_t size, const char *wanted,
		  struct cairn_error *err)
{
	char found[OCI_DIGEST_MAX];

	if (oci_hash_data(NULL, data, size, found) < 0)
		return error_errno(err, -ENOMEM, "hashing");
	if (strcmp(found, wanted))
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST, "%s: it has digest %s, not %s",
				 what, found, wanted);
	return 0;
}

static int read_toc(struct chunked_work *w, const char *packed, struct cairn_error *err)
{
	const struct toc_place *place = w->p->place;
	struct decompressor *d cleanup(decompressor) = NULL;
	int r = chunked_check("table of contents", packed, place->size, place->digest, err);

	if (r < 0)
		return r;
	r = decompressor_new(COMPRESSION_ZSTD, place->unpacked, collect, &w->table, &d);
	if (r < 0)
		return error_errno(err, r, "table of contents");
	r = decompressor_feed(d, packed, (size_t)place->size, err);
	if (r == 0)
		r = decompressor_finish(d, err);
	if (r == 0 && w->table.len != place->unpacked)
		r = error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
			      "table of contents: %zu bytes, the annotation tells %llu",
			      w->table.len, (unsigned long long)place->unpacked);
	w->blob_end = place->offset - 8;
	return r;
}

/* Contents of up to LAYER_INLINE_MAX bytes are no objects. */
static bool look_up(struct chunked_work *w, size_t i)
{
	const struct toc_file *f = &w->toc.files[i];

	if (f->size <= LAYER_INLINE_MAX || !contents_find(w->p->contents, f->digest, &w->here[i]))
		return false;
	if (store_has(w->p->store, &w->here[i], f->size, NULL) == 1)
		return true;
	w->here[i].alg = 0;
	return false;
}

static int find_here(struct chunked_work *w, struct cairn_error *err)
{
	uint64_t *sizes cleanup_free = (uint64_t *)malloc((w->toc.nr_files + 1) * sizeof(*sizes));
	size_t nr = 0;

	w->here = (struct cairn_digest *)calloc(w->toc.nr_files + 1, sizeof(*w->here));
	if (!w->here || !sizes)
		return error_errno(err, -ENOMEM, "layer");
	for (size_t i = 0; i < w->toc.nr_files; i++) {
		if (!look_up(w, i) && w->toc.files[i].size > LAYER_INLINE_MAX)
			sizes[nr++] = w->toc.files[i].size;
	}
	if (w->p->store->empty)
		return 0;
	qsort(sizes, nr, sizeof(*sizes), compare_u64);
	contents_learn(w->p->contents, sizes, nr);
	for (size_t i = 0; i < w->toc.nr_files; i++) {
		if (!w->here[i].alg)
			(void)look_up(w, i);
	}
	return 0;
}

static int take_tables(void *arg, size_t i, const void *data, size_t size, struct cairn_error *err)
{
	(void)i;
	return buf_put((struct buf *)arg, data, size) < 0 ? error_errno(err, -ENOMEM, "tables") : 0;
}

/* Whether so much is missing that one stream of all of it is the faster way. */
static bool mostly_missing(const struct chunked_work *w)
{
	uint64_t missing = 0, from, size;

	for (size_t i = 0; i < w->toc.nr_files; i++) {
		if (w->here[i].alg)
			continue;
		chunked_span(&w->toc, &w->toc.files[i], &from, &size);
		missing += size;
	}
	return missing / MOSTLY > w->blob_end / 100;
}

static void note_stored(void *arg, const void *cookie, const struct cairn_digest *id)
{
	contents_add(((struct chunked_work *)arg)->p->contents, (const uint8_t *)cookie, id);
}

static int import(struct chunked_work *w, const char *split, struct tree **ret,
		  struct layer_import_result *res, struct cairn_error *err)
{
	struct layer_import_options options = *w->p->import;
	int r;

	options.compression = COMPRESSION_NONE;
	options.stored = note_stored;
	options.stored_arg = w;
	options.unhashed = w->by_table;
	r = store_reading_new(w->p->store, &w->reading);
	if (r < 0)
		return error_errno(err, r, "layer");
	r = layer_import_new(&options, &w->import, err);
	if (r == 0)
		r = w->by_table ? chunked_table_tar(w, w->p->kind == TOC_ESTARGZ, err)
				: build_tar(w, split, err);
	if (r == 0)
		r = layer_import_finish(w->import, ret, res, err);
	layer_import_free(w->import);
	store_reading_free(w->reading);
	return r;
}

static int read_tables(struct chunked_work *w, struct buf *tables, struct cairn_error *err)
{
	const struct toc_place *place = w->p->place;
	struct source *source = w->p->source;
	struct source_range range = {place->offset, place->size};
	int r;

	if (w->p->kind == TOC_ESTARGZ) {
		w->compression = COMPRESSION_GZIP;
		r = chunked_stargz_table(w, place->digest, err);
	} else {
		w->compression = COMPRESSION_ZSTD;
		if (w->p->kind == TOC_CHUNKED)
			range.size = place->split_offset + place->split_size - place->offset;
		if (range.size > 2 * (uint64_t)TOC_SIZE_MAX)
			return -EOPNOTSUPP;
		w->fetched = range.size;
		r = source->ops->ranges(source, w->p->layer, &range, 1, take_tables, tables, err);
		if (r == 0)
			r = read_toc(w, tables->data, err);
	}
	return r < 0 ? r : toc_parse(w->table.data, w->table.len, w->blob_end, &w->toc, err);
}

/* Why the table is of no use; NULL: it is. Sets w->by_table. */
static const char *cannot(struct chunked_work *w)
{
	const bool split = w->p->kind == TOC_CHUNKED && *w->toc.split_digest;

	if (w->toc.replaced)
		return "its table of contents has names that it cannot tell";
	if (w->toc.shared)
		return "several contents share a member of it";
	if (w->p->kind == TOC_ESTARGZ && w->toc.unchecked)
		return "its table of contents does not tell the digest of each chunk";
	if (!split && !w->p->by_table)
		return "its table of contents has no tar-split";
	w->by_table = !split;
	return NULL;
}

static int run(struct chunked_work *w, struct buf *tables, struct tree **ret,
	       struct chunked_result *res, struct cairn_error *err)
{
	const struct toc_place *place = w->p->place;
	const char *split = NULL;
	int r;

	res->whole = "its table of contents is not to be had";
	r = read_tables(w, tables, err);
	if (r < 0)
		return r;
	res->whole = cannot(w);
	if (res->whole)
		return -EOPNOTSUPP;
	if (!w->by_table) {
		buf_fini(&w->table);
		split = tables->data + (place->split_offset - place->offset);
		r = chunked_check("tar-split", split, place->split_size, w->toc.split_digest, err);
	}
	if (r == 0)
		r = find_here(w, err);
	if (r < 0)
		return r;
	if (mostly_missing(w))
		return -EOPNOTSUPP;
	res->by_table = w->by_table;
	return import(w, split, ret, &res->import, err);
}

int chunked_pull(const struct chunked_pull *p, struct tree **ret, struct chunked_result *res,
		 struct cairn_error *err)
{
	struct buf tables cleanup_buf = BUF_INIT(2 * (size_t)TOC_SIZE_MAX + 64);
	struct chunked_work w = {
		.p = p,
		.batch = BUF_INIT(CHUNKED_BATCH_MAX),
		.table = BUF_INIT(TOC_SIZE_MAX),
	};
	int r;

	*res = (struct chunked_result){.whole = "the other side gives no parts"};
	if (!p->source->ops->ranges)
		return -EOPNOTSUPP;
	r = run(&w, &tables, ret, res, err);
	toc_fini(&w.toc);
	free(w.here);
	buf_fini(&w.table);
	buf_fini(&w.batch);
	return r;
}
