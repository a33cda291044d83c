/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Split streams: the golden ones byte for byte, both headers, and what a broken one is refused for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/hex.h"
#include "base/utf8.h"
#include "digest/verity.h"
#include "store/splitstream.h"
#include "sys/io.h"

#define FILE_MAX (1 << 20)

static struct buf read_golden(const char *name)
{
	struct buf b = BUF_INIT(FILE_MAX);
	char path[512];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/repo/%s", GOLDEN, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(buf_reserve(&b, FILE_MAX), 0);
	n = read_full(fd, b.data, FILE_MAX);
	assert_true(n > 0);
	b.len = (size_t)n;
	close(fd);
	return b;
}

static int collect(void *arg, const void *data, unsigned long size)
{
	return buf_put(arg, data, size);
}

static struct cairn_digest digest_of(const void *data, size_t size, enum cairn_alg alg)
{
	struct cairn_digest d = {0};

	assert_int_equal(verity_digest_data(data, size, CAIRN_ALG_BIT(alg), &d), 1);
	return d;
}

static struct cairn_digest id_from_hex(const char *hex)
{
	struct cairn_digest d = {.alg = CAIRN_SHA256};

	assert_int_equal(strlen(hex), 64);
	assert_int_equal(hex_get(hex, d.bytes, 32), 0);
	return d;
}

static struct buf finish(struct splitwriter *w)
{
	struct buf out = BUF_INIT(64 << 20);

	assert_int_equal(splitwriter_finish(w, collect, &out), 0);
	splitwriter_free(w);
	return out;
}

static void assert_same(struct buf *got, struct buf *want)
{
	assert_int_equal(got->len, want->len);
	assert_memory_equal(got->data, want->data, want->len);
	buf_fini(got);
	buf_fini(want);
}

/* --- writing --------------------------------------------------------------------------------- */

/* One file of 1000 zeros named `alpha`, as a tar header of POSIX says it. */
static void make_header(char header[512])
{
	unsigned int sum = 0;

	memset(header, 0, 512);
	strcpy(header, "alpha");
	strcpy(header + 100, "0000700");
	strcpy(header + 108, "0000000");
	strcpy(header + 116, "0000000");
	strcpy(header + 124, "00000001750");
	strcpy(header + 136, "00000000000");
	memset(header + 148, ' ', 8);
	header[156] = '0';
	memcpy(header + 257, "ustar\00000", 8);
	for (int i = 0; i < 512; i++)
		sum += (unsigned char)header[i];
	snprintf(header + 148, 8, "%06o", sum);
	header[155] = ' ';
}

/* The header inside the golden file, whoever made it. */
static int first_header(void *arg, const void *data, size_t size)
{
	struct buf *b = arg;

	return b->len >= 512 ? 0 : buf_put(b, data, MIN(size, 512 - b->len));
}

static int64_t object_of_1000(void *arg, const struct cairn_digest *id)
{
	(void)arg;
	(void)id;
	return 1000;
}

static void test_layer_is_golden(void **state)
{
	struct buf want = read_golden("layer-alpha.splitstream");
	struct buf header = BUF_INIT(512);
	static const char zeros[1048];
	struct splitstream *s;
	struct splitwriter *w;
	struct cairn_digest id;
	char made[512];
	struct buf got;

	(void)state;
	assert_int_equal(splitstream_open_data(want.data, want.len, CAIRN_SHA256, &s, NULL), 0);
	assert_int_equal(splitstream_type(s), SPLITSTREAM_LAYER);
	assert_int_equal(splitstream_size(s), 2560);
	assert_int_equal(
		splitstream_read(
			s, &(struct splitstream_sink){first_header, object_of_1000, &header}, NULL),
		0);
	splitstream_free(s);
	make_header(made);
	assert_memory_equal(header.data, made, 100);

	assert_int_equal(splitwriter_new(CAIRN_SHA256, SPLITSTREAM_LAYER, &w), 0);
	/* In pieces: neighbours become one part. */
	assert_int_equal(splitwriter_inline(w, header.data, 500), 0);
	assert_int_equal(splitwriter_inline(w, header.data + 500, 12), 0);
	id = digest_of(zeros, 1000, CAIRN_SHA256);
	assert_int_equal(splitwriter_external(w, &id, 1000), 0);
	assert_int_equal(splitwriter_inline(w, zeros, 24), 0);
	assert_int_equal(splitwriter_inline(w, zeros, 0), 0);
	assert_int_equal(splitwriter_inline(w, zeros, 1024), 0);
	got = finish(w);

	id = digest_of(got.data, got.len, CAIRN_SHA256);
	assert_memory_equal(
		id.bytes,
		id_from_hex("61c07629b8a41273f190744a8545c132e6b784dcb2235bb31ade307a83e092ff")
			.bytes,
		32);
	assert_same(&got, &want);
	buf_fini(&header);
}

