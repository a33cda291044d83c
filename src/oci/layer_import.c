/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A layer's tar in one pass.
 *
 *	compressed bytes → tar → sha256 → headers → split stream, tree
 *				        → contents → fs-verity → store
 *
 *  1. The bytes that are hashed for an object are those that are written.
 *  2. Contents of up to HOLD_MAX bytes are in memory until their digest is known, so that what the store
 *     has is not written again. Larger ones are written while they are hashed.
 */
#include <errno.h>
#include <string.h>

#include "digest/verity.h"
#include "oci/layer_import.h"
#include "store/splitstream.h"
#include "sys/io.h"

#define HOLD_MAX (4u << 20)

struct layer_import {
	struct layer_import_options options;
	struct decompressor *plain;
	struct oci_hash hash;
	struct tar_reader *reader;
	struct layer_builder *builder;
	struct splitwriter *writer; /* NULL: not kept */
	struct verity verity;
	unsigned int nr_algs;
	unsigned int store_slot; /* of the store's algorithm among the digests */
	uint64_t size;
	uint64_t new_objects, new_bytes;

	/* Of the content that is coming. */
	struct layer_file *file; /* NULL: nobody needs it but the split stream */
	uint64_t content_size, content_done;
	char path[NODE_PATH_QUOTED_MAX];
	uint8_t *hold; /* HOLD_MAX bytes, made when it is first needed */
	struct pending pending;
};

static int out_of_memory(struct cairn_error *err)
{
	return error_errno(err, -ENOMEM, "read the layer");
}

/* --- contents -------------------------------------------------------------------------------- */

static int small_content(struct layer_import *im, const void *data, size_t size, bool end,
			 struct cairn_error *err)
{
	if (size)
		memcpy(im->hold + im->content_done, data, size);
	im->content_done += size;
	if (im->writer && splitwriter_inline(im->writer, data, size) < 0)
		return out_of_memory(err);
	if (end && im->file && layer_set_content(im->builder, im->file, im->hold) < 0)
		return out_of_memory(err);
	return 0;
}

/* Gives the content that was hashed its name. @data: all of it; NULL: it is in the pending file. */
static int end_object(struct layer_import *im, const void *data, struct cairn_error *err)
{
	struct cairn_digest digests[VERITY_ALGS_MAX];
	const struct cairn_digest *id = &digests[im->store_slot];
	struct cairn_store *store = im->options.store;
	uint64_t size = im->content_size;
	int r = 0;

	(void)verity_final(&im->verity, digests);
	if (store && data)
		r = store_put(store, id, data, (size_t)size, err);
	else if (store)
		r = store_commit(store, &im->pending, id, size, err);
	if (r < 0)
		return r;
	if (store && im->options.stored)
		im->options.stored(im->options.stored_arg, id, size);
	im->new_objects += r > 0;
	im->new_bytes += r > 0 ? size : 0;
	if (im->writer && splitwriter_external(im->writer, id, size) < 0)
		return out_of_memory(err);
	if (im->file && layer_set_digests(im->builder, im->file, digests, im->nr_algs) < 0)
		return out_of_memory(err);
	return 0;
}

static int object_content(struct layer_import *im, const void *data, size_t size, bool end,
			  struct cairn_error *err)
{
	bool whole = size == im->content_size;
	bool held = im->content_size <= HOLD_MAX;
	int r;

	verity_update(&im->verity, data, size);
	if (!im->options.store)
		return end ? end_object(im, NULL, err) : 0;
	if (whole && held)
		return end_object(im, data, err);
	if (held) {
		memcpy(im->hold + im->content_done, data, size);
		im->content_done += size;
		return end ? end_object(im, im->hold, err) : 0;
	}

	if (im->pending.fd < 0) {
		r = store_pending(im->options.store, &im->pending, err);
		if (r < 0)
			return r;
	}
	r = write_all(im->pending.fd, data, size);
	if (r < 0)
		return error_errno(err, r, "write to the store");
	if (!end)
		return 0;
	r = end_object(im, NULL, err);
	pending_discard(&im->pending);
	return r;
}

static int on_content(void *arg, const void *data, size_t size, bool end, struct cairn_error *err)
{
	struct layer_import *im = (struct layer_import *)arg;
	int r = 0;

	if (im->content_size > LAYER_INLINE_MAX)
		r = object_content(im, data, size, end, err);
	else if (im->content_size)
		r = small_content(im, data, size, end, err);
	if (r < 0)
		error_prepend(err, "%s", im->path);
	return r;
}

static int on_entry(void *arg, const struct tar_entry *entry, struct cairn_error *err)
{
	struct layer_import *im = (struct layer_import *)arg;

	im->content_size = entry->size;
	im->content_done = 0;
	if (entry->size)
		error_quote(entry->path, MIN(entry->path_len, 120u), im->path, sizeof(im->path));
	if (entry->size && !im->hold) {
		im->hold = (uint8_t *)malloc(HOLD_MAX);
		if (!im->hold)
			return out_of_memory(err);
	}
	return layer_add(im->builder, entry, &im->file, err);
}

