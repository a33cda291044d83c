/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Tables of contents: times, footers, which table a layer is known by. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "oci/toc.h"

#define HEX64 "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

static void test_times(void **state)
{
	static const struct {
		const char *text;
		int r;
		int64_t seconds;
		uint32_t nsec;
	} cases[] = {
		{"2023-11-14T22:13:20Z", 0, 1700000000, 0},
		{"2023-11-14T22:13:20.5Z", 0, 1700000000, 500000000},
		{"2023-11-14T22:13:20.000000001Z", 0, 1700000000, 1},
		{"2023-11-15T00:13:20+02:00", 0, 1700000000, 0},
		{"2023-11-14T16:43:20-05:30", 0, 1700000000, 0},
		{"1969-12-31T23:59:59.25Z", 0, -1, 250000000}, /* rounded down */
		{"0001-01-01T00:00:00Z", 0, 0, 0},             /* Go's: there is none */
		{"2024-02-29T00:00:00Z", 0, 1709164800, 0},
		{"2023-11-14T22:13:20", -EINVAL, 0, 0},
		{"2023-11-14 22:13:20Z", -EINVAL, 0, 0},
		{"2023-11-14T22:13:20.Z", -EINVAL, 0, 0},
		{"2023-11-14T22:13:20.1234567890Z", -EINVAL, 0, 0},
		{"2023-13-14T22:13:20Z", -EINVAL, 0, 0},
		{"2023-00-14T22:13:20Z", -EINVAL, 0, 0},
		{"2023-04-31T22:13:20Z", -EINVAL, 0, 0},
		{"2023-11-14T24:13:20Z", -EINVAL, 0, 0},
		{"2023-11-14T22:13:20Zx", -EINVAL, 0, 0},
		{"2023-11-14T22:13:20+2:00", -EINVAL, 0, 0},
		{"2023-11-14T22:13:20+24:00", -EINVAL, 0, 0},
		{"", -EINVAL, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t seconds = 7;
		uint32_t nsec = 7;

		assert_int_equal(toc_time(cases[i].text, &seconds, &nsec), cases[i].r);
		assert_int_equal(seconds, cases[i].r ? 7 : cases[i].seconds);
		assert_int_equal(nsec, cases[i].r ? 7 : cases[i].nsec);
	}
}

#define NEW_FOOTER                                                                                 \
	"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x1a\0SG\x16\0"                                             \
	"00000000000001dd"                                                                         \
	"STARGZ\x01\0\0\xff\xff"                                                                   \
	"\0\0\0\0\0\0\0"
#define OLD_FOOTER                                                                                 \
	"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x16\0"                                                     \
	"000000000000016D"                                                                         \
	"STARGZ\x01\0\0\xff\xff\0\0\0\0\0\0\0"

static void test_footers(void **state)
{
	uint8_t last[STARGZ_FOOTER_SIZE] = NEW_FOOTER, old[STARGZ_FOOTER_SIZE];
	uint64_t offset = 0;

	(void)state;
	assert_int_equal(sizeof(NEW_FOOTER), STARGZ_FOOTER_SIZE);
	assert_int_equal(sizeof(OLD_FOOTER), STARGZ_OLD_FOOTER_SIZE);
	memset(old, 'x', 4);
	memcpy(old + 4, OLD_FOOTER, STARGZ_OLD_FOOTER_SIZE);
	assert_int_equal(stargz_footer(last, 1044, &offset), STARGZ_FOOTER_SIZE);
	assert_int_equal(offset, 0x1dd);
	assert_int_equal(stargz_footer(old, 868, &offset), STARGZ_OLD_FOOTER_SIZE);
	assert_int_equal(offset, 0x16d);
	/* The table must lie in front of it. */
	assert_int_equal(stargz_footer(last, 0x1dd + STARGZ_FOOTER_SIZE, &offset), 0);
	assert_int_equal(stargz_footer(last, 0x1dd + STARGZ_FOOTER_SIZE + 1, &offset),
			 STARGZ_FOOTER_SIZE);
	for (size_t i = 0; i < sizeof(last); i++) {
		last[i] ^= 0x80; /* no byte is free */
		assert_int_equal(stargz_footer(last, 1044, &offset), 0);
		last[i] ^= 0x80;
	}
	memset(last + 16, '0', 16);
	assert_int_equal(stargz_footer(last, 1044, &offset), 0);
}

/* What a layer with these annotations is known by; "": by its diff_id only. */
static const char *key_of(const char *type, const char *annotations)
{
	static char key[TOC_KEY_MAX];
	struct oci_descriptor layer = {.media_type = type, .size = 1000};
	char text[1024];

	snprintf(text, sizeof(text), "{\"annotations\":{%s}}", annotations);
	layer.json = json_loads(text, 0, NULL);
	assert_non_null(layer.json);
	if (!toc_key_of(&layer, key))
		key[0] = '\0';
	json_decref(layer.json);
	return key;
}

#define GZIP   OCI_TYPE_LAYER "+gzip"
#define ZSTD   OCI_TYPE_LAYER "+zstd"
#define STARGZ "\"containerd.io/snapshot/stargz/toc.digest\":\"sha256:" HEX64 "\""
#define CHUNKED(prefix, place)                                                                     \
	"\"" prefix "containers.zstd-chunked.manifest-checksum\":\"sha256:" HEX64 "\","            \
	"\"" prefix "containers.zstd-chunked.manifest-position\":\"" place "\""

static void test_keys(void **state)
{
	(void)state;
	assert_string_equal(key_of(GZIP, STARGZ), "toc:estargz:sha256:" HEX64);
	assert_string_equal(key_of(GZIP, ""), "");
	assert_string_equal(key_of(ZSTD, CHUNKED("io.", "600:300:700:1")),
			    "toc:zstd:sha256:" HEX64);
	assert_string_equal(key_of(ZSTD, CHUNKED("io.github.", "600:300:700:1")),
			    "toc:zstd:sha256:" HEX64);
	/* Outside of the blob, of another kind, of another compression, or two of them. */
	assert_string_equal(key_of(ZSTD, CHUNKED("io.", "600:401:700:1")), "");
	assert_string_equal(key_of(ZSTD, CHUNKED("io.", "600:300:700:2")), "");
	assert_string_equal(key_of(ZSTD, CHUNKED("io.", "7:300:700:1")), "");
	assert_string_equal(key_of(GZIP, CHUNKED("io.", "600:300:700:1")), "");
	assert_string_equal(key_of(ZSTD, STARGZ "," CHUNKED("io.", "600:300:700:1")), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_footers),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
