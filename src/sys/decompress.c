/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Decompression of streams, by zlib and libzstd.
 *
 *  1. `inside` says whether a member or frame has begun and not ended; a stream may only end when none
 *     has.
 *  2. Nothing is handed out above the limit.
 */
#include "sys/decompress.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define OUT_SIZE       (128u << 10)
#define WINDOW_LOG_MAX 27         /* zstd: 128 MiB, the most that a layer may ask for */
#define TRAILING_MAX   (1u << 20) /* zeros behind the last gzip member that are passed over */

struct decompressor {
	enum compression kind;
	uint64_t limit, total;
	decompress_fn fn;
	void *arg;
	uint8_t head[COMPRESSION_PROBE_SIZE]; /* AUTO: what came until it was clear */
	size_t nr_head;
	z_stream zlib;
	ZSTD_DCtx *zstd;
	bool inside;
	bool any;           /* gzip: a member has ended */
	size_t nr_trailing; /* gzip: zeros behind it */
	uint8_t *out;
};

enum compression compression_probe(const void *data, size_t size)
{
	const uint8_t *p = (const uint8_t *)data;

	if (size >= 3 && p[0] == 0x1f && p[1] == 0x8b && p[2] == 8)
		return COMPRESSION_GZIP;
	if (size >= 4 && !memcmp(p, "\x28\xb5\x2f\xfd", 4))
		return COMPRESSION_ZSTD;
	/* A frame to be skipped may come first. */
	if (size >= 4 && (p[0] & 0xf0) == 0x50 && !memcmp(p + 1, "\x2a\x4d\x18", 3))
		return COMPRESSION_ZSTD;
	return COMPRESSION_NONE;
}

const char *compression_name(enum compression c)
{
	static const char *const names[] = {"unknown", "none", "gzip", "zstd"};

	return names[c];
}

static int out_of_memory(struct cairn_error *err)
{
	return error_errno(err, -ENOMEM, "decompress");
}

/* Makes ready for the kind that is now known. */
static int begin(struct decompressor *d)
{
	if (d->kind == COMPRESSION_AUTO || d->kind == COMPRESSION_NONE)
		return 0;
	d->out = (uint8_t *)malloc(OUT_SIZE);
	if (!d->out)
		return -ENOMEM;
	if (d->kind == COMPRESSION_GZIP)
		return inflateInit2(&d->zlib, 15 + 16) == Z_OK ? 0 : -ENOMEM;
	d->zstd = ZSTD_createDCtx();
	if (!d->zstd)
		return -ENOMEM;
	(void)ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	return 0;
}

int decompressor_new(enum compression c, uint64_t limit, decompress_fn fn, void *arg,
		     struct decompressor **ret)
{
	struct decompressor *d cleanup(decompressor) = (struct decompressor *)calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->kind = c;
	d->limit = limit;
	d->fn = fn;
	d->arg = arg;
	if (begin(d) < 0)
		return -ENOMEM;
	*ret = take_ptr(d);
	return 0;
}

void decompressor_free(struct decompressor *d)
{
	if (!d)
		return;
	if (d->kind == COMPRESSION_GZIP && d->zlib.state)
		(void)inflateEnd(&d->zlib);
	ZSTD_freeDCtx(d->zstd);
	free(d->out);
	free(d);
}

enum compression decompressor_kind(const struct decompressor *d)
{
	return d->kind;
}

uint64_t decompressor_total(const struct decompressor *d)
{
	return d->total;
}

static int hand_out(struct decompressor *d, const void *data, size_t size, struct cairn_error *err)
{
	if (!size)
		return 0;
	if (size > d->limit - d->total)
		return error_set(err, -EFBIG, CAIRN_ERROR_FORMAT,
				 "unpacks to more than %llu bytes, which is the limit",
				 (unsigned long long)d->limit);
	d->total += size;
	return d->fn(d->arg, data, size, err);
}

/* --- gzip ------------------------------------------------------------------------------------ */

/* Behind a member comes another one, or the end, or zeros that somebody padded with. Returns 1 when
 * another one begins. */
