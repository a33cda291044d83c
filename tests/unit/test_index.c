/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The list of images that a server shows: what is one, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "transfer/transfer.h"

#define D64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int count(void *arg, const struct index_line *line)
{
	struct index_line *last = arg;

	*last = *line;
	return 0;
}

static void test_good(void **state)
{
	static const char text[] = "cairn-index 1\nimage sha256:" D64 " 4096 a b/c\n"
				   "image sha512:" D64 D64 " 0 d\nend 2\n";
	struct index_line last = {0};

	(void)state;
	assert_int_equal(index_parse(text, strlen(text), count, &last, NULL), 0);
	assert_int_equal(last.digest.alg, CAIRN_SHA512);
	assert_int_equal(last.size, 0);
	assert_int_equal(last.len, 1);
	assert_memory_equal(last.name, "d", 1);
}

static void test_container(void **state)
{
	static const char text[] = "cairn-index 1\nimage sha256:" D64 " 4096 a\n"
				   "container sha256:" D64 " 704 x/a:1\nend 2\n";
	struct index_line last = {0};

	(void)state;
	assert_int_equal(index_parse(text, strlen(text), count, &last, NULL), 0);
	assert_int_equal(last.kind, INDEX_CONTAINER);
	assert_int_equal(last.size, 704);
	assert_memory_equal(last.name, "x/a:1", 5);
}

/* In order, each once, and found again; of two sizes of one object one is a lie. */
static void test_wants(void **state)
{
	struct wants w = WANTS_INIT;
	struct cairn_digest id = {.alg = CAIRN_SHA256};
	struct cairn_error err = {0};

	(void)state;
	for (unsigned int i = 0; i < 200; i++) {
		id.bytes[0] = (uint8_t)(i * 7 % 100);
		assert_int_equal(wants_add(&w, &id, id.bytes[0] + 1u), 0);
	}
	assert_int_equal(wants_sort(&w, NULL), 0);
	assert_int_equal(w.nr, 100);
	assert_int_equal(w.bytes, 5050);
	for (unsigned int i = 0; i < 100; i++) {
		id.bytes[0] = (uint8_t)i;
		assert_int_equal(wants_find(&w, &id), i);
	}
	id.bytes[0] = 100;
	assert_int_equal(wants_find(&w, &id), -ENOENT);
	id.bytes[0] = 4;
	assert_int_equal(wants_add(&w, &id, 4), 0);
	assert_int_equal(wants_sort(&w, &err), -EINVAL);
	assert_int_equal(err.kind, CAIRN_ERROR_FORMAT);
	assert_non_null(strstr(err.text, "is said to have"));
	wants_fini(&w);
	assert_int_equal(wants_find(&w, &id), -ENOENT);
}

static void test_bad(void **state)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
		{"", "line 1: expected \"cairn-index 1\""},
		{"cairn-index 12\nend 0\n", "line 1: expected \"cairn-index 1\""},
		{"cairn-index 1\n", "line 2: the list is cut short"},
		{"cairn-index 1\nend 0", "line 2: the list is cut short"},
		{"cairn-index 1\nend 1\n", "line 2: not the end of this list"},
		{"cairn-index 1\nend 00\n", "line 2: not the end of this list"},
		{"cairn-index 1\nend 0\n\n", "line 2: not the end of this list"},
		{"cairn-index 1\nimage sha256:" D64 " 5 a\nend 0\n",
		 "line 3: not the end of this list"},
		{"cairn-index 1\nimage sha1:" D64 " 5 a\nend 1\n",
		 "line 2: expected \"image ALG:DIGEST SIZE NAME\""},
		{"cairn-index 1\nimage sha512:" D64 " 5 a\nend 1\n",
		 "line 2: expected \"image ALG:DIGEST SIZE NAME\""},
		/* One way to write a digest. */
		{"cairn-index 1\nimage sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef"
		 "0123456789abcdef 5 a\nend 1\n",
		 "line 2: expected \"image ALG:DIGEST SIZE NAME\""},
		{"cairn-index 1\ncontainers sha256:" D64 " 5 a\nend 1\n",
		 "line 2: expected \"image ALG:DIGEST SIZE NAME\", or \"container …\""},
		{"cairn-index 1\nimage sha256:" D64 " 05 a\nend 1\n",
		 "line 2: expected \"image ALG:DIGEST SIZE NAME\""},
		{"cairn-index 1\nimage sha256:" D64 " 99999999999999999999 a\nend 1\n",
		 "line 2: expected \"image ALG:DIGEST SIZE NAME\""},
		{"cairn-index 1\nimage sha256:" D64 " 5 \nend 1\n",
		 "line 2: expected \"image ALG:DIGEST SIZE NAME\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct index_line last;
		struct cairn_error err = {0};

		assert_int_equal(
			index_parse(rows[i].text, strlen(rows[i].text), count, &last, &err),
			-EINVAL);
		assert_non_null(strstr(err.text, rows[i].words));
		assert_int_equal(err.kind, CAIRN_ERROR_FORMAT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_container),
		cmocka_unit_test(test_wants),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
