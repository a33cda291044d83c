/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Reading split streams (splitstream.md §1-§3, §5, §7).
 *
 *  1. Every range lies inside the file before it is used.
 *  2. Memory does not grow with what the file claims: tables are read in pieces, bytes are handed on as
 *     they are decompressed, names have a ceiling.
 *  3. No more than stream_size bytes are handed out.
 */
#include "store/splitstream.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/utf8.h"
#include "store/splitstream-internal.h"
#include "sys/io.h"

#define WINDOW_LOG_MAX 27          /* 128 MiB: the most that zstd itself writes by default */
#define PIECE          (64u << 10) /* bytes read, decompressed and handed on at once */

struct range {
	uint64_t start, end;
};

struct splitstream {
	int fd;              /* -1: data */
	const uint8_t *data; /* the whole file */
	uint64_t size;       /* of the file */
	enum cairn_alg alg;
	uint64_t type;
	uint64_t stream_size;
	struct range refs[2]; /* enum splitstream_table */
	struct range stream, named;
};

static int bad(struct cairn_error *err, const char *words)
{
	return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "split stream: %s", words);
}

static int out_of_memory(struct cairn_error *err)
{
	return error_errno(err, -ENOMEM, "read the split stream");
}

static int read_at(const struct splitstream *s, void *out, size_t size, uint64_t offset,
		   struct cairn_error *err)
{
	ssize_t n;

	if (s->fd < 0) {
		memcpy(out, s->data + offset, size);
		return 0;
	}
	n = pread_full(s->fd, out, size, (off_t)offset);
	if (n < 0)
		return error_errno(err, (int)n, "read the split stream");
	return (size_t)n == size ? 0 : bad(err, "the file became shorter while it was read");
}

/* --- header ---------------------------------------------------------------------------------- */

static struct range get_range(const uint8_t *at)
{
	return (struct range){get_le64(at), get_le64(at + 8)};
}

static bool range_inside(const struct splitstream *s, struct range r)
{
	return r.start <= r.end && r.end <= s->size;
}

/* Checks the header; *@ret_info: the info block. */
static int read_header(struct splitstream *s, const uint8_t *h, enum cairn_alg alg,
		       struct range *ret_info, struct cairn_error *err)
{
	bool old = memcmp(h + SPLIT_AT_MAGIC, SPLIT_MAGIC, SPLIT_MAGIC_SIZE) != 0;

	if (old && memcmp(h + SPLIT_OLD_AT_MAGIC, SPLIT_MAGIC, SPLIT_MAGIC_SIZE))
		return bad(err, "no header of one at the beginning of the file");
	if (h[old ? SPLIT_OLD_AT_VERSION : SPLIT_AT_VERSION])
		return error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED,
				 "split stream: version %u, only 0 is known",
				 h[old ? SPLIT_OLD_AT_VERSION : SPLIT_AT_VERSION]);
	s->alg = (enum cairn_alg)h[old ? SPLIT_OLD_AT_ALG : SPLIT_AT_ALG];
	if (!cairn_digest_size(s->alg) ||
	    h[old ? SPLIT_OLD_AT_LG_BLOCK : SPLIT_AT_LG_BLOCK] != SPLIT_LG_BLOCK)
		return error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED,
				 "split stream: unknown digests (algorithm %u, block size 2^%u)",
				 (unsigned int)s->alg,
				 h[old ? SPLIT_OLD_AT_LG_BLOCK : SPLIT_AT_LG_BLOCK]);
	if (alg && s->alg != alg)
		return error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED,
				 "split stream: has digests of the other algorithm");

	*ret_info = get_range(h + (old ? SPLIT_OLD_AT_INFO : SPLIT_AT_INFO));
	if (!range_inside(s, *ret_info) || ret_info->end - ret_info->start < SPLIT_INFO_SIZE)
		return bad(err, "the info block lies outside of the file");
	return 0;
}

static int check_table(const struct splitstream *s, struct range r, struct cairn_error *err)
{
	size_t id = cairn_digest_size(s->alg);

	if (!range_inside(s, r))
		return bad(err, "a table of references lies outside of the file");
	if ((r.end - r.start) % id)
		return bad(err, "a table of references ends inside a reference");
	if ((r.end - r.start) / id > SPLITSTREAM_IDS_MAX)
		return bad(err, "more than 16777216 references");
	return 0;
}