static int after_member(struct decompressor *d, struct cairn_error *err)
{
	while (d->zlib.avail_in && !*d->zlib.next_in && d->nr_trailing < TRAILING_MAX) {
		d->zlib.next_in++;
		d->zlib.avail_in--;
		d->nr_trailing++;
	}
	if (!d->zlib.avail_in)
		return 0;
	if (d->nr_trailing || *d->zlib.next_in != 0x1f)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "bad gzip data: bytes behind the last member");
	return inflateReset(&d->zlib) == Z_OK ? 1 : out_of_memory(err);
}

static int feed_gzip(struct decompressor *d, const uint8_t *data, size_t size,
		     struct cairn_error *err)
{
	d->zlib.next_in = (Bytef *)(uintptr_t)data;
	d->zlib.avail_in = (uInt)size;
	for (;;) {
		int r, z;

		if (!d->inside) {
			r = d->any ? after_member(d, err) : d->zlib.avail_in > 0;
			if (r <= 0)
				return r;
			d->inside = true;
		}
		d->zlib.next_out = d->out;
		d->zlib.avail_out = OUT_SIZE;
		z = inflate(&d->zlib, Z_NO_FLUSH);
		if (z == Z_MEM_ERROR)
			return out_of_memory(err);
		if (z != Z_OK && z != Z_STREAM_END && z != Z_BUF_ERROR)
			return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "bad gzip data: %s",
					 d->zlib.msg ? d->zlib.msg : "no member of one");
		r = hand_out(d, d->out, OUT_SIZE - d->zlib.avail_out, err);
		if (r < 0)
			return r;
		if (z == Z_STREAM_END) {
			d->inside = false;
			d->any = true;
		} else if (!d->zlib.avail_in && d->zlib.avail_out) {
			return 0;
		}
	}
}

/* --- zstd ------------------------------------------------------------------------------------ */

static int feed_zstd(struct decompressor *d, const void *data, size_t size, struct cairn_error *err)
{
	ZSTD_inBuffer in = {data, size, 0};
	bool full = false;

	while (in.pos < in.size || full) {
		ZSTD_outBuffer out = {d->out, OUT_SIZE, 0};
		size_t left = ZSTD_decompressStream(d->zstd, &out, &in);
		int r;

		if (ZSTD_isError(left))
			return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "bad zstd data: %s",
					 ZSTD_getErrorName(left));
		r = hand_out(d, out.dst, out.pos, err);
		if (r < 0)
			return r;
		d->inside = left != 0;
		full = out.pos == out.size && left;
	}
	return 0;
}

/* --- all ------------------------------------------------------------------------------------- */

static int feed(struct decompressor *d, const uint8_t *data, size_t size, struct cairn_error *err)
{
	while (size) {
		size_t n = MIN(size, (size_t)1 << 30); /* zlib counts in 32 bits */
		int r;

		switch (d->kind) {
		case COMPRESSION_GZIP:
			r = feed_gzip(d, data, n, err);
			break;
		case COMPRESSION_ZSTD:
			r = feed_zstd(d, data, n, err);
			break;
		default:
			r = hand_out(d, data, n, err);
		}
		if (r < 0)
			return r;
		data += n;
		size -= n;
	}
	return 0;
}

/* It is clear now what it is. */
static int decide(struct decompressor *d, struct cairn_error *err)
{
	d->kind = compression_probe(d->head, d->nr_head);
	if (begin(d) < 0)
		return out_of_memory(err);
	return feed(d, d->head, d->nr_head, err);
}

int decompressor_feed(struct decompressor *d, const void *data, size_t size,
		      struct cairn_error *err)
{
	const uint8_t *next = (const uint8_t *)data;

	if (d->kind == COMPRESSION_AUTO) {
		size_t n = MIN(sizeof(d->head) - d->nr_head, size);
		int r;

		if (n)
			memcpy(d->head + d->nr_head, next, n);
		d->nr_head += n;
		next += n;
		size -= n;
		if (d->nr_head < sizeof(d->head))
			return 0;
		r = decide(d, err);
		if (r < 0)
			return r;
	}
	return feed(d, next, size, err);
}

int decompressor_finish(struct decompressor *d, struct cairn_error *err)
{
	if (d->kind == COMPRESSION_AUTO) {
		int r = decide(d, err);

		if (r < 0)
			return r;
	}
	if (d->inside || (d->kind == COMPRESSION_GZIP && !d->any))
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "bad %s data: it ends too early",
				 compression_name(d->kind));
	return 0;
}
