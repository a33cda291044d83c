/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Parcels.
 *
 *  1. A parcel holds steps in the order of the tar, and the bytes that they are about.
 *  2. The bytes that are hashed for an object are those that are written.
 *  3. Contents of up to HOLD_MAX bytes are in memory until their digest is known, so that what the store has is not
 *     written again. Larger ones are written while they are hashed.
 *  4. Whoever fills parcels touches `filling` and nothing else of what the worker uses.
 */
#include "oci/layer_parcel.h"

#include <errno.h>
#include <string.h>

#include "base/conveyor.h"
#include "digest/verity.h"
#include "store/splitstream.h"
#include "sys/io.h"

#define PARCEL_SIZE (1u << 20)        /* bytes of data */
#define WHOLE_MAX   (PARCEL_SIZE / 2) /* contents up to this are in one parcel, in one piece */
#define STEPS_MAX   2048
#define WAITING     3 /* parcels */
#define HOLD_MAX    (4u << 20)
#define SHA256_SIZE 32

enum step_kind {
	STEP_INLINE, /* bytes of the split stream */
	STEP_WHOLE,  /* a content */
	STEP_PIECE,  /* the next bytes of one */
	STEP_KNOWN,  /* one that is an object; the bytes are its id */
};

struct step {
	enum step_kind kind;
	uint32_t at, size; /* its bytes in the parcel's data */
	uint32_t path_len; /* bytes before them */
	struct layer_file *file;
	const void *cookie;
	uint64_t total; /* bytes of the whole content */
};

struct parcel {
	uint32_t used, nr;
	struct step steps[STEPS_MAX];
	uint8_t data[PARCEL_SIZE];
};

/* What is told at the end, followed by the digests' bytes. */
struct record {
	struct layer_file *file;
	const void *cookie;
	bool hashed; /* and by the SHA-256 of the content */
};

struct parcels {
	const struct layer_import_options *options;
	unsigned int nr_algs;
	enum cairn_alg algs[VERITY_ALGS_MAX];
	unsigned int store_slot; /* of the store's algorithm among them */
	struct conveyor *conveyor;
	struct parcel *filling; /* NULL: none yet */

	/* The worker's. */
	struct splitwriter *writer; /* NULL: not kept */
	struct verity_batch *batch;
	struct cairn_digest digests[STEPS_MAX][VERITY_ALGS_MAX];
	struct buf records;
	struct verity verity; /* of a content that comes in pieces */
	struct oci_hash sha256;
	uint64_t done; /* bytes of it */
	uint8_t *hold; /* HOLD_MAX bytes, made when it is first needed */
	struct pending pending;
	uint64_t new_objects, new_bytes;
	struct cairn_error error;
};

static int out_of_memory(struct cairn_error *err)
{
	return error_errno(err, -ENOMEM, "read the layer");
}

/* --- working --------------------------------------------------------------------------------- */

static int record(struct parcels *p, const struct step *s, const struct cairn_digest *digests)
{
	const struct record head = {s->file, s->cookie, p->sha256.context != NULL};
	uint8_t sha256[OCI_HASH_MAX];
	int r = 0;

	if (head.hashed)
		r = oci_hash_raw(&p->sha256, sha256);
	if (!s->file && !s->cookie && !head.hashed)
		return 0;
	if (r == 0)
		r = buf_put(&p->records, &head, sizeof(head));
	for (unsigned int i = 0; r == 0 && i < p->nr_algs; i++)
		r = buf_put(&p->records, digests[i].bytes, cairn_digest_size(p->algs[i]));
	return r == 0 && head.hashed ? buf_put(&p->records, sha256, SHA256_SIZE) : r;
}

/* The next bytes of a content, if somebody wants to know its SHA-256. */
static int hash(struct parcels *p, const void *data, size_t size)
{
	if (!p->options->hashed)
		return 0;
	if (!p->sha256.context && oci_hash_init(&p->sha256, NULL) < 0)
		return -ENOMEM;
	return oci_hash_update(&p->sha256, data, size);
}

