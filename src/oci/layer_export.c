/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* A layer out of the store: its tree again, or its exact tar (splitstream.md §6). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "oci/layer_import.h"
#include "store/splitstream.h"

void layer_stream_name(const char *key, char out[LAYER_NAME_MAX])
{
	const bool by_table = !strncmp(key, "toc:", 4);

	(void)snprintf(out, LAYER_NAME_MAX, "%s%s", by_table ? "oci-" : LAYER_STREAM_PREFIX, key);
}

static int open_layer(int fd, enum cairn_alg alg, struct splitstream **ret, struct cairn_error *err)
{
	int r = splitstream_open(fd, alg, ret, err);

	if (r < 0)
		return r;
	if (splitstream_type(*ret) == SPLITSTREAM_LAYER)
		return 0;
	splitstream_free(take_ptr(*ret));
	return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "split stream: not that of a layer");
}

DEFINE_CLEANUP(struct splitstream *, stream, splitstream_free)

/* --- the tree -------------------------------------------------------------------------------- */

struct load {
	struct tar_reader *reader;
	struct layer_builder *builder;
	struct layer_file *file;
	uint64_t content_size;
	uint8_t content[LAYER_INLINE_MAX];
	size_t content_done;
	struct cairn_error *err;
};

static int load_entry(void *arg, const struct tar_entry *entry, struct cairn_error *err)
{
	struct load *l = (struct load *)arg;

	l->content_size = entry->size;
	l->content_done = 0;
	return layer_add(l->builder, entry, &l->file, err);
}

static int load_content(void *arg, const void *data, size_t size, bool end, struct cairn_error *err)
{
	struct load *l = (struct load *)arg;

	if (l->content_size > LAYER_INLINE_MAX)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "split stream: a content of %llu bytes that is no object",
				 (unsigned long long)l->content_size);
	if (size)
		memcpy(l->content + l->content_done, data, size);
	l->content_done += size;
	if (end && l->file && layer_set_content(l->builder, l->file, l->content) < 0)
		return error_errno(err, -ENOMEM, "read the layer");
	return 0;
}

static int load_bytes(void *arg, const void *data, size_t size)
{
	struct load *l = (struct load *)arg;

	return tar_reader_feed(l->reader, data, size, l->err);
}

static int64_t load_object(void *arg, const struct cairn_digest *id)
{
	struct load *l = (struct load *)arg;
	uint64_t due = tar_reader_due(l->reader);
	int r;

	if (due <= LAYER_INLINE_MAX || due != l->content_size)
		return error_set(l->err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "split stream: an object where no file of more than %u bytes "
				 "begins",
				 LAYER_INLINE_MAX);
	if (l->file && layer_set_digests(l->builder, l->file, id, 1) < 0)
		return error_errno(l->err, -ENOMEM, "read the layer");
	r = tar_reader_skip(l->reader, due, l->err);
	return r < 0 ? r : (int64_t)due;
}

int layer_load(int fd, enum cairn_profile profile, struct tree **ret,
	       struct cairn_layer_stats *stats, struct cairn_error *err)
{
	struct splitstream *s cleanup(stream) = NULL;
	struct tar_reader *reader cleanup(tar_reader) = NULL;
	struct layer_builder *builder cleanup(layer_builder) = NULL;
	struct cairn_error ignored;
	struct load l = {.err = err ? err : &ignored};
	const struct tar_handler handler = {NULL, load_entry, load_content, &l};
	const struct splitstream_sink sink = {load_bytes, load_object, &l};
	struct cairn_layer_stats unused;
	int r;

	r = open_layer(fd, 0, &s, err);
	if (r < 0)
		return r;
	if (tar_reader_new(&handler, &reader) < 0 || layer_builder_new(profile, &builder) < 0)
		return error_errno(err, -ENOMEM, "read the layer");
	l.reader = reader;
	l.builder = builder;
	r = splitstream_read(s, &sink, err);
	if (!r)
		r = tar_reader_finish(reader, err);
	return r ? r : layer_finish(builder, ret, stats ? stats : &unused, err);
}

/* --- the tar --------------------------------------------------------------------------------- */

struct export
{
	struct store_reading *store;
	struct oci_hash hash;
	decompress_fn fn;
	void *arg;
	struct cairn_error *err;
	uint64_t object_size; /* of the object being read */
};

static int export_bytes(void *arg, const void *data, size_t size)
{
	struct export *x = (struct export *)arg;

	if (oci_hash_update(&x->hash, data, size) < 0)
		return error_errno(x->err, -ENOMEM, "write the layer");
	return x->fn(x->arg, data, size, x->err);
}

static int export_piece(void *arg, const void *data, unsigned long size)
{
	((struct export *)arg)->object_size += size;
	return export_bytes(arg, data, size);
}

static int64_t export_object(void *arg, const struct cairn_digest *id)
{
	struct export *x = (struct export *)arg;
	char path[OBJECT_PATH_MAX];
	int r;

	x->object_size = 0;
	(void)object_path(path, id->bytes, cairn_digest_size((enum cairn_alg)id->alg));
	r = store_reading_object(x->store, path, id, export_piece, x, x->err);
	return r < 0 ? r : (int64_t)x->object_size;
}

int layer_export(const struct cairn_store *store, int fd, const char *diff_id, decompress_fn fn,
		 void *arg, struct cairn_error *err)
{
	struct splitstream *s cleanup(stream) = NULL;
	struct cairn_error ignored;
	struct store_reading *reading cleanup(store_reading) = NULL;
	struct export x = {.fn = fn, .arg = arg, .err = err ? err : &ignored};
	const struct splitstream_sink sink = {export_bytes, export_object, &x};
	char computed[OCI_DIGEST_MAX];
	int r;

	r = open_layer(fd, store->alg, &s, err);
	if (r < 0)
		return r;
	r = store_reading_new(store, &reading);
	x.store = reading;
	if (r == 0)
		r = oci_hash_init(&x.hash, diff_id);
	if (r < 0)
		return error_errno(err, r, "write the layer");
	r = splitstream_read(s, &sink, err);
	if (r < 0) {
		oci_hash_fini(&x.hash);
		return r;
	}
	if (oci_hash_final(&x.hash, computed) < 0)
		return error_errno(err, -ENOMEM, "write the layer");
	if (diff_id && strcmp(diff_id, computed) != 0)
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				 "the layer has diff_id %s, expected %s", computed, diff_id);
	return 0;
}
