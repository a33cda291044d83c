/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The contents of a layer that is put together: out of the store, or fetched. */
#include <errno.h>
#include <string.h>

#include "base/hex.h"
#include "oci/chunked-internal.h"
#include "oci/source.h"
#include "sys/decompress.h"

#define GAP_MAX (16u << 10) /* bytes between two ranges that are fetched with them */

/* --- fetching -------------------------------------------------------------------------------- */

static int tell(struct chunked_work *w)
{
	return w->p->progress ? w->p->progress(w->p->progress_arg, w->fetched, w->saved) : 0;
}

static int take_span(void *arg, size_t i, const void *data, size_t size, struct cairn_error *err)
{
	struct chunked_work *w = (struct chunked_work *)arg;
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

static int fetch_spans(struct chunked_work *w, struct cairn_error *err)
{
	struct source_range ranges[CHUNKED_RANGES_MAX];
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
void chunked_span(const struct toc *toc, const struct toc_file *f, uint64_t *ret_from,
		  uint64_t *ret_size)
{
	*ret_from = toc->chunks[f->chunk].offset;
	*ret_size = f->end - *ret_from;
}

/* Ranges for the files from w->next on, until the batch is full. */
static int fill_batch(struct chunked_work *w, struct cairn_error *err)
{
	size_t total = 0, i;

	w->nr_spans = 0;
	for (i = w->next; i < w->toc.nr_files; i++) {
		struct span *last = w->nr_spans ? &w->spans[w->nr_spans - 1] : NULL;
		uint64_t from, size, gap;

		if (w->here[i].alg)
			continue;
		chunked_span(&w->toc, &w->toc.files[i], &from, &size);
		if (last && from < last->from + last->size)
			break; /* not in order: the next batch */
		gap = last ? from - (last->from + last->size) : 0;
		if (last && gap <= GAP_MAX && total + gap + size <= CHUNKED_BATCH_MAX) {
			last->size += gap + size;
			total += gap + size;
			continue;
		}
		if (w->nr_spans == CHUNKED_RANGES_MAX || total + size > CHUNKED_BATCH_MAX)
			break;
		w->spans[w->nr_spans++] = (struct span){.from = from, .size = size};
		total += size;
	}
	w->batched = i;
	return w->nr_spans ? fetch_spans(w, err) : 0;
}

static const char *find_bytes(const struct chunked_work *w, uint64_t from, uint64_t size)
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

int chunked_feed(struct chunked_work *w, const void *data, size_t size, struct cairn_error *err)
{
	return layer_import_feed(w->import, data, size, err);
}

/* Bytes of a chunk: those that are wanted; what else the frame or member has ends its decompression. */
static int take_plain(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	struct chunked_work *w = (struct chunked_work *)arg;

	size = (size_t)MIN((uint64_t)size, w->left);
	if (!size) {
		w->over = true;
		return -ECANCELED;
	}
	w->left -= size;
	if (oci_hash_update(&w->hash, data, size) < 0 ||
	    (w->hash_chunk && oci_hash_update(&w->chunk, data, size) < 0))
		return error_errno(err, -ENOMEM, "hashing");
	return chunked_feed(w, data, size, err);
}

static int feed_zeros(struct chunked_work *w, uint64_t size, struct cairn_error *err)
{
	static const char zeros[32 << 10];
	int r = 0;

	for (w->left = size; w->left && r == 0;)
		r = take_plain(w, zeros, (size_t)MIN(w->left, (uint64_t)sizeof(zeros)), err);
	return r;
}

struct passing {
	struct chunked_work *w;
	struct decompressor *d;
};

static int unpack(struct passing *p, const void *data, size_t size, struct cairn_error *err)
{
	int r = p->w->over ? 0 : decompressor_feed(p->d, data, size, err);

	return p->w->over ? 0 : r;
}

static int pass_through(void *arg, size_t i, const void *data, size_t size, struct cairn_error *err)
{
	struct passing *p = (struct passing *)arg;
	int r;

	(void)i;
	p->w->fetched += size;
	r = tell(p->w);
	return r < 0 ? error_errno(err, r, "layer") : unpack(p, data, size, err);
}

static int fetch_chunk(struct chunked_work *w, const struct toc_file *f, uint32_t i,
		       struct cairn_error *err)
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
	r = decompressor_new(w->compression, UINT64_MAX, take_plain, w, &d);
	if (r < 0)
		return error_errno(err, r, "layer");
	w->left = c->size;
	w->over = false;
	bytes = find_bytes(w, range.from, range.size);
	passing.d = d;
	if (bytes)
		r = unpack(&passing, bytes, range.size, err);
	else
		r = w->p->source->ops->ranges(w->p->source, w->p->layer, &range, 1, pass_through,
					      &passing, err);
	if (r == 0 && w->left)
		r = error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
			      "a chunk is shorter than the table of contents tells");
	return r;
}

