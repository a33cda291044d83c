/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Header values of HTTP. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "sys/http.h"

static void test_content_range(void **state)
{
	static const struct {
		const char *text;
		uint64_t from, to, total;
		bool good;
	} cases[] = {
		{"bytes 0-0/1", 0, 0, 1, true},
		{"bytes 5-9/10", 5, 9, 10, true},
		{"Bytes  5-9/*", 5, 9, UINT64_MAX, true},
		{"bytes 9223372036854775806-9223372036854775806/9223372036854775807",
		 9223372036854775806u, 9223372036854775806u, 9223372036854775807u, true},
		{"bytes 0-9223372036854775808/*", 0, 0, 0, false}, /* 2^63 */
		{"bytes 9-5/10", 0, 0, 0, false},
		{"bytes 5-10/10", 0, 0, 0, false},
		{"bytes -5/10", 0, 0, 0, false},
		{"bytes 5-9", 0, 0, 0, false},
		{"bytes */10", 0, 0, 0, false},
		{"bytes 5-9/10 x", 0, 0, 0, false},
		{"bytes +5-9/10", 0, 0, 0, false},
		{"items 5-9/10", 0, 0, 0, false},
		{"", 0, 0, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t from, to, total;
		int r = http_content_range(cases[i].text, &from, &to, &total);

		assert_int_equal(r == 0, cases[i].good);
		if (r < 0)
			continue;
		assert_true(from == cases[i].from && to == cases[i].to && total == cases[i].total);
	}
}

static void test_retry_after(void **state)
{
	(void)state;
	assert_int_equal(http_retry_after("7", 0), 7);
	assert_int_equal(http_retry_after("0", 0), 0);
	assert_int_equal(http_retry_after("86400", 0), HTTP_RETRY_AFTER_MAX);
	assert_int_equal(http_retry_after("-7", 0), -1);
	assert_int_equal(http_retry_after("7 s", 0), -1);
	assert_int_equal(http_retry_after("", 0), -1);
	/* date -ud 'Sun, 06 Nov 1994 08:49:37 GMT' +%s: 784111777 */
	assert_int_equal(http_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111770), 7);
	assert_int_equal(http_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111800), 0);
	assert_int_equal(http_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 0), 120);
}

static void test_loopback(void **state)
{
	static const char *const yes[] = {"localhost", "LOCALHOST", "127.0.0.1",
					  "127.9.8.7", "::1",       "[::1]"};
	static const char *const no[] = {
		"localhost.example", "127.0.0.1.example", "128.0.0.1", "127.0.0",
		"127.0.0.1:80",      "127.0.0.300",       "::2",       ""};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		assert_true(http_is_loopback(yes[i]));
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		assert_false(http_is_loopback(no[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content_range),
		cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_loopback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
