/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Writing split streams (splitstream.md §1-§4).
 *
 *  1. The tables stand before the stream and are known only after it, so that the compressed stream
 *     waits in memory. Objects are not in it: it is some 20 to 60 bytes for each file of a layer.
 *  2. Ids are in a table once, in the order of their first use.
 *  3. zstd is fed with ZSTD_e_continue and ended with an empty ZSTD_e_end, for another way to call it
 *     gives other bytes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/utf8.h"
#include "store/splitstream-internal.h"
#include "store/splitstream.h"

#define COMPRESSED_MAX ((size_t)4 << 30) /* bytes of a compressed stream in memory */

/* Ids, each once. */
struct id_table {
	struct buf ids;  /* raw, one after the other */
	uint32_t *slots; /* 1 + place in ids, open addressing, at most half full; 0: free */
	uint32_t mask;
	uint32_t nr;
};

/* A frame that is being made. */
struct frame {
	ZSTD_CCtx *zstd;
	struct buf out;
};

struct name {
	char *text;
	uint32_t index; /* in the table of streams */
};

struct splitwriter {
	enum cairn_alg alg;
	uint64_t type;
	uint64_t stream_size;
	struct id_table streams, objects;
	struct frame body;
	struct buf inside; /* bytes not yet in a part */
	struct name *names;
	size_t nr_names, room_names;
	size_t names_size; /* bytes of their records */
};

/* --- ids ------------------------------------------------------------------------------------- */

static int id_table_grow(struct id_table *t, size_t id_size)
{
	uint32_t nr_slots = t->slots ? (t->mask + 1) * 2 : 64;
	uint32_t *slots = (uint32_t *)calloc(nr_slots, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->nr; i++) {
		uint32_t at = (uint32_t)XXH3_64bits(t->ids.data + i * id_size, id_size);

		for (at &= nr_slots - 1; slots[at];)
			at = (at + 1) & (nr_slots - 1);
		slots[at] = i + 1;
	}
	free(t->slots);
	t->slots = slots;
	t->mask = nr_slots - 1;
	return 0;
}

/* Place of @id in the table, to which it is added; or a negative errno. */
static int64_t id_table_put(struct id_table *t, const uint8_t *id, size_t id_size)
{
	uint32_t at;
	int r;

	if (!t->slots || t->nr > t->mask / 2) {
		r = id_table_grow(t, id_size);
		if (r < 0)
			return r;
	}
	at = (uint32_t)XXH3_64bits(id, id_size) & t->mask;
	for (; t->slots[at]; at = (at + 1) & t->mask)
		if (!memcmp(t->ids.data + (size_t)(t->slots[at] - 1) * id_size, id, id_size))
			return t->slots[at] - 1;
	if (t->nr == SPLITSTREAM_IDS_MAX)
		return -EFBIG;
	r = buf_put(&t->ids, id, id_size);
	if (r < 0)
		return r;
	t->slots[at] = ++t->nr;
	return t->nr - 1;
}

static void id_table_fini(struct id_table *t)
{
	buf_fini(&t->ids);
	free(t->slots);
}

/* --- frames ---------------------------------------------------------------------------------- */

static int frame_init(struct frame *f)
{
	f->zstd = ZSTD_createCCtx();
	if (!f->zstd)
		return -ENOMEM;
	(void)ZSTD_CCtx_setParameter(f->zstd, ZSTD_c_compressionLevel, 0);
	return 0;
}

static void frame_fini(struct frame *f)
{
	ZSTD_freeCCtx(f->zstd);
	buf_fini(&f->out);
}

static int frame_feed(struct frame *f, const void *data, size_t size, ZSTD_EndDirective how)
{
	ZSTD_inBuffer in = {data, size, 0};
	size_t left;

	do {
		ZSTD_outBuffer out;
		int r = buf_reserve(&f->out, ZSTD_CStreamOutSize());

		if (r < 0)
			return r;
		out = (ZSTD_outBuffer){f->out.data + f->out.len, f->out.size - f->out.len, 0};
		left = ZSTD_compressStream2(f->zstd, &out, &in, how);
		if (ZSTD_isError(left))
			return -ENOMEM; /* the only way in which compressing fails */
		f->out.len += out.pos;
	} while (how == ZSTD_e_end ? left : in.pos < in.size);
	return 0;
}

