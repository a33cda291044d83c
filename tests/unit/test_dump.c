/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Dump text: numbers, escapes, where a complaint says that it is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "dump/field-internal.h"
#include "dump/parse.h"

#define SPAN(text) ((struct span){(text), strlen(text)})

static void test_numbers(void **state)
{
	const struct {
		const char *text;
		unsigned int base;
		bool ok;
		uint64_t value;
	} cases[] = {
		{"0", 10, true, 0},
		{"+7", 10, true, 7},
		{" \t\r7", 10, true, 7},                         /* white space in front */
		{"-1", 10, true, UINT64_MAX},                    /* wraps */
		{"18446744073709551615", 10, true, UINT64_MAX},  /* the largest */
		{"18446744073709551616", 10, true, UINT64_MAX},  /* saturates */
		{"-99999999999999999999", 10, true, UINT64_MAX}, /* so does this */
		{"755", 8, true, 0755},
		{"", 10, false, 0},
		{"-", 10, false, 0},
		{"0x10", 10, false, 0},
		{"7 ", 10, false, 0},
		{"8", 8, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 0;

		assert_int_equal(field_number(SPAN(cases[i].text), cases[i].base, &value),
				 cases[i].ok);
		assert_true(!cases[i].ok || value == cases[i].value);
	}
}

static void test_escapes(void **state)
{
	struct cairn_error err;
	char out[32];

	(void)state;
	assert_int_equal(field_unescape(SPAN("a\\\\\\n\\r\\t\\x00\\xFf="), out, &err), 8);
	assert_memory_equal(out, "a\\\n\r\t\0\xff=", 8);
	assert_int_equal(field_unescape(SPAN("\\"), out, &err), -EINVAL);
	assert_string_equal(err.text, "No character after escape");
	assert_int_equal(field_unescape(SPAN("\\x4"), out, &err), -EINVAL);
	assert_string_equal(err.text, "No hex characters after hex escape");
	assert_int_equal(field_unescape(SPAN("\\xg0"), out, &err), -EINVAL);
	assert_string_equal(err.text, "Invalid hex characters after hex escape");
	assert_int_equal(field_unescape(SPAN("\\q"), out, &err), -EINVAL);
	assert_string_equal(err.text, "Unsupported escape type q");
}

#define ROOT "/ 0 40755 2 0 0 0 0.0 - - -\n"

static int parse(const char *text, unsigned int flags, struct tree **ret, struct cairn_error *err)
{
	struct dump_parser *p;
	int r;

	assert_int_equal(dump_parser_new(flags, &p), 0);
	r = dump_parser_feed(p, text, strlen(text), err);
	if (!r)
		r = dump_parser_finish(p, ret, err);
	dump_parser_free(p);
	return r;
}

static void test_complaints(void **state)
{
	const struct {
		const char *text, *words, *compat;
		unsigned int flags;
	} cases[] = {
		{ROOT "/a x 100644 1 0 0 0 0.0 - - -\n", "line 2, SIZE: Invalid integer x",
		 "Invalid integer x", 0},
		/* A second line for a name comes before what is wrong further down. */
		{ROOT "/b 0 100644 1 0 0 0 0.0 - - -\n/a 0 100644 1 0 0 0 0.0 - - -\n"
		      "/b 0 100644 1 0 0 0 0.0 - - -\n/c x 100644 1 0 0 0 0.0 - - -\n",
		 "line 4, PATH: Can't add child: there is already a line for /b", "Can't add child",
		 0},
		/* The last of several links that lead nowhere. */
		{ROOT "/a 0 @100644 1 0 0 0 0.0 /x - -\n/b 0 @100644 1 0 0 0 0.0 /y - -\n",
		 "/b: No target at /y for hardlink", "No target at /y for hardlink", 0},
		{ROOT "/a 9 100644 1 0 0 0 0.0 - - abcd\n",
		 "line 2, DIGEST: Invalid digest abcd, must be 64 hex characters",
		 "Invalid digest abcd, must be 64 hex characters", 0},
		{ROOT "/a 0 100644 1 7 x 0 0.0 - - -\n", "line 2, GID: Invalid integer x", NULL,
		 CAIRN_DUMP_STRICT},
		{"/ 0 40755 2 0 0 0 0.0 - - -", "line 1: Missing trailing newline",
		 "Missing trailing newline", CAIRN_DUMP_STRICT},
	};
	struct cairn_error err;
	struct tree *t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse(cases[i].text, cases[i].flags, &t, &err), -EINVAL);
		assert_string_equal(err.text, cases[i].words);
		assert_int_equal(err.kind, CAIRN_ERROR_FORMAT);
		if (!cases[i].compat)
			continue;
		assert_int_equal(parse(cases[i].text, cases[i].flags | CAIRN_DUMP_COMPAT, &t, &err),
				 -EINVAL);
		assert_string_equal(err.text, cases[i].compat);
	}
}

/* The quirk of dump-format §2 is only for those who ask for no strictness. */
static void test_lenient(void **state)
{
	struct cairn_error err;
	struct tree *t;

	(void)state;
	assert_int_equal(parse(ROOT "/a 0 100644 1 7 x y 0.0 - - -", 0, &t, &err), 0);
	assert_int_equal(t->entries[1]->gid, 0);
	tree_free(t);
}

static void test_unordered(void **state)
{
	static const char text[] = ROOT "/d 0 40755 2 0 0 0 0.0 - - -\n"
					"/d/e 0 40755 2 0 0 0 0.0 - - -\n"
					"/f 0 40755 2 0 0 0 0.0 - - -\n"
					"/d/e/x 0 100644 1 0 0 0 0.0 - - -\n"
					"/f/y 0 100644 1 0 0 0 0.0 - - -\n"
					"//d//e//z 0 100644 1 0 0 0 0.0 - - -\n"
					"d/e/a 0 100644 1 0 0 0 0.0 - - -\n"
					"/de 0 100644 1 0 0 0 0.0 - - -\n";
	static const char *const paths[] = {"/",    "/d",     "/de",    "/f",    "/d/e",
					    "/f/y", "/d/e/a", "/d/e/x", "/d/e/z"};
	struct cairn_error err;
	struct tree *t;
	char path[32];

	(void)state;
	assert_int_equal(parse(text, 0, &t, &err), 0);
	assert_int_equal(t->nr_entries, ARRAY_SIZE(paths));
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		node_path(t->entries[i], path);
		assert_string_equal(path, paths[i]);
	}
	tree_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),    cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_complaints), cmocka_unit_test(test_lenient),
		cmocka_unit_test(test_unordered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
