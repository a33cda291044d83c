/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Digests as values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include <cairn/digest.h>

#define HEX_16 "0123456789abcdef"
#define HEX_32 HEX_16 HEX_16
#define HEX_64 HEX_32 HEX_32

static void test_size(void **state)
{
	(void)state;
	assert_int_equal(cairn_digest_size(CAIRN_SHA256), 32);
	assert_int_equal(cairn_digest_size(CAIRN_SHA512), 64);
	assert_int_equal(cairn_digest_size((enum cairn_alg)0), 0);
	assert_int_equal(cairn_digest_size((enum cairn_alg)3), 0);
}

static void test_round_trip(void **state)
{
	static const char *const texts[] = {HEX_64, HEX_64 HEX_64};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct cairn_digest d;
		char hex[CAIRN_DIGEST_HEX_MAX];

		assert_int_equal(cairn_digest_from_hex(texts[i], &d), 0);
		assert_int_equal(d.alg, i ? CAIRN_SHA512 : CAIRN_SHA256);
		assert_int_equal(d.bytes[0], 0x01);
		assert_int_equal(d.bytes[31], 0xef);
		assert_int_equal(d.bytes[63], i ? 0xef : 0);
		assert_int_equal(cairn_digest_to_hex(&d, hex), strlen(texts[i]));
		assert_string_equal(hex, texts[i]);
	}
}

static void test_upper_case(void **state)
{
	struct cairn_digest d;

	(void)state;
	assert_int_equal(cairn_digest_from_hex(HEX_32 "0123456789ABCDEF" HEX_16, &d), 0);
	assert_int_equal(d.bytes[23], 0xef);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"",
		HEX_32,
		HEX_32 HEX_16 "0123456789abcde",  /* 63 digits */
		HEX_64 "0",                       /* 65 */
		HEX_64 HEX_64 "0",                /* 129 */
		HEX_32 HEX_16 "0123456789abcdeg", /* not a digit, last */
		"x123456789abcdef" HEX_32 HEX_16, /* and first */
		HEX_64 HEX_32 HEX_16 " 123456789abcdef",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct cairn_digest d = {.alg = 77, .bytes = {1, 2, 3}};
		struct cairn_digest before = d;

		assert_int_equal(cairn_digest_from_hex(bad[i], &d), -EINVAL);
		assert_memory_equal(&d, &before, sizeof(d));
	}
}

static void test_no_digest(void **state)
{
	struct cairn_digest d = {0};
	char hex[CAIRN_DIGEST_HEX_MAX] = "left over";

	(void)state;
	assert_int_equal(cairn_digest_to_hex(&d, hex), 0);
	assert_string_equal(hex, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size),       cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_upper_case), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_no_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