/* --- the stream ------------------------------------------------------------------------------ */

static int put_number(struct splitwriter *w, uint64_t n)
{
	uint8_t number[8];

	put_le64(number, n);
	return frame_feed(&w->body, number, sizeof(number), ZSTD_e_continue);
}

static int flush_inside(struct splitwriter *w)
{
	int r;

	if (!w->inside.len)
		return 0;
	r = put_number(w, (uint64_t)0 - w->inside.len);
	if (!r)
		r = frame_feed(&w->body, w->inside.data, w->inside.len, ZSTD_e_continue);
	w->inside.len = 0;
	return r;
}

int splitwriter_new(enum cairn_alg alg, uint64_t type, struct splitwriter **ret)
{
	struct splitwriter *w cleanup(splitwriter) = NULL;
	size_t ids = (size_t)SPLITSTREAM_IDS_MAX * CAIRN_DIGEST_MAX;

	if (!cairn_digest_size(alg))
		return -EINVAL;
	w = (struct splitwriter *)calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->alg = alg;
	w->type = type;
	w->streams.ids = BUF_INIT(ids);
	w->objects.ids = BUF_INIT(ids);
	w->body.out = BUF_INIT(COMPRESSED_MAX);
	w->inside = BUF_INIT(SPLITWRITER_INLINE_MAX);
	if (frame_init(&w->body) < 0)
		return -ENOMEM;
	*ret = take_ptr(w);
	return 0;
}

void splitwriter_free(struct splitwriter *w)
{
	if (!w)
		return;
	id_table_fini(&w->streams);
	id_table_fini(&w->objects);
	frame_fini(&w->body);
	buf_fini(&w->inside);
	for (size_t i = 0; i < w->nr_names; i++)
		free(w->names[i].text);
	free(w->names);
	free(w);
}

int splitwriter_inline(struct splitwriter *w, const void *data, size_t size)
{
	const char *next = (const char *)data;

	while (size) {
		size_t n = MIN(size, SPLITWRITER_INLINE_MAX - w->inside.len);
		int r = buf_put(&w->inside, next, n);

		if (!r && w->inside.len == SPLITWRITER_INLINE_MAX)
			r = flush_inside(w);
		if (r < 0)
			return r;
		w->stream_size += n;
		next += n;
		size -= n;
	}
	return 0;
}

int splitwriter_external(struct splitwriter *w, const struct cairn_digest *id, uint64_t size)
{
	int64_t index;
	int r;

	if (id->alg != w->alg)
		return -EINVAL;
	if (size > INT64_MAX - w->stream_size)
		return -EFBIG;
	r = flush_inside(w);
	if (r < 0)
		return r;
	index = id_table_put(&w->objects, id->bytes, cairn_digest_size(w->alg));
	if (index < 0)
		return (int)index;
	w->stream_size += size;
	return put_number(w, (uint64_t)index);
}

/* --- names ----------------------------------------------------------------------------------- */

static struct name *find_name(struct splitwriter *w, const char *text)
{
	for (size_t i = 0; i < w->nr_names; i++)
		if (!strcmp(w->names[i].text, text))
			return &w->names[i];
	return NULL;
}

