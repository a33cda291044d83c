/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Dump text: numbers, escapes, where a complaint says that it is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "dump/field-internal.h"
#include "dump/parse.h"
#include "dump/print.h"

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

/* --- in pieces ------------------------------------------------------------------------------- */

/* Parses @text in pieces of @nr_lines lines, in turn with each of three parsers. */
static int parse_pieces(const char *text, size_t nr_lines, unsigned int flags, struct tree **ret)
{
	struct dump_parser *parser[3];
	struct dump_piece *piece;
	const struct team team = {0};
	struct dump_join *join;
	bool first = true;
	int r = 0;

	assert_int_equal(dump_join_new(&join), 0);
	for (size_t i = 0; i < ARRAY_SIZE(parser); i++)
		assert_int_equal(dump_parser_new(flags, &parser[i]), 0);
	for (size_t i = 0; !r && *text; i++) {
		const char *end = text;

		for (size_t l = 0; l < nr_lines && *end; l++)
			end = strchrnul(end, '\n') + (*strchrnul(end, '\n') == '\n');
		r = dump_parser_piece(parser[i % ARRAY_SIZE(parser)], first, text,
				      (size_t)(end - text), &piece);
		if (!r)
			r = dump_join_add(join, piece);
		first = false;
		text = end;
	}
	if (!r)
		r = dump_join_finish(join, parser, ARRAY_SIZE(parser), &team, ret);
	for (size_t i = 0; i < ARRAY_SIZE(parser); i++)
		dump_parser_free(parser[i]);
	dump_join_free(join);
	return r;
}

static int append(void *arg, const void *data, unsigned long size)
{
	return buf_put((struct buf *)arg, data, size);
}

static void print(const struct tree *t, struct buf *out)
{
	out->len = 0;
	assert_int_equal(dump_print(t, CAIRN_PRINT_DUMP, t->root, append, out), 0);
	assert_int_equal(buf_put(out, "", 1), 0);
}

#define FACTS " 0 100644 1 0 0 0 0.0 - - -"
#define DIR   " 0 40755 2 0 0 0 0.0 - - -\n"
#define LINK  " 0 @100644 1 0 0 0 0.0 "

/* Wherever the text is cut, the tree is the same. */
static void test_pieces(void **state)
{
	static const char *const texts[] = {
		ROOT,
		/* Depth first, back to directories of earlier pieces, names in and out of order. */
		ROOT "/a" DIR "/a/b" DIR "/a/b/c" FACTS "\n/a/b/a" FACTS "\n/a/z" FACTS
		     "\n/a/c" FACTS "\n/d" DIR "/d/e" FACTS "\n//a//b//d" FACTS "\na/b/e" FACTS
		     "\n/A" FACTS "\n",
		/* Links forward, backward, of links; the last line without an end. */
		ROOT "/l" LINK "/x/f - -\n/m" LINK "/l - -\n/x" DIR "/x/f" FACTS "\n/x/g" LINK
		     "/m - -\n/x/h" FACTS,
		/* The same xattrs in several pieces, others in one. */
		ROOT "/a" FACTS " user.a=1 user.b=2\n/b" FACTS " user.b=2\n/c" FACTS
		     " user.b=2 user.a=1\n/d" FACTS "\n/e" FACTS " user.b=3\n",
		/* Escapes in the names of directories. */
		ROOT "/a\\x0ab" DIR "/a\\nb/\\\\" DIR "/a\\nb/\\x5c/c" FACTS "\n/a\\x0ab/d" FACTS
		     "\n",
	};
	struct buf whole cleanup_buf = BUF_INIT(65536), joined cleanup_buf = BUF_INIT(65536);
	struct cairn_error err;
	struct tree *t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(parse(texts[i], 0, &t, &err), 0);
		print(t, &whole);
		tree_free(t);
		for (size_t nr_lines = 1; nr_lines < 14; nr_lines++) {
			assert_int_equal(parse_pieces(texts[i], nr_lines, 0, &t), 0);
			print(t, &joined);
			assert_string_equal(joined.data, whole.data);
			tree_free(t);
		}
	}
}

/* Wherever it is cut, text with a mistake is not taken. */
static void test_pieces_with_mistakes(void **state)
{
	static const struct {
		const char *text;
		unsigned int flags;
	} cases[] = {
		{"", 0},
		{"/a" FACTS "\n", 0},                                    /* no root */
		{ROOT "/a" FACTS "\n" ROOT, 0},                          /* two */
		{ROOT "/a/b" FACTS "\n", 0},                             /* no parent */
		{ROOT "/a/b" FACTS "\n/c" FACTS "\n/a" DIR, 0},          /* it comes too late */
		{ROOT "/a" DIR "/a/b/c" FACTS "\n/a/b" DIR, 0},          /* and one level down */
		{ROOT "/a" FACTS "\n/b" FACTS "\n/a/b" FACTS "\n", 0},   /* it is a file */
		{ROOT "/a" FACTS "\n/b" DIR "/b/c" FACTS "\n/a" DIR, 0}, /* a name twice */
		{ROOT "/a" DIR "/a/x" FACTS "\n/a" DIR "/a/y" FACTS "\n", 0},
		{ROOT "/a" DIR "/a/x" FACTS "\n/b" FACTS "\n/a/x" FACTS "\n", 0},
		{ROOT "/a" FACTS "\n/b" LINK "/c - -\n/d" FACTS "\n", 0}, /* link to nowhere */
		{ROOT "/a" FACTS "\n/b" LINK "/c - -\n/c" LINK "/b - -\n", 0},
		{ROOT "/a" FACTS "\n/b x\n/c" FACTS "\n", 0},
		{ROOT "/a" FACTS "\n/b" FACTS, CAIRN_DUMP_STRICT}, /* no newline */
	};
	struct tree *t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t nr_lines = 1; nr_lines < 6; nr_lines++)
			assert_int_equal(parse_pieces(cases[i].text, nr_lines, cases[i].flags, &t),
					 -EAGAIN);
}

/* A NUL does not end a piece. */
static void test_piece_with_nul(void **state)
{
	static const char text[] = ROOT "/a\0b" FACTS "\n";
	struct dump_parser *p;
	struct dump_piece *piece;

	(void)state;
	assert_int_equal(dump_parser_new(0, &p), 0);
	assert_int_equal(dump_parser_piece(p, true, text, sizeof(text) - 1, &piece), -EAGAIN);
	dump_parser_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_complaints),
		cmocka_unit_test(test_lenient),
		cmocka_unit_test(test_unordered),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_pieces_with_mistakes),
		cmocka_unit_test(test_piece_with_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