static int on_raw(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	struct layer_import *im = (struct layer_import *)arg;

	if (im->writer && splitwriter_inline(im->writer, data, size) < 0)
		return out_of_memory(err);
	return 0;
}

static int on_plain(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	struct layer_import *im = (struct layer_import *)arg;

	im->size += size;
	if (oci_hash_update(&im->hash, data, size) < 0)
		return out_of_memory(err);
	return tar_reader_feed(im->reader, data, size, err);
}

/* --- all ------------------------------------------------------------------------------------- */

static int init(struct layer_import *im, const struct layer_import_options *o)
{
	const struct tar_handler handler = {on_raw, on_entry, on_content, im};
	unsigned int algs = o->algs ? o->algs : CAIRN_ALG_BIT(CAIRN_SHA256);
	int r;

	if (o->store)
		algs |= CAIRN_ALG_BIT(o->store->alg);
	im->options = *o;
	im->pending = PENDING_INIT;
	im->nr_algs = (unsigned int)__builtin_popcount(algs);
	im->store_slot = o->store && im->nr_algs > 1 && o->store->alg == CAIRN_SHA512;
	r = oci_hash_init(&im->hash, o->diff_id);
	if (!r)
		r = verity_init(&im->verity, algs);
	if (!r)
		r = tar_reader_new(&handler, &im->reader);
	if (!r)
		r = layer_builder_new(o->profile, &im->builder);
	if (!r)
		r = decompressor_new(o->compression, o->limit ? o->limit : LAYER_UNPACKED_MAX,
				     on_plain, im, &im->plain);
	if (!r && o->keep && o->store)
		r = splitwriter_new(o->store->alg, SPLITSTREAM_LAYER, &im->writer);
	return r;
}

int layer_import_new(const struct layer_import_options *options, struct layer_import **ret,
		     struct cairn_error *err)
{
	struct layer_import *im cleanup(layer_import) =
		(struct layer_import *)calloc(1, sizeof(*im));
	int r;

	if (!im)
		return out_of_memory(err);
	r = init(im, options);
	if (r == -ENOTSUP)
		return error_set(err, r, CAIRN_ERROR_UNSUPPORTED,
				 "a diff_id of an unknown algorithm: %.100s", options->diff_id);
	if (r < 0)
		return out_of_memory(err);
	*ret = take_ptr(im);
	return 0;
}

void layer_import_free(struct layer_import *im)
{
	if (!im)
		return;
	decompressor_free(im->plain);
	oci_hash_fini(&im->hash);
	tar_reader_free(im->reader);
	layer_builder_free(im->builder);
	splitwriter_free(im->writer);
	verity_fini(&im->verity);
	pending_discard(&im->pending);
	free(im->hold);
	free(im);
}

int layer_import_feed(void *import, const void *data, size_t size, struct cairn_error *err)
{
	return decompressor_feed(((struct layer_import *)import)->plain, data, size, err);
}

static int collect(void *arg, const void *data, unsigned long size)
{
	return buf_put((struct buf *)arg, data, size);
}

/* Puts the split stream into the store. */
static int keep_stream(struct layer_import *im, struct cairn_digest *ret, struct cairn_error *err)
{
	struct buf file cleanup_buf = BUF_INIT(SIZE_MAX / 4);
	struct cairn_store *store = im->options.store;
	int r;

	if (!im->writer)
		return 0;
	if (splitwriter_finish(im->writer, collect, &file) < 0 ||
	    verity_digest_data(file.data, file.len, CAIRN_ALG_BIT(store->alg), ret) < 0)
		return out_of_memory(err);
	r = store_put(store, ret, file.data, file.len, err);
	return MIN(r, 0);
}

int layer_import_finish(struct layer_import *im, struct tree **ret, struct layer_import_result *res,
			struct cairn_error *err)
{
	struct layer_import_result result = {.size = 0};
	struct tree *t = NULL;
	int r;

	r = decompressor_finish(im->plain, err);
	if (!r)
		r = tar_reader_finish(im->reader, err);
	if (!r && oci_hash_final(&im->hash, result.diff_id) < 0)
		r = out_of_memory(err);
	if (!r && im->options.diff_id && strcmp(result.diff_id, im->options.diff_id) != 0)
		r = error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
			      "the layer has diff_id %s, expected %s", result.diff_id,
			      im->options.diff_id);
	if (!r)
		r = layer_finish(im->builder, &t, &result.stats, err);
	if (!r)
		r = keep_stream(im, &result.stream, err);
	if (r < 0) {
		tree_free(t);
		return r;
	}
	result.size = im->size;
	result.compression = decompressor_kind(im->plain);
	result.new_objects = im->new_objects;
	result.new_bytes = im->new_bytes;
	if (res)
		*res = result;
	if (ret)
		*ret = t;
	else
		tree_free(t);
	return 0;
}