static int open_checked(struct splitstream *s, enum cairn_alg alg, struct cairn_error *err)
{
	uint8_t head[SPLIT_HEADER_SIZE];
	uint8_t info[SPLIT_INFO_SIZE];
	struct range at = {0};
	int r;

	if (s->size < SPLIT_HEADER_SIZE)
		return bad(err, "the file is shorter than a header");
	r = read_at(s, head, sizeof(head), 0, err);
	if (!r)
		r = read_header(s, head, alg, &at, err);
	if (!r)
		r = read_at(s, info, sizeof(info), at.start, err);
	if (r < 0)
		return r;

	s->refs[SPLITSTREAM_STREAMS] = get_range(info + SPLIT_AT_STREAM_REFS);
	s->refs[SPLITSTREAM_OBJECTS] = get_range(info + SPLIT_AT_OBJECT_REFS);
	s->stream = get_range(info + SPLIT_AT_STREAM);
	s->named = get_range(info + SPLIT_AT_NAMED);
	s->type = get_le64(info + SPLIT_AT_TYPE);
	s->stream_size = get_le64(info + SPLIT_AT_SIZE);
	if (s->stream_size > INT64_MAX)
		return bad(err, "a stream of 2^63 bytes or more");
	r = check_table(s, s->refs[SPLITSTREAM_STREAMS], err);
	if (!r)
		r = check_table(s, s->refs[SPLITSTREAM_OBJECTS], err);
	if (!r && (!range_inside(s, s->stream) || !range_inside(s, s->named)))
		r = bad(err, "a frame lies outside of the file");
	return r;
}

static int open_any(const struct splitstream *from, enum cairn_alg alg, struct splitstream **ret,
		    struct cairn_error *err)
{
	struct splitstream *s cleanup(splitstream) = (struct splitstream *)malloc(sizeof(*s));
	int r;

	if (!s)
		return out_of_memory(err);
	*s = *from;
	r = open_checked(s, alg, err);
	if (r < 0)
		return r;
	*ret = take_ptr(s);
	return 0;
}

int splitstream_open(int fd, enum cairn_alg alg, struct splitstream **ret, struct cairn_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "read the split stream");
	if (!S_ISREG(st.st_mode))
		return bad(err, "not a regular file");
	return open_any(&(struct splitstream){.fd = fd, .size = (uint64_t)st.st_size}, alg, ret,
			err);
}

int splitstream_open_data(const void *data, size_t size, enum cairn_alg alg,
			  struct splitstream **ret, struct cairn_error *err)
{
	return open_any(
		&(struct splitstream){.fd = -1, .data = (const uint8_t *)data, .size = size}, alg,
		ret, err);
}

void splitstream_free(struct splitstream *s)
{
	free(s);
}

enum cairn_alg splitstream_alg(const struct splitstream *s)
{
	return s->alg;
}

uint64_t splitstream_type(const struct splitstream *s)
{
	return s->type;
}

uint64_t splitstream_size(const struct splitstream *s)
{
	return s->stream_size;
}

/* --- tables ---------------------------------------------------------------------------------- */

uint32_t splitstream_nr_refs(const struct splitstream *s, enum splitstream_table table)
{
	const struct range *r = &s->refs[table];

	return (uint32_t)((r->end - r->start) / cairn_digest_size(s->alg));
}

/* The id at place @i of a table, which has that many. */
static int read_ref(const struct splitstream *s, enum splitstream_table table, uint64_t i,
		    struct cairn_digest *ret, struct cairn_error *err)
{
	size_t size = cairn_digest_size(s->alg);

	*ret = (struct cairn_digest){.alg = s->alg};
	return read_at(s, ret->bytes, size, s->refs[table].start + i * size, err);
}

int splitstream_refs(const struct splitstream *s, enum splitstream_table table,
		     int (*fn)(void *arg, const struct cairn_digest *id), void *arg,
		     struct cairn_error *err)
{
	size_t size = cairn_digest_size(s->alg);
	struct range r = s->refs[table];
	uint8_t piece[4096];

