/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A layer's tar in one pass, over up to three threads.
 *
 *	caller    compressed bytes → tar
 *	plain     tar → sha256 → headers → tree
 *	parcels   contents → fs-verity → store, and all of it → split stream
 *
 *  1. What went wrong earlier in the tar is what is reported, whichever thread found it first.
 *  2. The tree belongs to the second thread until it has ended.
 */
#include <errno.h>
#include <string.h>

#include "base/conveyor.h"
#include "digest/verity.h"
#include "oci/layer_parcel.h"

#define PLAIN_SIZE    (256u << 10) /* bytes of tar that go from one thread to the next at a time */
#define PLAIN_WAITING 4

struct plain {
	size_t size;
	uint8_t data[PLAIN_SIZE];
};

struct layer_import {
	struct layer_import_options options;
	struct decompressor *decompressor;
	struct conveyor *conveyor; /* NULL: in the caller's thread */
	struct plain *filling;     /* NULL: none yet */

	/* The second thread's. */
	struct oci_hash hash;
	struct tar_reader *reader;
	struct layer_builder *builder;
	struct parcels *parcels;
	uint64_t size;
	uint64_t passing; /* bytes to come that the tar reader does not need */
	struct cairn_error error;

	/* Of the content that is coming. */
	struct parcel_content content;
	uint64_t done;
	uint8_t small[LAYER_INLINE_MAX];
	char path[NODE_PATH_QUOTED_MAX];
};

static int out_of_memory(struct cairn_error *err)
{
	return error_errno(err, -ENOMEM, "read the layer");
}

/* --- the tar --------------------------------------------------------------------------------- */

static int small_content(struct layer_import *im, const void *data, size_t size, bool end,
			 struct cairn_error *err)
{
	memcpy(im->small + im->done, data, size);
	if (end && im->content.file &&
	    layer_set_content(im->builder, im->content.file, im->small) < 0)
		return out_of_memory(err);
	return parcels_inline(im->parcels, data, size, err);
}

static int on_content(void *arg, const void *data, size_t size, bool end, struct cairn_error *err)
{
	struct layer_import *im = (struct layer_import *)arg;
	int r;

	if (!size)
		return 0;
	if (im->content.size > LAYER_INLINE_MAX)
		r = parcels_content(im->parcels, &im->content, im->done, data, size, err);
	else
		r = small_content(im, data, size, end, err);
	im->done += size;
	return r;
}

static int on_entry(void *arg, const struct tar_entry *entry, struct cairn_error *err)
{
	struct layer_import *im = (struct layer_import *)arg;

	im->content = (struct parcel_content){.size = entry->size, .path = im->path};
	im->done = 0;
	if (entry->size)
		error_quote(entry->path, MIN(entry->path_len, 120u), im->path, sizeof(im->path));
	return layer_add(im->builder, entry, &im->content.file, err);
}

static int on_raw(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	return parcels_inline(((struct layer_import *)arg)->parcels, data, size, err);
}

static int take_plain(struct layer_import *im, const void *data, size_t size,
		      struct cairn_error *err)
{
	size_t passed = (size_t)MIN((uint64_t)size, im->passing);

	im->size += size;
	if (!im->options.unhashed && oci_hash_update(&im->hash, data, size) < 0)
		return out_of_memory(err);
	im->passing -= passed;
	return tar_reader_feed(im->reader, (const char *)data + passed, size - passed, err);
}

/* --- the second thread ----------------------------------------------------------------------- */

static int work(void *arg, void *slot)
{
	struct layer_import *im = (struct layer_import *)arg;
	struct plain *plain = (struct plain *)slot;
	int r = take_plain(im, plain->data, plain->size, &im->error);

	plain->size = 0;
	return r;
}

/* Waits for it. Returns 0 or what went wrong, the earliest in the tar. */
static int wait_plain(struct layer_import *im, struct cairn_error *err)
{
	int r = 0;

	if (im->conveyor) {
		if (im->filling)
			conveyor_send(im->conveyor);
		im->filling = NULL;
		r = conveyor_finish(im->conveyor);
	}
	if (r == 0)
		return 0;
	/* What it had handed on before may be wrong as well. */
	if (parcels_wait(im->parcels, err) < 0)
		return err ? err->code : r;
	if (err)
		*err = im->error;
	return r;
}