struct named {
	char name[3][128];
	struct cairn_digest id[3];
	size_t nr;
};

static int note_name(void *arg, const char *name, size_t len, const struct cairn_digest *id)
{
	struct named *n = arg;

	assert_true(n->nr < 3 && len < 128 && strlen(name) == len);
	strcpy(n->name[n->nr], name);
	n->id[n->nr++] = *id;
	return 0;
}

static void test_config_is_golden(void **state)
{
	struct buf want = read_golden("config.splitstream");
	struct buf json = read_golden("config.json");
	struct cairn_digest id = digest_of(json.data, json.len, CAIRN_SHA256);
	struct named names = {.nr = 0};
	struct splitstream *s;
	struct splitwriter *w;
	struct buf got;

	(void)state;
	assert_int_equal(splitstream_open_data(want.data, want.len, 0, &s, NULL), 0);
	assert_int_equal(splitstream_type(s), SPLITSTREAM_CONFIG);
	assert_int_equal(splitstream_nr_refs(s, SPLITSTREAM_STREAMS), 3);
	assert_int_equal(splitstream_nr_refs(s, SPLITSTREAM_OBJECTS), 1);
	assert_int_equal(splitstream_named(s, note_name, &names, NULL), 0);
	assert_int_equal(names.nr, 3);
	splitstream_free(s);

	assert_int_equal(splitwriter_new(CAIRN_SHA256, SPLITSTREAM_CONFIG, &w), 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(splitwriter_named(w, names.name[i], &names.id[i]), 0);
	assert_int_equal(splitwriter_external(w, &id, json.len), 0);
	got = finish(w);
	assert_same(&got, &want);
	buf_fini(&json);
}

/* --- reading back ---------------------------------------------------------------------------- */

static int64_t object_is_inline(void *arg, const struct cairn_digest *id)
{
	/* Sizes for the test: the first byte of the id. */
	int r = buf_put(arg, id->bytes, id->bytes[0]);

	return r < 0 ? r : id->bytes[0];
}

static int sink_bytes(void *arg, const void *data, size_t size)
{
	return buf_put(arg, data, size);
}

static struct cairn_digest short_id(uint8_t size, uint8_t fill)
{
	struct cairn_digest d = {.alg = CAIRN_SHA512};

	memset(d.bytes, fill, 64);
	d.bytes[0] = size;
	return d;
}

/* More than a piece of everything, SHA-512, an object twice, names out of order and twice. */
static struct buf make_large(struct buf *content)
{
	struct splitwriter *w;

	assert_int_equal(splitwriter_new(CAIRN_SHA512, 42, &w), 0);
	for (unsigned int i = 0; i < 3000; i++) {
		struct cairn_digest id = short_id((uint8_t)(i % 64), (uint8_t)(i % 251));
		char text[64];

		assert_int_equal(splitwriter_external(w, &id, id.bytes[0]), 0);
		assert_int_equal(buf_put(content, id.bytes, id.bytes[0]), 0);
		for (int j = 0; j < 3; j++) {
			size_t len = (size_t)snprintf(text, sizeof(text), "part %u.%d;", i, j);

			assert_int_equal(splitwriter_inline(w, text, len), 0);
			assert_int_equal(buf_put(content, text, len), 0);
		}
	}
	for (int i = 0; i < 2; i++) {
		const struct cairn_digest a = short_id(1, 1), b = short_id(2, (uint8_t)(2 + i));

		assert_int_equal(splitwriter_named(w, "b:\xc3\xa9", &b), 0);
		assert_int_equal(splitwriter_named(w, "a", &a), 0);
	}
	assert_int_equal(splitwriter_named(w, "\xc3", &(struct cairn_digest){.alg = CAIRN_SHA512}),
			 -EINVAL);
	assert_int_equal(splitwriter_named(w, "x", &(struct cairn_digest){.alg = CAIRN_SHA256}),
			 -EINVAL);
	return finish(w);
}

static int count_ref(void *arg, const struct cairn_digest *id)
{
	assert_int_equal(id->alg, CAIRN_SHA512);
	++*(uint32_t *)arg;
	return 0;
}

static void check_large(const struct splitstream *s, const struct buf *content)
{
	struct buf got = BUF_INIT(FILE_MAX);
	struct splitstream_sink sink = {sink_bytes, object_is_inline, &got};
	struct named names = {.nr = 0};
	uint32_t nr = 0;

	assert_int_equal(splitstream_alg(s), CAIRN_SHA512);
	assert_int_equal(splitstream_type(s), 42);
	assert_int_equal(splitstream_read(s, &sink, NULL), 0);
	assert_int_equal(got.len, content->len);
	assert_memory_equal(got.data, content->data, got.len);
	assert_int_equal(splitstream_refs(s, SPLITSTREAM_OBJECTS, count_ref, &nr, NULL), 0);
	assert_int_equal(nr, 3000); /* 64 and 251 have no common divisor */
	assert_int_equal(splitstream_nr_refs(s, SPLITSTREAM_STREAMS), 3);
	assert_int_equal(splitstream_named(s, note_name, &names, NULL), 0);
	assert_int_equal(names.nr, 2);
	assert_string_equal(names.name[0], "a");
	assert_string_equal(names.name[1], "b:\xc3\xa9");
	assert_int_equal(names.id[1].bytes[1], 3); /* the later one */
	buf_fini(&got);
}

static void test_read_back(void **state)
{
	struct buf content = BUF_INIT(FILE_MAX);
	struct buf file = make_large(&content);
	FILE *f = tmpfile();
	struct splitstream *s;

	(void)state;
	assert_int_equal(splitstream_open_data(file.data, file.len, CAIRN_SHA512, &s, NULL), 0);
	check_large(s, &content);
	splitstream_free(s);
	assert_int_equal(splitstream_open_data(file.data, file.len, CAIRN_SHA256, &s, NULL),
			 -ENOTSUP);

	assert_int_equal(write_all(fileno(f), file.data, file.len), 0);
	assert_int_equal(splitstream_open(fileno(f), 0, &s, NULL), 0);
	check_large(s, &content);
	splitstream_free(s);
	fclose(f);
	buf_fini(&content);
	buf_fini(&file);
}

/* What bootc up to 1.15 wrote: another header over the same rest. */
static void test_old_header(void **state)
{
	struct buf content = BUF_INIT(FILE_MAX);
	struct buf file = make_large(&content);
	struct splitstream *s;

	(void)state;
	memset(file.data, 0, 32);
	put_le64(file.data, 32);
	put_le64(file.data + 8, 112);
	memcpy(file.data + 18, "SplitStream", 11);
	file.data[30] = 2;
	file.data[31] = 12;
	assert_int_equal(splitstream_open_data(file.data, file.len, 0, &s, NULL), 0);
	check_large(s, &content);
	splitstream_free(s);
	buf_fini(&content);
	buf_fini(&file);
}

static void test_empty(void **state)
{
	struct buf got = BUF_INIT(16), file;
	struct splitstream_sink sink = {sink_bytes, NULL, &got};
	struct splitstream *s;
	struct splitwriter *w;

	(void)state;
	assert_int_equal(splitwriter_new(CAIRN_SHA256, SPLITSTREAM_LAYER, &w), 0);
	file = finish(w);
	assert_memory_equal(file.data + 112, "\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00", 9);
	assert_int_equal(splitstream_open_data(file.data, file.len, 0, &s, NULL), 0);
	assert_int_equal(splitstream_read(s, &sink, NULL), 0);
	assert_int_equal(got.len, 0);
	splitstream_free(s);
	buf_fini(&file);
}

/* --- broken ones ----------------------------------------------------------------------------- */

enum { IN_READ = 1, IN_NAMED = 2 };

/* A change of one number of config.splitstream, and the words that it must give. */
static const struct {
	size_t at;
	unsigned int size;
	uint64_t value;
	int where, code;
	const char *words;
} breaks[] = {
	{0, 1, 'X', 0, -EINVAL, "split stream: no header of one at the beginning of the file"},
	{11, 1, 1, 0, -ENOTSUP, "split stream: version 1, only 0 is known"},
	{14, 1, 3, 0, -ENOTSUP, "split stream: unknown digests (algorithm 3, block size 2^12)"},
	{15, 1, 16, 0, -ENOTSUP, "split stream: unknown digests (algorithm 1, block size 2^16)"},
	{16, 8, 400, 0, -EINVAL, "split stream: the info block lies outside of the file"},
	{24, 8, 111, 0, -EINVAL, "split stream: the info block lies outside of the file"},
	{24, 8, 406, 0, -EINVAL, "split stream: the info block lies outside of the file"},
	{16, 8, UINT64_MAX, 0, -EINVAL, "split stream: the info block lies outside of the file"},
	{32, 8, 0x71, 0, -EINVAL, "split stream: a table of references ends inside a reference"},
	{40, 8, UINT64_MAX - 31, 0, -EINVAL,
	 "split stream: a table of references lies outside of the file"},
	{48, 8, 0x1d0, 0, -EINVAL, "split stream: a table of references lies outside of the file"},
	{72, 8, 406, 0, -EINVAL, "split stream: a frame lies outside of the file"},
	{104, 8, UINT64_MAX, 0, -EINVAL, "split stream: a stream of 2^63 bytes or more"},
	{104, 8, 298, IN_READ, -EINVAL, "split stream: the stream is longer than its header says"},
	{104, 8, 300, IN_READ, -EINVAL, "split stream: the stream is shorter than its header says"},
	/* No object: 0 is then not in the table. */
	{56, 8, 0xd0, IN_READ, -EINVAL,
	 "split stream: the number of an object is not in the table"},
	/* Two names' ids instead of three. */
	{40, 8, 0xb0, IN_NAMED, -EINVAL,
	 "split stream: the number of a named reference is not in the table"},
	{72, 8, 404, IN_READ, -EINVAL, "split stream: a zstd frame ends too early"},
	{0x184, 1, 0, IN_READ, -EINVAL, "split stream: bad zstd data (Unknown frame descriptor)"},
};

static int64_t object_of_299(void *arg, const struct cairn_digest *id)
{
	(void)arg;
	(void)id;
	return 299;
}

static void test_broken(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(breaks); i++) {
		struct buf file = read_golden("config.splitstream");
		struct buf got = BUF_INIT(4096);
		struct splitstream_sink sink = {sink_bytes, object_of_299, &got};
		struct named names = {.nr = 0};
		struct cairn_error err = {0};
		struct splitstream *s = NULL;
		uint8_t number[8];
		int r;

		put_le64(number, breaks[i].value);
		memcpy(file.data + breaks[i].at, number, breaks[i].size);
		r = splitstream_open_data(file.data, file.len, 0, &s, &err);
		if (breaks[i].where)
			assert_int_equal(r, 0);
		if (breaks[i].where == IN_READ)
			r = splitstream_read(s, &sink, &err);
		else if (breaks[i].where == IN_NAMED)
			r = splitstream_named(s, note_name, &names, &err);
		assert_string_equal(err.text, breaks[i].words);
		assert_int_equal(r, breaks[i].code);
		splitstream_free(s);
		buf_fini(&got);
		buf_fini(&file);
	}
}

