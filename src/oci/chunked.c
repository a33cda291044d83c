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

#include "base/hex.h"
#include "oci/source.h"
#include "sys/decompress.h"

#define GAP_MAX    (16u << 10) /* bytes between two ranges that are fetched with them */
#define BATCH_MAX  (16u << 20)
#define MOSTLY     80 /* per cent of a blob: when more is missing, all of it is fetched in one stream */
#define RANGES_MAX 64 /* in a batch */

struct span { /* bytes of the blob in the buffer */
	uint64_t from, size;
	size_t at; /* in the buffer */
	size_t filled;
};

struct work {
	const struct chunked_pull *p;
	struct layer_import *import;
	struct toc toc;
	struct cairn_digest *here; /* of each file the object that has it; alg 0: it is fetched */
	size_t next;               /* file that comes next */

	struct buf batch;
	struct span spans[RANGES_MAX];
	size_t nr_spans;
	size_t batched; /* files before this one were fetched or are here */
	uint64_t fetched, saved;

	/* Of the content that is being fed. */
	struct oci_hash hash;
	uint64_t left; /* bytes of the chunk that are wanted */
};

/* --- fetching -------------------------------------------------------------------------------- */

static int tell(struct work *w)
{
	return w->p->progress ? w->p->progress(w->p->progress_arg, w->fetched, w->saved) : 0;
}

static int take_span(void *arg, size_t i, const void *data, size_t size, struct cairn_error *err)
{
	struct work *w = (struct work *)arg;
	struct span *s = &w->spans[i];
	int r;

	if (size > s->size - s->filled)
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				 "more bytes than were asked for");
	memcpy(w->batch.data + s->at + s->filled, data, size);
	s->filled += size;
	w->fetched += size;
	r = tell(w);
	return r < 0 ? error_errno(err, r, "layer") : 0;
}

static int fetch_spans(struct work *w, struct cairn_error *err)
{
	struct source_range ranges[RANGES_MAX];
	size_t total = 0;
	int r;

	for (size_t i = 0; i < w->nr_spans; i++) {
		ranges[i] = (struct source_range){w->spans[i].from, w->spans[i].size};
		w->spans[i].at = total;
		w->spans[i].filled = 0;
		total += w->spans[i].size;
	}
	w->batch.len = 0;
	r = buf_reserve(&w->batch, total);
	if (r < 0)
		return error_errno(err, r, "layer");
	return w->p->source->ops->ranges(w->p->source, w->p->layer, ranges, w->nr_spans, take_span,
					 w, err);
}

/* The bytes of the blob that a file needs, zeros between its chunks included: they are few. */
static void file_span(const struct toc *toc, const struct toc_file *f, uint64_t *ret_from,
		      uint64_t *ret_size)
{
	*ret_from = toc->chunks[f->chunk].offset;
	*ret_size = f->end - *ret_from;
}

/* Ranges for the files from w->next on, until the batch is full. */
static int fill_batch(struct work *w, struct cairn_error *err)
{
	size_t total = 0, i;

	w->nr_spans = 0;
	for (i = w->next; i < w->toc.nr_files; i++) {
		struct span *last = w->nr_spans ? &w->spans[w->nr_spans - 1] : NULL;
		uint64_t from, size, gap;

		if (w->here[i].alg)
			continue;
		file_span(&w->toc, &w->toc.files[i], &from, &size);
		if (last && from < last->from + last->size)
			break; /* not in order: the next batch */
		gap = last ? from - (last->from + last->size) : 0;
		if (last && gap <= GAP_MAX && total + gap + size <= BATCH_MAX) {
			last->size += gap + size;
			total += gap + size;
			continue;
		}
		if (w->nr_spans == RANGES_MAX || total + size > BATCH_MAX)
			break;
		w->spans[w->nr_spans++] = (struct span){.from = from, .size = size};
		total += size;
	}
	w->batched = i;
	return w->nr_spans ? fetch_spans(w, err) : 0;
}

static const char *find_bytes(const struct work *w, uint64_t from, uint64_t size)
{
	for (size_t i = 0; i < w->nr_spans; i++) {
		const struct span *s = &w->spans[i];

		if (from >= s->from && from - s->from <= s->size &&
		    size <= s->size - (from - s->from))
			return w->batch.data + s->at + (from - s->from);
	}
	return NULL;
}

/* --- contents -------------------------------------------------------------------------------- */

static int feed(struct work *w, const void *data, size_t size, struct cairn_error *err)
{
	return layer_import_feed(w->import, data, size, err);
}

/* Bytes of a chunk: those that are wanted; what else the frame has is not. */
static int take_plain(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	struct work *w = (struct work *)arg;

	size = (size_t)MIN((uint64_t)size, w->left);
	if (!size)
		return 0;
	w->left -= size;
	if (oci_hash_update(&w->hash, data, size) < 0)
		return error_errno(err, -ENOMEM, "hashing");
	return feed(w, data, size, err);
}

