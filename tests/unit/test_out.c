/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Rows as text and as JSON, and bytes from outside in both. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "out.h"

/* Points standard output at memory. */
static int begin(void **state)
{
	(void)state;
	out_result.fd = memfd_create("result", MFD_CLOEXEC);
	out_result.error = 0;
	out_json = false;
	return out_result.fd < 0 ? -1 : 0;
}

static int end(void **state)
{
	(void)state;
	return close(out_result.fd);
}

/* What was printed since the last time. */
static void assert_printed(const char *want)
{
	char text[4096] = "";

	assert_int_equal(out_flush(&out_result), 0);
	assert_true(pread(out_result.fd, text, sizeof(text) - 1, 0) >= 0);
	assert_string_equal(text, want);
	assert_int_equal(ftruncate(out_result.fd, 0), 0);
	lseek(out_result.fd, 0, SEEK_SET);
}

static void test_names(void **state)
{
	static const struct {
		const char *name, *text, *json;
	} rows[] = {
		{"plain", "plain", "\"plain\""},
		{"", "", "\"\""},
		{"a b\"c", "a b\"c", "\"a b\\\"c\""},
		{"a\\b", "a\\\\b", "\"a\\\\b\""},
		{"\n\r\t", "\\n\\r\\t", "\"\\u000a\\u000d\\u0009\""},
		{"\033[31m\177", "\\x1b[31m\\x7f", "\"\\u001b[31m\\u007f\""},
		{"\xc3\xa9", "\xc3\xa9", "\"\xc3\xa9\""},                         /* é */
		{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""}, /* U+1F600 */
		{"\xc2\x9b", "\\xc2\\x9b", "\"\xc2\x9b\""},                       /* C1 control */
		{"\xe9", "\\xe9", "\"\xef\xbf\xbd\""},                            /* Latin-1 */
		{"\xc0\xaf", "\\xc0\\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},       /* overlong */
		{"\xed\xa0\x80", "\\xed\\xa0\\x80",
		 "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* surrogate */
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80",
		 "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},   /* above U+10FFFF */
		{"\xe2\x82", "\\xe2\\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\""}, /* cut short */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		out_name(&out_result, rows[i].name, strlen(rows[i].name));
		assert_printed(rows[i].text);
		out_json_string(&out_result, rows[i].name, strlen(rows[i].name));
		assert_printed(rows[i].json);
	}
}

static void test_sizes(void **state)
{
	static const struct {
		uint64_t size;
		const char *text;
	} rows[] = {
		{0, "0 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		{1048575, "1.0 MiB"}, /* not 1024.0 KiB */
		{UINT64_MAX, "16.0 EiB"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		out_size(&out_result, rows[i].size);
		assert_printed(rows[i].text);
	}
}

static const char *const keys[] = {"path", "kind", "size", "mode", "time", "ok", "none", NULL};
#define TEXT "{kind} {size:9} {mode} {time} {ok} {none}: {path}\n"

static void test_row(void **state)
{
	const struct cell cells[] = {
		cell_name("/a\xff"),   cell_word("file"),
		cell_number(12),       cell_mode(S_IFREG | S_ISUID | 0655),
		cell_time(1000000000), cell_bool(true),
		cell_none(),
	};

	(void)state;
	out_row(keys, TEXT, cells);
	assert_printed("file        12 -rwSr-xr-x 2001-09-09 01:46:40 yes -: /a\\xff\n");
	out_json = true;
	out_row(keys, TEXT, cells);
	assert_printed("{\"path\":\"/a\xef\xbf\xbd\",\"path_hex\":\"2f61ff\",\"kind\":\"file\","
		       "\"size\":12,\"mode\":\"104655\",\"time\":1000000000,\"ok\":true,"
		       "\"none\":null}\n");
}

static void test_xattrs(void **state)
{
	static const char *const xattr_keys[] = {"xattrs", NULL};
	static const struct cairn_xattr xattrs[] = {
		{"user.a", "v", 1},
		{"user.b", "\0\xff", 2},
		{"user.c", "", 0},
	};
	const struct cell cells[] = {cell_xattrs(xattrs, ARRAY_SIZE(xattrs))};

	(void)state;
	out_json = true;
	out_row(xattr_keys, "", cells);
	assert_printed(
		"{\"xattrs\":[{\"name\":\"user.a\",\"value\":\"v\"},"
		"{\"name\":\"user.b\",\"value\":\"\\u0000\xef\xbf\xbd\",\"value_hex\":\"00ff\"},"
		"{\"name\":\"user.c\",\"value\":\"\"}]}\n");
}

static void test_large_and_failing(void **state)
{
	static char data[200000];
	struct stat st;
	int fd = out_result.fd;

	(void)state;
	out_puts(&out_result, "head");
	out_put(&out_result, data, sizeof(data));
	out_puts(&out_result, "tail");
	assert_int_equal(out_flush(&out_result), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, sizeof(data) + 8);

	out_result.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_int_equal(out_write(&out_result, data, sizeof(data)), -ENOSPC);
	out_puts(&out_result, "more");
	assert_int_equal(out_flush(&out_result), -ENOSPC);
	close(out_result.fd);
	out_result.fd = fd;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names, begin, end),
		cmocka_unit_test_setup_teardown(test_sizes, begin, end),
		cmocka_unit_test_setup_teardown(test_row, begin, end),
		cmocka_unit_test_setup_teardown(test_xattrs, begin, end),
		cmocka_unit_test_setup_teardown(test_large_and_failing, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