static int on_plain(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	struct layer_import *im = (struct layer_import *)arg;
	const char *next = (const char *)data;

	if (!im->conveyor)
		return take_plain(im, data, size, err);
	while (size) {
		size_t n;

		if (!im->filling)
			im->filling = (struct plain *)conveyor_slot(im->conveyor);
		if (!im->filling)
			return wait_plain(im, err);
		n = MIN(size, PLAIN_SIZE - im->filling->size);
		memcpy(im->filling->data + im->filling->size, next, n);
		im->filling->size += n;
		next += n;
		size -= n;
		if (im->filling->size == PLAIN_SIZE) {
			conveyor_send(im->conveyor);
			im->filling = NULL;
		}
	}
	return 0;
}

/* --- all ------------------------------------------------------------------------------------- */

static int init(struct layer_import *im, const struct layer_import_options *o)
{
	const struct tar_handler handler = {on_raw, on_entry, on_content, im};
	int r;

	im->options = *o;
	r = oci_hash_init(&im->hash, o->diff_id);
	if (!r)
		r = tar_reader_new(&handler, &im->reader);
	if (!r)
		r = layer_builder_new(o->profile, &im->builder);
	if (!r)
		r = decompressor_new(o->compression, o->limit ? o->limit : LAYER_UNPACKED_MAX,
				     on_plain, im, &im->decompressor);
	if (!r)
		r = parcels_new(&im->options, &im->parcels);
	if (!r && o->threads && o->compression != COMPRESSION_NONE)
		r = conveyor_new(PLAIN_WAITING, sizeof(struct plain), work, im, &im->conveyor);
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
	conveyor_free(im->conveyor);
	parcels_free(im->parcels);
	decompressor_free(im->decompressor);
	oci_hash_fini(&im->hash);
	tar_reader_free(im->reader);
	layer_builder_free(im->builder);
	free(im);
}

int layer_import_feed(void *import, const void *data, size_t size, struct cairn_error *err)
{
	struct layer_import *im = (struct layer_import *)import;
	struct cairn_error earlier;
	int r = decompressor_feed(im->decompressor, data, size, err);

	if (r < 0 && wait_plain(im, &earlier) < 0) {
		r = earlier.code;
		if (err)
			*err = earlier;
	}
	return r;
}

static bool is_due(const struct layer_import *im, uint64_t size)
{
	return !im->conveyor && !im->done && size > LAYER_INLINE_MAX &&
	       tar_reader_due(im->reader) == size;
}

bool layer_import_mark(struct layer_import *im, uint64_t size, const void *cookie)
{
	if (!is_due(im, size))
		return false;
	im->content.cookie = cookie;
	return true;
}

int layer_import_known(struct layer_import *im, uint64_t size, const struct cairn_digest *id,
		       struct cairn_error *err)
{
	int r;

	if (!is_due(im, size) || (im->options.algs & ~CAIRN_ALG_BIT(id->alg)))
		return 0;
	r = parcels_known(im->parcels, &im->content, id, err);
	if (r == 0)
		r = tar_reader_skip(im->reader, size, err);
	if (im->options.unhashed)
		im->size += size;
	else
		im->passing = size;
	return r < 0 ? r : 1;
}

static int finish(struct layer_import *im, struct layer_import_result *result,
		  struct cairn_error *err)
{
	int r = wait_plain(im, err);

	if (!r)
		r = tar_reader_finish(im->reader, err);
	if (im->options.unhashed)
		return r ? r : parcels_finish(im->parcels, im->builder, result, err);
	if (!r && oci_hash_final(&im->hash, result->diff_id) < 0)
		r = out_of_memory(err);
	if (!r && im->options.diff_id && strcmp(result->diff_id, im->options.diff_id) != 0)
		r = error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
			      "the layer has diff_id %s, expected %s", result->diff_id,
			      im->options.diff_id);
	return r ? r : parcels_finish(im->parcels, im->builder, result, err);
}

int layer_import_finish(struct layer_import *im, struct tree **ret, struct layer_import_result *res,
			struct cairn_error *err)
{
	struct layer_import_result result = {.size = 0};
	struct tree *t = NULL;
	struct cairn_error earlier;
	int r = decompressor_finish(im->decompressor, err);

	if (r < 0 && wait_plain(im, &earlier) < 0) {
		r = earlier.code;
		if (err)
			*err = earlier;
	}
	if (!r)
		r = finish(im, &result, err);
	if (!r)
		r = layer_finish(im->builder, &t, &result.stats, err);
	if (r < 0)
		return r;
	result.size = im->size;
	result.compression = decompressor_kind(im->decompressor);
	if (res)
		*res = result;
	if (ret)
		*ret = t;
	else
		tree_free(t);
	return 0;
}