/* A file with these bytes as the frame of names, and three ids. */
static int try_names(const char *text, size_t size, struct cairn_error *err)
{
	struct named names = {.nr = 0};
	struct splitstream *s;
	uint8_t file[1024] = "SplitStream";
	size_t n;
	int r;

	file[14] = 1;
	file[15] = 12;
	put_le64(file + 16, 32);
	put_le64(file + 24, 112);
	put_le64(file + 32, 112);
	put_le64(file + 40, 112 + 96);
	n = ZSTD_compress(file + 256, sizeof(file) - 256, text, size, 1);
	assert_false(ZSTD_isError(n));
	put_le64(file + 32 + 48, 256);
	put_le64(file + 32 + 56, 256 + n);
	assert_int_equal(splitstream_open_data(file, sizeof(file), 0, &s, NULL), 0);
	r = splitstream_named(s, note_name, &names, err);
	splitstream_free(s);
	return r;
}

static void test_names(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		const char *words; /* NULL: fine */
	} cases[] = {
		{"", 0, NULL},
		{"0:a\0002:b\0", 8, NULL},
		{"0:\0", 3, NULL},
		{"0:a", 3, "split stream: bytes after the last named reference"},
		{"a\0", 2, "split stream: a named reference without a number and a colon"},
		{":a\0", 3, "split stream: a named reference without a number and a colon"},
		{"+1:a\0", 5, "split stream: the number of a named reference is none"},
		{"99999999999999999999:a\0", 23,
		 "split stream: the number of a named reference is none"},
		{"3:a\0", 4, "split stream: the number of a named reference is not in the table"},
		{"0:\xff\0", 4, "split stream: the name of a reference is not UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cairn_error err = {0};
		int r = try_names(cases[i].text, cases[i].size, &err);

		assert_string_equal(err.text, cases[i].words ? cases[i].words : "");
		assert_int_equal(r, cases[i].words ? -EINVAL : 0);
	}
}

static void test_utf8(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{"", true},
		{"plain", true},
		{"\xc2\x80", true},
		{"\xc1\xbf", false}, /* two bytes for what fits into one */
		{"\xe0\xa0\x80", true},
		{"\xe0\x9f\xbf", false},
		{"\xed\x9f\xbf", true},
		{"\xed\xa0\x80", false}, /* a surrogate */
		{"\xf0\x90\x80\x80", true},
		{"\xf0\x8f\xbf\xbf", false},
		{"\xf4\x8f\xbf\xbf", true},
		{"\xf4\x90\x80\x80", false}, /* above U+10FFFF */
		{"\xf5\x80\x80\x80", false},
		{"\x80", false},
		{"\xe2\x82", false},
		{"\xe2\x82x", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(utf8_valid(cases[i].text, strlen(cases[i].text)), cases[i].valid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layer_is_golden), cmocka_unit_test(test_config_is_golden),
		cmocka_unit_test(test_read_back),       cmocka_unit_test(test_old_header),
		cmocka_unit_test(test_empty),           cmocka_unit_test(test_broken),
		cmocka_unit_test(test_names),           cmocka_unit_test(test_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