static int feed_zeros(struct work *w, uint64_t size, struct cairn_error *err)
{
	static const char zeros[32 << 10];
	int r = 0;

	for (w->left = size; w->left && r == 0;)
		r = take_plain(w, zeros, (size_t)MIN(w->left, (uint64_t)sizeof(zeros)), err);
	return r;
}

static int decompress_more(void *arg, size_t i, const void *data, size_t size,
			   struct cairn_error *err)
{
	(void)i;
	return decompressor_feed((struct decompressor *)arg, data, size, err);
}

struct passing {
	struct work *w;
	struct decompressor *d;
};

static int pass_through(void *arg, size_t i, const void *data, size_t size, struct cairn_error *err)
{
	struct passing *p = (struct passing *)arg;
	int r;

	p->w->fetched += size;
	r = tell(p->w);
	return r < 0 ? error_errno(err, r, "layer") : decompress_more(p->d, i, data, size, err);
}

static int feed_chunk(struct work *w, const struct toc_file *f, uint32_t i, struct cairn_error *err)
{
	const struct toc_chunk *c = &w->toc.chunks[f->chunk + i];
	struct decompressor *d cleanup(decompressor) = NULL;
	struct passing passing = {.w = w};
	struct source_range range;
	const char *bytes;
	int r;

	if (c->zeros)
		return feed_zeros(w, c->size, err);
	toc_chunk_range(&w->toc, f, i, &range.from, &range.size);
	r = decompressor_new(COMPRESSION_ZSTD, UINT64_MAX, take_plain, w, &d);
	if (r < 0)
		return error_errno(err, r, "layer");
	w->left = c->size;
	bytes = find_bytes(w, range.from, range.size);
	passing.d = d;
	if (bytes)
		r = decompressor_feed(d, bytes, range.size, err);
	else
		r = w->p->source->ops->ranges(w->p->source, w->p->layer, &range, 1, pass_through,
					      &passing, err);
	if (r == 0 && w->left)
		r = error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
			      "a chunk is shorter than the table of contents tells");
	return r;
}

static int feed_fetched(struct work *w, const struct toc_file *f, struct cairn_error *err)
{
	char found[OCI_DIGEST_MAX];
	uint8_t sha256[32];
	int r = 0;

	/* Only what is one content, whole, may be noted under its SHA-256. */
	(void)layer_import_mark(w->import, f->size, f->digest);
	if (w->next >= w->batched)
		r = fill_batch(w, err);
	if (r == 0 && oci_hash_init(&w->hash, NULL) < 0)
		r = error_errno(err, -ENOMEM, "hashing");
	for (uint32_t i = 0; i < f->nr_chunks && r == 0; i++)
		r = feed_chunk(w, f, i, err);
	if (r == 0)
		r = oci_hash_final(&w->hash, found);
	oci_hash_fini(&w->hash);
	if (r < 0)
		return r;
	if (hex_get(found + 7, sha256, sizeof(sha256)) < 0 || memcmp(sha256, f->digest, 32))
		return error_set(
			err, -EILSEQ, CAIRN_ERROR_DIGEST,
			"its content does not have the digest that the table of contents tells");
	return 0;
}

struct reading {
	struct work *w;
	uint64_t done;
	struct cairn_error *err;
};

static int feed_object(void *arg, const void *data, unsigned long size)
{
	struct reading *r = (struct reading *)arg;

	r->done += size;
	return feed(r->w, data, size, r->err);
}

static int feed_here(struct work *w, const struct toc_file *f, struct cairn_error *err)
{
	const struct cairn_digest *id = &w->here[w->next];
	struct reading reading = {.w = w, .err = err};
	char path[OBJECT_PATH_MAX];
	uint64_t from, size;
	int r;

	file_span(&w->toc, f, &from, &size);
	object_path(path, id->bytes, cairn_digest_size((enum cairn_alg)id->alg));
	r = layer_import_known(w->import, f->size, id, err);
	if (r >= 0)
		r = store_read_object(w->p->store, path, id, feed_object, &reading, err);
	if (r == 0 && reading.done != f->size)
		r = error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
			      "object %s has %llu bytes, not %llu", path,
			      (unsigned long long)reading.done, (unsigned long long)f->size);
	if (r < 0)
		return r;
	w->saved += size;
	r = tell(w);
	return r < 0 ? error_errno(err, r, "layer") : 0;
}

/* --- the tar --------------------------------------------------------------------------------- */

static int on_raw(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	return feed((struct work *)arg, data, size, err);
}

static const char *clean(const char *name)
{
	while (*name == '/' || (name[0] == '.' && name[1] == '/'))
		name += *name == '/' ? 1 : 2;
	return name;
}

static int on_file(void *arg, const char *name, uint64_t size, struct cairn_error *err)
{
	struct work *w = (struct work *)arg;
	const struct toc_file *f = &w->toc.files[w->next];
	const char *known;
	int r;

	if (w->next == w->toc.nr_files)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "tar-split has more files than the table of contents");
	known = w->toc.names.data + f->name;
	if (size != f->size || strcmp(clean(name), clean(known)))
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "tar-split and table of contents do not agree about '%.200s'",
				 known);
	r = w->here[w->next].alg ? feed_here(w, f, err) : feed_fetched(w, f, err);
	if (r < 0)
		error_prepend(err, "%.200s", known);
	w->next++;
	return r;
}