/* A content has become an object, or would have. */
static int note(struct parcels *p, const struct step *s, const struct cairn_digest *digests,
		bool is_new, struct cairn_error *err)
{
	p->new_objects += is_new;
	p->new_bytes += is_new ? s->total : 0;
	if (p->writer && splitwriter_external(p->writer, &digests[p->store_slot], s->total) < 0)
		return out_of_memory(err);
	return record(p, s, digests) < 0 ? out_of_memory(err) : 0;
}

static int put_whole(struct parcels *p, const struct step *s, const void *data,
		     const struct cairn_digest *digests, struct cairn_error *err)
{
	struct cairn_store *store = p->options->store;
	int r = 0;

	if (store)
		r = store_put(store, &digests[p->store_slot], data, (size_t)s->total, err);
	return r < 0 ? r : note(p, s, digests, r > 0, err);
}

static int end_pieces(struct parcels *p, const struct step *s, struct cairn_error *err)
{
	struct cairn_digest digests[VERITY_ALGS_MAX];
	int r;

	p->done = 0;
	(void)verity_final(&p->verity, digests);
	if (!p->options->store || s->total <= HOLD_MAX)
		return put_whole(p, s, p->hold, digests, err);
	r = store_commit(p->options->store, &p->pending, &digests[p->store_slot], s->total, err);
	pending_discard(&p->pending);
	return r < 0 ? r : note(p, s, digests, r > 0, err);
}

/* Larger contents are written, smaller ones kept until they are whole. */
static int keep_piece(struct parcels *p, const struct step *s, const void *data,
		      struct cairn_error *err)
{
	int r;

	if (s->total <= HOLD_MAX) {
		if (!p->hold)
			p->hold = (uint8_t *)malloc(HOLD_MAX);
		if (!p->hold)
			return out_of_memory(err);
		memcpy(p->hold + p->done, data, s->size);
		return 0;
	}
	if (p->pending.fd < 0) {
		r = store_pending(p->options->store, &p->pending, err);
		if (r < 0)
			return r;
	}
	r = write_all(p->pending.fd, data, s->size);
	return r < 0 ? error_errno(err, r, "write to the store") : 0;
}

static int put_piece(struct parcels *p, const struct step *s, const void *data,
		     struct cairn_error *err)
{
	int r = 0;

	verity_update(&p->verity, data, s->size);
	if (hash(p, data, s->size) < 0)
		return out_of_memory(err);
	if (p->options->store)
		r = keep_piece(p, s, data, err);
	p->done += s->size;
	return r == 0 && p->done == s->total ? end_pieces(p, s, err) : r;
}

static int take_known(struct parcels *p, const struct step *s, const void *data,
		      struct cairn_error *err)
{
	struct cairn_digest id = {.alg = p->options->store->alg};

	memcpy(id.bytes, data, s->size);
	return note(p, s, &id, false, err);
}

static int take_step(struct parcels *p, const struct parcel *parcel, uint32_t i,
		     struct cairn_error *err)
{
	const struct step *s = &parcel->steps[i];
	const uint8_t *data = parcel->data + s->at;

	switch (s->kind) {
	case STEP_INLINE:
		return splitwriter_inline(p->writer, data, s->size) < 0 ? out_of_memory(err) : 0;
	case STEP_WHOLE:
		if (hash(p, data, s->size) < 0)
			return out_of_memory(err);
		return put_whole(p, s, data, p->digests[i], err);
	case STEP_PIECE:
		return put_piece(p, s, data, err);
	default:
		return take_known(p, s, data, err);
	}
}

static int work(void *arg, void *slot)
{
	struct parcels *p = (struct parcels *)arg;
	struct parcel *parcel = (struct parcel *)slot;
	int r = 0;

	for (uint32_t i = 0; i < parcel->nr; i++) {
		const struct step *s = &parcel->steps[i];

		if (s->kind == STEP_WHOLE)
			verity_batch_add(p->batch, parcel->data + s->at, s->size, p->digests[i]);
	}
	verity_batch_flush(p->batch);
	for (uint32_t i = 0; r == 0 && i < parcel->nr; i++) {
		const struct step *s = &parcel->steps[i];

		r = take_step(p, parcel, i, &p->error);
		if (r < 0 && s->path_len)
			error_prepend(&p->error, "%.*s", (int)s->path_len,
				      (const char *)parcel->data + s->at - s->path_len);
	}
	parcel->used = parcel->nr = 0;
	return r;
}

