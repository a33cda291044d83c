/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What split streams need, and split streams with other ids. */
#include "oci/parts.h"

#include <errno.h>

#include "oci/layer_import.h"
#include "oci/push.h"

int parts_open(int fd, enum cairn_alg alg, uint64_t type, struct splitstream **ret,
	       struct cairn_error *err)
{
	struct splitstream *s cleanup(splitstream) = NULL;
	int r = splitstream_open(fd, alg, &s, err);

	if (r < 0)
		return r;
	if (splitstream_type(s) != type)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "split stream: of another type than its name says");
	if (splitstream_size(s) > LAYER_UNPACKED_MAX)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "split stream: %llu GiB, at most %llu are accepted",
				 (unsigned long long)splitstream_size(s) >> 30,
				 (unsigned long long)LAYER_UNPACKED_MAX >> 30);
	*ret = take_ptr(s);
	return 0;
}

static int take_id(void *arg, const struct cairn_digest *id)
{
	*(struct cairn_digest *)arg = *id;
	return 0;
}

int parts_only(const struct splitstream *s, struct cairn_digest *ret, uint64_t *ret_size,
	       struct cairn_error *err)
{
	if (splitstream_nr_refs(s, SPLITSTREAM_OBJECTS) != 1)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "split stream: is not one object, as it must be");
	*ret_size = splitstream_size(s);
	return splitstream_refs(s, SPLITSTREAM_OBJECTS, take_id, ret, err);
}

/* --- of a layer ------------------------------------------------------------------------------ */

struct listing {
	struct tar_reader *reader;
	int (*fn)(void *arg, const struct cairn_digest *id, uint64_t size);
	void *arg;
	uint32_t nr;
	struct cairn_error *err;
};

static int ignore_entry(void *arg, const struct tar_entry *entry, struct cairn_error *err)
{
	(void)arg, (void)entry, (void)err;
	return 0;
}

static int ignore_content(void *arg, const void *data, size_t size, bool end,
			  struct cairn_error *err)
{
	(void)arg, (void)data, (void)size, (void)end, (void)err;
	return 0;
}

static int list_bytes(void *arg, const void *data, size_t size)
{
	const struct listing *l = (const struct listing *)arg;

	return tar_reader_feed(l->reader, data, size, l->err);
}

static int64_t list_object(void *arg, const struct cairn_digest *id)
{
	struct listing *l = (struct listing *)arg;
	uint64_t due = tar_reader_due(l->reader);
	int r;

	if (!due || l->nr++ == PARTS_MAX)
		return error_set(l->err, -EINVAL, CAIRN_ERROR_FORMAT,
				 due ? "split stream: more than 4194304 objects"
				     : "split stream: an object where no content is due");
	r = l->fn(l->arg, id, due);
	if (!r)
		r = tar_reader_skip(l->reader, due, l->err);
	return r < 0 ? r : (int64_t)due;
}

int parts_of_layer(const struct splitstream *s,
		   int (*fn)(void *arg, const struct cairn_digest *id, uint64_t size), void *arg,
		   struct cairn_error *err)
{
	static const struct tar_handler handler = {NULL, ignore_entry, ignore_content, NULL};
	struct tar_reader *reader cleanup(tar_reader) = NULL;
	struct cairn_error ignored;
	struct listing l = {.fn = fn, .arg = arg, .err = err ? err : &ignored};
	const struct splitstream_sink sink = {list_bytes, list_object, &l};
	int r;

	if (tar_reader_new(&handler, &reader) < 0)
		return error_errno(err, -ENOMEM, "read the layer");
	l.reader = reader;
	r = splitstream_read(s, &sink, err);
	return r < 0 ? r : tar_reader_finish(reader, err);
}

/* --- with other ids -------------------------------------------------------------------------- */

struct rewriting {
	struct splitwriter *writer;
	int64_t (*map)(void *arg, const struct cairn_digest *id, struct cairn_digest *ret);
	void *arg;
};

static int rewrite_bytes(void *arg, const void *data, size_t size)
{
	return splitwriter_inline(((const struct rewriting *)arg)->writer, data, size);
}

static int64_t rewrite_object(void *arg, const struct cairn_digest *id)
{
	const struct rewriting *w = (const struct rewriting *)arg;
	struct cairn_digest other;
	int64_t size = w->map(w->arg, id, &other);
	int r = size < 0 ? (int)size : splitwriter_external(w->writer, &other, (uint64_t)size);

	return r < 0 ? r : size;
}

int parts_rewrite(const struct splitstream *s, struct cairn_store *to,
		  int64_t (*map)(void *arg, const struct cairn_digest *id,
				 struct cairn_digest *ret),
		  void *arg, struct cairn_digest *ret, struct cairn_error *err)
{
	struct splitwriter *w cleanup(splitwriter) = NULL;
	struct rewriting rewriting = {.map = map, .arg = arg};
	const struct splitstream_sink sink = {rewrite_bytes, rewrite_object, &rewriting};
	struct cairn_error words = {0};
	int r = splitwriter_new(to->alg, splitstream_type(s), &w);

	if (r < 0)
		return error_errno(err, r, "write the split stream");
	rewriting.writer = w;
	r = splitstream_read(s, &sink, &words);
	if (r < 0) {
		if (!words.code)
			return error_errno(err, r, "write the split stream");
		if (err)
			*err = words;
		return r;
	}
	return store_put_stream(to, w, ret, err);
}