int splitwriter_named(struct splitwriter *w, const char *text, const struct cairn_digest *id)
{
	size_t size = strlen(text) + 12; /* ten digits, colon, NUL */
	struct name *n = find_name(w, text);
	int64_t index;

	if (id->alg != w->alg || !utf8_valid(text, strlen(text)))
		return -EINVAL;
	if (size > SPLITSTREAM_NAMED_MAX - w->names_size)
		return -EFBIG;
	index = id_table_put(&w->streams, id->bytes, cairn_digest_size(w->alg));
	if (index < 0)
		return (int)index;
	if (n) {
		n->index = (uint32_t)index;
		return 0;
	}

	if (w->nr_names == w->room_names) {
		size_t room = MAX(w->room_names * 2, (size_t)16);
		struct name *names = (struct name *)realloc(w->names, room * sizeof(*names));

		if (!names)
			return -ENOMEM;
		w->names = names;
		w->room_names = room;
	}
	n = &w->names[w->nr_names];
	n->text = strdup(text);
	if (!n->text)
		return -ENOMEM;
	n->index = (uint32_t)index;
	w->nr_names++;
	w->names_size += size;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static int put_names(struct splitwriter *w, struct frame *f)
{
	int r = 0;

	if (w->nr_names)
		qsort(w->names, w->nr_names, sizeof(*w->names), compare_names);
	for (size_t i = 0; i < w->nr_names && !r; i++) {
		char number[16];
		int len = snprintf(number, sizeof(number), "%u:", w->names[i].index);

		r = frame_feed(f, number, (size_t)len, ZSTD_e_continue);
		if (!r)
			r = frame_feed(f, w->names[i].text, strlen(w->names[i].text) + 1,
				       ZSTD_e_continue);
	}
	return r ? r : frame_feed(f, NULL, 0, ZSTD_e_end);
}

/* --- the file -------------------------------------------------------------------------------- */

static uint64_t put_range(uint8_t *at, uint64_t start, uint64_t size)
{
	put_le64(at, start);
	put_le64(at + 8, start + size);
	return start + size;
}

/* Header and info block. */
static void make_head(const struct splitwriter *w, uint64_t named_size,
		      uint8_t head[SPLIT_HEADER_SIZE + SPLIT_INFO_SIZE])
{
	uint8_t *info = head + SPLIT_HEADER_SIZE;
	uint64_t at;

	memset(head, 0, SPLIT_HEADER_SIZE + SPLIT_INFO_SIZE);
	memcpy(head + SPLIT_AT_MAGIC, SPLIT_MAGIC, SPLIT_MAGIC_SIZE);
	head[SPLIT_AT_ALG] = (uint8_t)w->alg;
	head[SPLIT_AT_LG_BLOCK] = SPLIT_LG_BLOCK;
	at = put_range(head + SPLIT_AT_INFO, SPLIT_HEADER_SIZE, SPLIT_INFO_SIZE);
	at = put_range(info + SPLIT_AT_STREAM_REFS, at, w->streams.ids.len);
	at = put_range(info + SPLIT_AT_OBJECT_REFS, at, w->objects.ids.len);
	at = put_range(info + SPLIT_AT_NAMED, at, named_size);
	(void)put_range(info + SPLIT_AT_STREAM, at, w->body.out.len);
	put_le64(info + SPLIT_AT_TYPE, w->type);
	put_le64(info + SPLIT_AT_SIZE, w->stream_size);
}

int splitwriter_finish(struct splitwriter *w, cairn_write_fn write, void *arg)
{
	struct frame named = {.out = BUF_INIT(SPLITSTREAM_NAMED_MAX + (1u << 20))};
	uint8_t head[SPLIT_HEADER_SIZE + SPLIT_INFO_SIZE];
	int r;

	r = flush_inside(w);
	if (!r)
		r = frame_feed(&w->body, NULL, 0, ZSTD_e_end);
	if (!r)
		r = frame_init(&named);
	if (!r)
		r = put_names(w, &named);
	if (!r) {
		const struct {
			const void *data;
			size_t size;
		} parts[] = {
			{head, sizeof(head)},
			{w->streams.ids.data, w->streams.ids.len},
			{w->objects.ids.data, w->objects.ids.len},
			{named.out.data, named.out.len},
			{w->body.out.data, w->body.out.len},
		};

		make_head(w, named.out.len, head);
		for (size_t i = 0; i < ARRAY_SIZE(parts) && r >= 0; i++)
			if (parts[i].size)
				r = write(arg, parts[i].data, parts[i].size);
	}
	frame_fini(&named);
	return MIN(r, 0);
}