/* --- filling --------------------------------------------------------------------------------- */

static int failed(struct parcels *p, struct cairn_error *err)
{
	int r = conveyor_finish(p->conveyor);

	if (r < 0 && err)
		*err = p->error;
	return r;
}

static void send(struct parcels *p)
{
	if (p->filling)
		conveyor_send(p->conveyor);
	p->filling = NULL;
}

/* A parcel that takes a step with @size bytes more. */
static int need(struct parcels *p, size_t size, struct cairn_error *err)
{
	if (p->filling && (p->filling->nr == STEPS_MAX || size > PARCEL_SIZE - p->filling->used))
		send(p);
	if (!p->filling)
		p->filling = (struct parcel *)conveyor_slot(p->conveyor);
	return p->filling ? 0 : failed(p, err);
}

static uint8_t *put(struct parcel *parcel, const void *data, size_t size)
{
	uint8_t *at = parcel->data + parcel->used;

	if (size)
		memcpy(at, data, size);
	parcel->used += (uint32_t)size;
	return at;
}

int parcels_inline(struct parcels *p, const void *data, size_t size, struct cairn_error *err)
{
	const char *next = (const char *)data;

	if (!p->writer)
		return 0;
	while (size) {
		struct step *s;
		size_t n;
		int r = need(p, 1, err);

		if (r < 0)
			return r;
		n = MIN(size, (size_t)(PARCEL_SIZE - p->filling->used));
		s = p->filling->nr ? &p->filling->steps[p->filling->nr - 1] : NULL;
		if (!s || s->kind != STEP_INLINE) {
			s = &p->filling->steps[p->filling->nr++];
			*s = (struct step){.kind = STEP_INLINE, .at = p->filling->used};
		}
		(void)put(p->filling, next, n);
		s->size += (uint32_t)n;
		next += n;
		size -= n;
	}
	return 0;
}

/* A step with room for @size bytes, which are still to be put. */
static int begin_step(struct parcels *p, enum step_kind kind, const struct parcel_content *content,
		      bool path, size_t size, struct cairn_error *err)
{
	size_t path_len = path ? strlen(content->path) : 0;
	int r = need(p, size + path_len, err);

	if (r < 0)
		return r;
	(void)put(p->filling, content->path, path_len);
	p->filling->steps[p->filling->nr++] = (struct step){
		.kind = kind,
		.at = p->filling->used,
		.path_len = (uint32_t)path_len,
		.file = content->file,
		.cookie = content->cookie,
		.total = content->size,
	};
	return 0;
}

static int put_bytes(struct parcels *p, const void *data, size_t size)
{
	(void)put(p->filling, data, size);
	p->filling->steps[p->filling->nr - 1].size += (uint32_t)size;
	return 0;
}

int parcels_content(struct parcels *p, const struct parcel_content *content, uint64_t done,
		    const void *data, size_t size, struct cairn_error *err)
{
	const char *next = (const char *)data;
	int r;

	if (content->size <= WHOLE_MAX) {
		r = done ? 0 : begin_step(p, STEP_WHOLE, content, true, (size_t)content->size, err);
		return r < 0 ? r : put_bytes(p, data, size);
	}
	while (size) {
		size_t n = MIN(size, (size_t)WHOLE_MAX);

		r = begin_step(p, STEP_PIECE, content, true, n, err);
		if (r < 0)
			return r;
		(void)put_bytes(p, next, n);
		next += n;
		size -= n;
	}
	return 0;
}

int parcels_known(struct parcels *p, const struct parcel_content *content,
		  const struct cairn_digest *id, struct cairn_error *err)
{
	size_t size = cairn_digest_size((enum cairn_alg)id->alg);
	int r = begin_step(p, STEP_KNOWN, content, false, size, err);

	return r < 0 ? r : put_bytes(p, id->bytes, size);
}

/* --- all ------------------------------------------------------------------------------------- */