	while (r.start < r.end) {
		size_t n = (size_t)MIN(r.end - r.start, sizeof(piece));
		int code = read_at(s, piece, n, r.start, err);

		for (size_t i = 0; i < n && code >= 0; i += size) {
			struct cairn_digest id = {.alg = s->alg};

			memcpy(id.bytes, piece + i, size);
			code = fn(arg, &id);
		}
		if (code < 0)
			return code;
		r.start += n;
	}
	return 0;
}

/* --- frames ---------------------------------------------------------------------------------- */

/* The bytes that one or more zstd frames unpack to. */
struct frames {
	const struct splitstream *stream;
	struct range left; /* of the file, not yet given to zstd */
	ZSTD_DCtx *zstd;
	uint8_t *in, *out; /* PIECE each */
	ZSTD_inBuffer from;
	size_t pending; /* what zstd returned last: 0 between frames */
};

static void frames_fini(struct frames *f)
{
	ZSTD_freeDCtx(f->zstd);
	free(f->in);
	free(f->out);
}

#define cleanup_frames __attribute__((__cleanup__(frames_fini)))

static int frames_init(struct frames *f, const struct splitstream *s, struct range r,
		       struct cairn_error *err)
{
	f->stream = s;
	f->left = r;
	f->zstd = ZSTD_createDCtx();
	f->in = (uint8_t *)malloc(PIECE);
	f->out = (uint8_t *)malloc(PIECE);
	if (!f->zstd || !f->in || !f->out)
		return out_of_memory(err);
	f->from.src = f->in;
	(void)ZSTD_DCtx_setParameter(f->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	return 0;
}

/* The next bytes into f->out. Returns how many, 0 at the end, or a negative errno. */
static ssize_t frames_next(struct frames *f, struct cairn_error *err)
{
	ZSTD_outBuffer to = {f->out, PIECE, 0};

	while (!to.pos) {
		size_t before;

		if (f->from.pos == f->from.size && f->left.start < f->left.end) {
			size_t n = (size_t)MIN(f->left.end - f->left.start, (uint64_t)PIECE);
			int r = read_at(f->stream, f->in, n, f->left.start, err);

			if (r < 0)
				return r;
			f->left.start += n;
			f->from.size = n;
			f->from.pos = 0;
		}
		if (f->from.pos == f->from.size && !f->pending)
			return 0;
		before = f->from.pos;
		f->pending = ZSTD_decompressStream(f->zstd, &to, &f->from);
		if (ZSTD_isError(f->pending))
			return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
					 "split stream: bad zstd data (%s)",
					 ZSTD_getErrorName(f->pending));
		if (!to.pos && f->from.pos == before && f->pending)
			return bad(err, "a zstd frame ends too early");
	}
	return (ssize_t)to.pos;
}

/* --- names ----------------------------------------------------------------------------------- */

/* One record: decimal index, colon, name. */
static int parse_named(const struct splitstream *s, char *text, size_t len, uint32_t *ret_index,
		       char **ret_name, struct cairn_error *err)
{
	char *colon = (char *)memchr(text, ':', len);
	uint64_t index = 0;

	if (!colon || colon == text)
		return bad(err, "a named reference without a number and a colon");
	for (const char *p = text; p < colon; p++) {
		if (*p < '0' || *p > '9' || index > UINT32_MAX)
			return bad(err, "the number of a named reference is none");
		index = index * 10 + (uint64_t)(*p - '0');
	}
	if (index >= splitstream_nr_refs(s, SPLITSTREAM_STREAMS))
		return bad(err, "the number of a named reference is not in the table");
	if (!utf8_valid(colon + 1, len - (size_t)(colon + 1 - text)))
		return bad(err, "the name of a reference is not UTF-8");
	*ret_index = (uint32_t)index;
	*ret_name = colon + 1;
	return 0;
}

/* All names into @names. */
static int unpack_named(const struct splitstream *s, struct buf *names, struct cairn_error *err)
{
	struct frames f cleanup_frames = {0};
	ssize_t n;
	int r;

	r = frames_init(&f, s, s->named, err);
	if (r < 0)
		return r;
	while ((n = frames_next(&f, err)) > 0) {
		r = buf_put(names, f.out, (size_t)n);
		if (r == -EFBIG)
			return bad(err, "more than 16 MiB of named references");
		if (r < 0)
			return out_of_memory(err);
	}
	return (int)n;
}

