/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Decompression: several members and frames, pieces of any size, ceilings, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/buf.h"
#include "sys/decompress.h"

#define TEXT_SIZE 300000

static char text[TEXT_SIZE];

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEXT_SIZE; i++)
		text[i] = (char)('a' + i * i % 23);
	return 0;
}

static void put_gzip(struct buf *b, const void *data, size_t size)
{
	z_stream z = {0};

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(buf_reserve(b, size + 1024), 0);
	z.next_in = (Bytef *)(uintptr_t)data;
	z.avail_in = (uInt)size;
	z.next_out = (Bytef *)b->data + b->len;
	z.avail_out = (uInt)(b->size - b->len);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	b->len += z.total_out;
	deflateEnd(&z);
}

static void put_zstd(struct buf *b, const void *data, size_t size)
{
	size_t n;

	assert_int_equal(buf_reserve(b, ZSTD_compressBound(size)), 0);
	n = ZSTD_compress(b->data + b->len, b->size - b->len, data, size, 3);
	assert_false(ZSTD_isError(n));
	b->len += n;
}

static int collect(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	(void)err;
	return buf_put(arg, data, size);
}

/* Unpacks in pieces of @piece bytes. */
static int unpack(const struct buf *in, size_t piece, uint64_t limit, struct buf *out,
		  struct cairn_error *err)
{
	struct decompressor *d cleanup(decompressor) = NULL;
	int r = 0;

	out->len = 0;
	*err = (struct cairn_error){0};
	assert_int_equal(decompressor_new(COMPRESSION_AUTO, limit, collect, out, &d), 0);
	for (size_t at = 0; at < in->len && !r; at += piece)
		r = decompressor_feed(d, in->data + at, MIN(piece, in->len - at), err);
	if (!r)
		r = decompressor_finish(d, err);
	if (!r)
		assert_int_equal(decompressor_total(d), out->len);
	return r;
}

static void expect(const struct buf *in, const void *want, size_t size)
{
	static const size_t pieces[] = {1, 3, 1000, 1 << 20};
	struct buf out = BUF_INIT(1 << 20);
	struct cairn_error err;

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		assert_int_equal(unpack(in, pieces[i], 1 << 20, &out, &err), 0);
		assert_int_equal(out.len, size);
		assert_memory_equal(out.data, want, size);
	}
	buf_fini(&out);
}

static void expect_error(const struct buf *in, uint64_t limit, int code, const char *words)
{
	static const size_t pieces[] = {1, 1 << 20};
	struct buf out = BUF_INIT(1 << 20);
	struct cairn_error err;

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		assert_int_equal(unpack(in, pieces[i], limit, &out, &err), code);
		assert_string_equal(err.text, words);
		assert_true(out.len <= limit);
	}
	buf_fini(&out);
}

static void test_plain(void **state)
{
	struct buf in = BUF_INIT(1 << 20);

	(void)state;
	assert_int_equal(buf_put(&in, "ab", 2), 0);
	expect(&in, "ab", 2);
	assert_int_equal(buf_put(&in, text, TEXT_SIZE), 0);
	expect(&in, in.data, in.len);
	buf_fini(&in);
	expect_error(&(struct buf){.data = text, .len = 10}, 9, -EFBIG,
		     "unpacks to more than 9 bytes, which is the limit");
}

static void test_gzip(void **state)
{
	struct buf in = BUF_INIT(1 << 20);
	size_t one;

	(void)state;
	put_gzip(&in, text, TEXT_SIZE);
	expect(&in, text, TEXT_SIZE);
	one = in.len;

	/* In two members, and an empty one. */
	in.len = 0;
	put_gzip(&in, text, 100000);
	put_gzip(&in, NULL, 0);
	put_gzip(&in, text + 100000, TEXT_SIZE - 100000);
	expect(&in, text, TEXT_SIZE);

	/* Zeros behind it are padding; anything else is not. */
	assert_int_equal(buf_put(&in, "\0\0\0", 3), 0);
	expect(&in, text, TEXT_SIZE);
	assert_int_equal(buf_put(&in, "x", 1), 0);
	expect_error(&in, 1 << 20, -EINVAL, "bad gzip data: bytes behind the last member");

	in.len = 0;
	put_gzip(&in, text, TEXT_SIZE);
	expect_error(&in, TEXT_SIZE - 1, -EFBIG,
		     "unpacks to more than 299999 bytes, which is the limit");
	in.len = one - 1;
	expect_error(&in, 1 << 20, -EINVAL, "bad gzip data: it ends too early");
	in.len = one;
	in.data[one - 5] ^= 1;
	expect_error(&in, 1 << 20, -EINVAL, "bad gzip data: incorrect data check");
	in.data[one - 5] ^= 1;
	in.data[one - 1] ^= 1;
	expect_error(&in, 1 << 20, -EINVAL, "bad gzip data: incorrect length check");
	buf_fini(&in);
}

static void test_zstd(void **state)
{
	struct buf in = BUF_INIT(1 << 20);

	(void)state;
	/* A frame to skip, then two. */
	assert_int_equal(buf_put(&in, "\x53\x2a\x4d\x18\x03\0\0\0abc", 11), 0);
	put_zstd(&in, text, 100000);
	put_zstd(&in, text + 100000, TEXT_SIZE - 100000);
	expect(&in, text, TEXT_SIZE);
	assert_int_equal(buf_put(&in, "\x50\x2a\x4d\x18\0\0\0\0", 8), 0);
	expect(&in, text, TEXT_SIZE);
	in.len -= 3;
	expect_error(&in, 1 << 20, -EINVAL, "bad zstd data: it ends too early");

	in.len = 0;
	put_zstd(&in, text, TEXT_SIZE);
	expect_error(&in, 1000, -EFBIG, "unpacks to more than 1000 bytes, which is the limit");
	in.len--;
	expect_error(&in, 1 << 20, -EINVAL, "bad zstd data: it ends too early");
	buf_fini(&in);
}

static void test_probe(void **state)
{
	(void)state;
	assert_int_equal(compression_probe("\x1f\x8b\x08", 3), COMPRESSION_GZIP);
	assert_int_equal(compression_probe("\x1f\x8b", 2), COMPRESSION_NONE);
	assert_int_equal(compression_probe("\x28\xb5\x2f\xfd", 4), COMPRESSION_ZSTD);
	assert_int_equal(compression_probe("\x5f\x2a\x4d\x18", 4), COMPRESSION_ZSTD);
	assert_int_equal(compression_probe("\x60\x2a\x4d\x18", 4), COMPRESSION_NONE);
	assert_string_equal(compression_name(COMPRESSION_ZSTD), "zstd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_zstd),
		cmocka_unit_test(test_probe),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