static int init(struct parcels *p, unsigned int algs)
{
	const struct cairn_store *store = p->options->store;
	int r;

	for (unsigned int alg = CAIRN_SHA256; alg <= CAIRN_SHA512; alg++) {
		if (algs & CAIRN_ALG_BIT(alg))
			p->algs[p->nr_algs++] = (enum cairn_alg)alg;
	}
	p->store_slot = store && p->nr_algs > 1 && store->alg == CAIRN_SHA512;
	r = verity_init(&p->verity, algs);
	if (!r)
		r = verity_batch_new(algs, &p->batch);
	if (!r)
		r = conveyor_new(p->options->threads ? WAITING : 1, sizeof(struct parcel), work, p,
				 &p->conveyor);
	if (!r && p->options->keep && store)
		r = splitwriter_new(store->alg, SPLITSTREAM_LAYER, &p->writer);
	return r;
}

int parcels_new(const struct layer_import_options *options, struct parcels **ret)
{
	struct parcels *p cleanup(parcels) = (struct parcels *)calloc(1, sizeof(*p));
	unsigned int algs = options->algs ? options->algs : CAIRN_ALG_BIT(CAIRN_SHA256);

	if (!p)
		return -ENOMEM;
	if (options->store)
		algs |= CAIRN_ALG_BIT(options->store->alg);
	p->options = options;
	p->pending = PENDING_INIT;
	p->records = BUF_INIT(
		(size_t)LAYER_ENTRIES_MAX *
		(sizeof(struct record) + VERITY_ALGS_MAX * CAIRN_DIGEST_MAX + SHA256_SIZE));
	if (init(p, algs) < 0)
		return -ENOMEM;
	*ret = take_ptr(p);
	return 0;
}

void parcels_free(struct parcels *p)
{
	if (!p)
		return;
	conveyor_free(p->conveyor);
	splitwriter_free(p->writer);
	verity_batch_free(p->batch);
	verity_fini(&p->verity);
	buf_fini(&p->records);
	oci_hash_fini(&p->sha256);
	pending_discard(&p->pending);
	free(p->hold);
	free(p);
}

int parcels_wait(struct parcels *p, struct cairn_error *err)
{
	send(p);
	return failed(p, err);
}

static int tell(struct parcels *p, struct layer_builder *builder)
{
	const char *at = p->records.data, *end = at + p->records.len;

	while (at < end) {
		struct cairn_digest digests[VERITY_ALGS_MAX] = {0};
		struct record head;

		memcpy(&head, at, sizeof(head));
		at += sizeof(head);
		for (unsigned int i = 0; i < p->nr_algs; i++) {
			digests[i].alg = p->algs[i];
			memcpy(digests[i].bytes, at, cairn_digest_size(p->algs[i]));
			at += cairn_digest_size(p->algs[i]);
		}
		if (head.file && layer_set_digests(builder, head.file, digests, p->nr_algs) < 0)
			return -ENOMEM;
		if (head.cookie && p->options->stored)
			p->options->stored(p->options->stored_arg, head.cookie,
					   &digests[p->store_slot]);
		if (!head.hashed)
			continue;
		p->options->hashed(p->options->hashed_arg, (const uint8_t *)at,
				   &digests[p->store_slot]);
		at += SHA256_SIZE;
	}
	return 0;
}

static int collect(void *arg, const void *data, unsigned long size)
{
	return buf_put((struct buf *)arg, data, size);
}

/* Puts the split stream into the store. */
static int keep_stream(struct parcels *p, struct cairn_digest *ret, struct cairn_error *err)
{
	struct buf file cleanup_buf = BUF_INIT(SIZE_MAX / 4);
	struct cairn_store *store = p->options->store;
	int r;

	if (!p->writer)
		return 0;
	if (splitwriter_finish(p->writer, collect, &file) < 0 ||
	    verity_digest_data(file.data, file.len, CAIRN_ALG_BIT(store->alg), ret) < 0)
		return out_of_memory(err);
	r = store_put(store, ret, file.data, file.len, err);
	return MIN(r, 0);
}

int parcels_finish(struct parcels *p, struct layer_builder *builder,
		   struct layer_import_result *res, struct cairn_error *err)
{
	int r = parcels_wait(p, err);

	if (r < 0)
		return r;
	if (tell(p, builder) < 0)
		return out_of_memory(err);
	res->new_objects = p->new_objects;
	res->new_bytes = p->new_bytes;
	return keep_stream(p, &res->stream, err);
}
