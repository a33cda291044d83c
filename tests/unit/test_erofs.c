/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Images: each changed byte is found, and the words say where. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "dump/parse.h"
#include "erofs/format.h"
#include "erofs/reader.h"
#include "erofs/write.h"
#include "erofs/xattr-name.h"
#include "tree/diff.h"

#define DIGEST "711430f6164e93803d93428bc1fab80f41e213bb197689307de8606d437c3038"

/* One of everything. */
static const char text[] =
	"/ 0 40755 2 0 0 0 5.0 - - - security.selinux=root_t\n"
	"/big 70000 100644 1 0 0 0 6.7 71/" /* payload of DIGEST */
	"1430f6164e93803d93428bc1fab80f41e213bb197689307de8606d437c3038 - " DIGEST
	" user.k=v security.selinux=root_t\n"
	"/chr 0 20644 1 0 0 1283 5.0 - - -\n"
	"/d 0 40755 2 0 0 0 5.0 - - - trusted.overlay.opaque=y\n"
	"/d/gone 0 20600 1 0 0 0 5.0 - - -\n"
	"/link 0 120777 1 0 0 0 5.0 target - -\n"
	"/same 70000 100644 1 0 0 0 5.0 71/"
	"1430f6164e93803d93428bc1fab80f41e213bb197689307de8606d437c3038 - " DIGEST "\n"
	"/small 3 100644 2 0 0 0 5.0 - abc -\n"
	"/twin 0 @100644 2 0 0 0 5.0 /small - -\n";

static int keep(void *arg, const uint8_t *data, size_t size)
{
	return buf_put((struct buf *)arg, data, size);
}

static void make_image(int format, struct buf *out)
{
	struct erofs_plan *plan;
	struct dump_parser *p;
	struct tree *t;

	*out = BUF_INIT(1u << 20);
	assert_int_equal(dump_parser_new(0, &p), 0);
	assert_int_equal(dump_parser_feed(p, text, sizeof(text) - 1, NULL), 0);
	assert_int_equal(dump_parser_finish(p, &t, NULL), 0);
	assert_int_equal(erofs_plan_new(t, format, CAIRN_SHA256, &(struct team){0}, &plan, NULL),
			 0);
	assert_int_equal(erofs_emit(plan, keep, out), 0);
	assert_int_equal(out->len, erofs_plan_size(plan));
	erofs_plan_free(plan);
	dump_parser_free(p);
	tree_free(t);
}

static int check(const struct buf *b, struct cairn_error *err)
{
	enum cairn_alg alg;
	struct image img;
	int r = image_open(&img, b->data, b->len, err);

	return r < 0 ? r : image_check(&img, &alg, err);
}

static struct buf buffer;

static struct tree *load(const struct buf *b)
{
	struct image img;
	struct tree *t = NULL;

	assert_int_equal(image_open(&img, b->data, b->len, NULL), 0);
	assert_int_equal(image_load(&img, 0, NULL, &t, NULL), 0);
	return t;
}

static int ignore(void *arg, const struct cairn_difference *difference)
{
	(void)arg;
	(void)difference;
	return 0;
}

#define LINE 64

static bool is_zero(const char *line)
{
	static const char zeros[LINE];

	return !memcmp(line, zeros, LINE);
}

/* A changed byte is an offence, or it makes the canonical image of another tree; never both images of
 * one tree. */
static void test_every_byte(void **state)
{
	struct cairn_error err = {0};

	(void)state;
	for (int format = CAIRN_FORMAT_V0; format <= CAIRN_FORMAT_V2; format++) {
		struct tree *original;

		make_image(format, &buffer);
		assert_int_equal(check(&buffer, &err), 0);
		original = load(&buffer);
		for (size_t i = 0; i < buffer.len; i++) {
			/* Of long padding the first byte of a line stands for all. */
			if (i % LINE && is_zero(buffer.data + i / LINE * LINE))
				continue;
			buffer.data[i] ^= 1;
			err.text[0] = '\0';
			if (check(&buffer, &err) == 0) {
				struct tree *other = load(&buffer);

				/* The header's format alone tells V0 and V1 of some trees apart. */
				if (i != HEADER_AT_FORMAT)
					assert_true(tree_diff(original, other, ignore, NULL) > 0);
				tree_free(other);
			} else {
				assert_true(err.text[0] != '\0');
			}
			buffer.data[i] ^= 1;
		}
		tree_free(original);
		buf_fini(&buffer);
	}
}

static void test_truncated(void **state)
{
	struct cairn_error err;
	size_t len;

	(void)state;
	make_image(CAIRN_FORMAT_V1, &buffer);
	len = buffer.len;
	for (buffer.len = 0; buffer.len < len; buffer.len += 512)
		assert_true(check(&buffer, &err) < 0);
	buf_fini(&buffer);
}

static void test_words(void **state)
{
	const struct {
		size_t offset;
		const char *words;
	} cases[] = {
		{0, "not a composefs image: magic at offset 0 is 0xd078629b, expected 0xd078629a"},
		{20, "offset 20, header: unused: expected 0x00, found 0x01"},
		{100, "offset 100, padding after the header: expected 0x00, found 0x01"},
		{SUPER_OFFSET + SUPER_AT_CHECKSUM,
		 "offset 1028, superblock: checksum: expected 0x00, found 0x01"},
	};
	struct cairn_error err;

	(void)state;
	make_image(CAIRN_FORMAT_V1, &buffer);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		buffer.data[cases[i].offset] ^= 1;
		assert_int_equal(check(&buffer, &err), -EINVAL);
		assert_string_equal(err.text, cases[i].words);
		buffer.data[cases[i].offset] ^= 1;
	}
	/* i_ino of the root */
	buffer.data[INODES_OFFSET + COMPACT_AT_INO] ^= 4;
	assert_int_equal(check(&buffer, &err), -EINVAL);
	assert_string_equal(err.text,
			    "offset 1172, inode 36 (/): i_ino: expected 0x00, found 0x04");
	buf_fini(&buffer);
}

/* Vectors of image-format §5.4. */
static void test_filter(void **state)
{
	const struct {
		const char *name;
		uint32_t filter;
	} cases[] = {
		{"trusted.overlay.opaque", 0xffefffff},
		{"system.posix_acl_access", 0xbfffffff},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t prefix, len = strlen(cases[i].name);
		unsigned int index = xattr_prefix_index(cases[i].name, len, false, &prefix);
		unsigned int bit = xattr_filter_bit(index, cases[i].name + prefix, len - prefix);

		assert_int_equal(~(1u << bit), cases[i].filter);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