static int check_hash(struct oci_hash *hash, const uint8_t wanted[32], const char *what,
		      struct cairn_error *err)
{
	char found[OCI_DIGEST_MAX];
	uint8_t sha256[32];
	int r = oci_hash_final(hash, found);

	if (r < 0)
		return r;
	if (hex_get(found + 7, sha256, sizeof(sha256)) < 0 || memcmp(sha256, wanted, 32))
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				 "%s does not have the digest that the table of contents tells",
				 what);
	return 0;
}

/* Where a file is one chunk its digest is the file's. */
static int feed_chunk(struct chunked_work *w, const struct toc_file *f, uint32_t i,
		      struct cairn_error *err)
{
	const struct toc_chunk *c = &w->toc.chunks[f->chunk + i];
	int r;

	if (f->nr_chunks == 1 || !c->has_digest)
		return fetch_chunk(w, f, i, err);
	if (oci_hash_init(&w->chunk, NULL) < 0)
		return error_errno(err, -ENOMEM, "hashing");
	w->hash_chunk = true;
	r = fetch_chunk(w, f, i, err);
	w->hash_chunk = false;
	if (r == 0)
		r = check_hash(&w->chunk, c->digest, "a chunk of it", err);
	oci_hash_fini(&w->chunk);
	return r;
}

static int feed_fetched(struct chunked_work *w, const struct toc_file *f, struct cairn_error *err)
{
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
		r = check_hash(&w->hash, f->digest, "its content", err);
	oci_hash_fini(&w->hash);
	return r;
}

struct reading {
	struct chunked_work *w;
	uint64_t done;
	struct cairn_error *err;
};

static int feed_object(void *arg, const void *data, unsigned long size)
{
	struct reading *r = (struct reading *)arg;

	r->done += size;
	return chunked_feed(r->w, data, size, r->err);
}

static int feed_here(struct chunked_work *w, const struct toc_file *f, struct cairn_error *err)
{
	const struct cairn_digest *id = &w->here[w->next];
	struct reading reading = {.w = w, .err = err};
	char path[OBJECT_PATH_MAX];
	uint64_t from, size;
	int r;

	chunked_span(&w->toc, f, &from, &size);
	object_path(path, id->bytes, cairn_digest_size((enum cairn_alg)id->alg));
	r = layer_import_known(w->import, f->size, id, err);
	/* Without a diff_id to be computed nobody needs its bytes. */
	if (r > 0 && w->by_table)
		reading.done = f->size;
	else if (r >= 0)
		r = store_reading_object(w->reading, path, id, feed_object, &reading, err);
	if (r >= 0 && reading.done != f->size)
		r = error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
			      "object %s has %llu bytes, not %llu", path,
			      (unsigned long long)reading.done, (unsigned long long)f->size);
	if (r < 0)
		return r;
	w->saved += size;
	r = tell(w);
	return r < 0 ? error_errno(err, r, "layer") : 0;
}

/* --- in their order -------------------------------------------------------------------------- */

static const char *clean(const char *name)
{
	while (*name == '/' || (name[0] == '.' && name[1] == '/'))
		name += *name == '/' ? 1 : 2;
	return name;
}

int chunked_file(void *arg, const char *name, uint64_t size, struct cairn_error *err)
{
	struct chunked_work *w = (struct chunked_work *)arg;
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