static int split_piece(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	return split_reader_feed(arg, data, size, err);
}

static int build_tar(struct work *w, const char *split, struct cairn_error *err)
{
	const struct split_handler handler = {on_raw, on_file, w};
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

static int check(const char *what, const char *data, uint64_t size, const char *wanted,
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

static int read_toc(struct work *w, const char *packed, struct cairn_error *err)
{
	const struct toc_place *place = w->p->place;
	struct buf plain cleanup_buf = BUF_INIT((size_t)place->unpacked);
	struct decompressor *d cleanup(decompressor) = NULL;
	int r = check("table of contents", packed, place->size, place->digest, err);

	if (r < 0)
		return r;
	r = decompressor_new(COMPRESSION_ZSTD, place->unpacked, collect, &plain, &d);
	if (r < 0)
		return error_errno(err, r, "table of contents");
	r = decompressor_feed(d, packed, (size_t)place->size, err);
	if (r == 0)
		r = decompressor_finish(d, err);
	if (r == 0 && plain.len != place->unpacked)
		r = error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
			      "table of contents: %zu bytes, the annotation tells %llu", plain.len,
			      (unsigned long long)place->unpacked);
	return r < 0 ? r : toc_parse(plain.data, plain.len, place->offset - 8, &w->toc, err);
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Contents of up to LAYER_INLINE_MAX bytes are no objects. */
static bool look_up(struct work *w, size_t i)
{
	const struct toc_file *f = &w->toc.files[i];

	if (f->size <= LAYER_INLINE_MAX || !contents_find(w->p->contents, f->digest, &w->here[i]))
		return false;
	if (store_has(w->p->store, &w->here[i], f->size, NULL) == 1)
		return true;
	w->here[i].alg = 0;
	return false;
}

static int find_here(struct work *w, struct cairn_error *err)
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
	qsort(sizes, nr, sizeof(*sizes), by_size);
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
static bool mostly_missing(const struct work *w)
{
	uint64_t missing = 0, from, size;

	for (size_t i = 0; i < w->toc.nr_files; i++) {
		if (w->here[i].alg)
			continue;
		file_span(&w->toc, &w->toc.files[i], &from, &size);
		missing += size;
	}
	return missing / MOSTLY > w->p->place->offset / 100;
}

static void note_stored(void *arg, const void *cookie, const struct cairn_digest *id)
{
	contents_add(((struct work *)arg)->p->contents, (const uint8_t *)cookie, id);
}

static int import(struct work *w, const char *split, struct tree **ret,
		  struct layer_import_result *res, struct cairn_error *err)
{
	struct layer_import_options options = *w->p->import;
	int r;

	options.compression = COMPRESSION_NONE;
	options.stored = note_stored;
	options.stored_arg = w;
	r = layer_import_new(&options, &w->import, err);
	if (r == 0)
		r = build_tar(w, split, err);
	if (r == 0)
		r = layer_import_finish(w->import, ret, res, err);
	layer_import_free(w->import);
	return r;
}

static int run(struct work *w, const struct source_range *both, struct buf *tables,
	       struct tree **ret, struct layer_import_result *res, struct cairn_error *err)
{
	const struct toc_place *place = w->p->place;
	struct source *source = w->p->source;
	const char *split;
	int r = source->ops->ranges(source, w->p->layer, both, 1, take_tables, tables, err);

	if (r == 0)
		r = read_toc(w, tables->data, err);
	if (r < 0)
		return r;
	/* What is not authenticated, or cannot be said in JSON, is read the other way. */
	if (!*w->toc.split_digest || w->toc.replaced)
		return -EOPNOTSUPP;
	split = tables->data + (place->split_offset - place->offset);
	r = check("tar-split", split, place->split_size, w->toc.split_digest, err);
	if (r == 0)
		r = find_here(w, err);
	if (r < 0)
		return r;
	if (mostly_missing(w))
		return -EOPNOTSUPP;
	w->fetched = both->size;
	return import(w, split, ret, res, err);
}

int chunked_pull(const struct chunked_pull *p, struct tree **ret, struct layer_import_result *res,
		 struct cairn_error *err)
{
	const struct toc_place *place = p->place;
	const struct source_range both = {place->offset,
					  place->split_offset + place->split_size - place->offset};
	struct buf tables cleanup_buf = BUF_INIT(2 * (size_t)TOC_SIZE_MAX + 64);
	struct work w = {.p = p, .batch = BUF_INIT(BATCH_MAX)};
	int r;

	if (!p->source->ops->ranges || both.size > 2 * (uint64_t)TOC_SIZE_MAX)
		return -EOPNOTSUPP;
	r = run(&w, &both, &tables, ret, res, err);
	toc_fini(&w.toc);
	free(w.here);
	buf_fini(&w.batch);
	return r;
}