int splitstream_named(const struct splitstream *s,
		      int (*fn)(void *arg, const char *name, size_t len,
				const struct cairn_digest *id),
		      void *arg, struct cairn_error *err)
{
	struct buf names cleanup_buf = BUF_INIT(SPLITSTREAM_NAMED_MAX);
	size_t at = 0;
	int r;

	r = unpack_named(s, &names, err);
	if (r < 0)
		return r;
	while (at < names.len) {
		char *text = names.data + at;
		char *end = (char *)memchr(text, '\0', names.len - at);
		struct cairn_digest id;
		uint32_t index;
		char *name;

		if (!end)
			return bad(err, "bytes after the last named reference");
		r = parse_named(s, text, (size_t)(end - text), &index, &name, err);
		if (!r)
			r = read_ref(s, SPLITSTREAM_STREAMS, index, &id, err);
		if (!r)
			r = fn(arg, name, (size_t)(end - name), &id);
		if (r < 0)
			return r;
		at += (size_t)(end - text) + 1;
	}
	return 0;
}

/* --- the stream ------------------------------------------------------------------------------ */

struct body {
	const struct splitstream *stream;
	const struct splitstream_sink *sink;
	uint64_t left;        /* bytes that may still come (invariant 3) */
	uint64_t inline_left; /* of the part inside that is being read */
	uint8_t number[8];    /* the next part's, as far as it is here */
	size_t nr_number;
};

static int too_long(struct cairn_error *err)
{
	return bad(err, "the stream is longer than its header says");
}

static int take_object(struct body *b, uint64_t index, struct cairn_error *err)
{
	struct cairn_digest id;
	int64_t size;
	int r;

	if (index >= splitstream_nr_refs(b->stream, SPLITSTREAM_OBJECTS))
		return bad(err, "the number of an object is not in the table");
	if (!b->sink->object)
		return bad(err, "an object where none can be");
	r = read_ref(b->stream, SPLITSTREAM_OBJECTS, index, &id, err);
	if (r < 0)
		return r;
	size = b->sink->object(b->sink->arg, &id);
	if (size < 0)
		return (int)size;
	if ((uint64_t)size > b->left)
		return too_long(err);
	b->left -= (uint64_t)size;
	return 0;
}

/* A part begins. */
static int take_number(struct body *b, struct cairn_error *err)
{
	int64_t n = (int64_t)get_le64(b->number);

	b->nr_number = 0;
	if (n >= 0)
		return take_object(b, (uint64_t)n, err);
	b->inline_left = (uint64_t)0 - (uint64_t)n;
	return b->inline_left > b->left ? too_long(err) : 0;
}

static int take_bytes(struct body *b, const uint8_t *data, size_t size, struct cairn_error *err)
{
	while (size) {
		size_t n;
		int r;

		if (b->inline_left) {
			n = (size_t)MIN(b->inline_left, (uint64_t)size);
			r = b->sink->bytes(b->sink->arg, data, n);
			b->inline_left -= n;
			b->left -= n;
		} else {
			n = MIN(sizeof(b->number) - b->nr_number, size);
			memcpy(b->number + b->nr_number, data, n);
			b->nr_number += n;
			r = b->nr_number == sizeof(b->number) ? take_number(b, err) : 0;
		}
		if (r < 0)
			return r;
		data += n;
		size -= n;
	}
	return 0;
}

int splitstream_read(const struct splitstream *s, const struct splitstream_sink *sink,
		     struct cairn_error *err)
{
	struct body b = {.stream = s, .sink = sink, .left = s->stream_size};
	struct frames f cleanup_frames = {0};
	ssize_t n;
	int r;

	r = frames_init(&f, s, s->stream, err);
	while (!r && (n = frames_next(&f, err)) != 0)
		r = n < 0 ? (int)n : take_bytes(&b, f.out, (size_t)n, err);
	if (r < 0)
		return r;
	if (b.inline_left || b.nr_number)
		return bad(err, "the stream ends inside a part");
	if (b.left)
		return bad(err, "the stream is shorter than its header says");
	return 0;
}
