/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* meta.json: what is read from it, what is refused, and the bytes that are written (repository §2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "store/meta.h"

static int parse(const char *text, struct store_meta *ret, struct cairn_error *err)
{
	return meta_parse(text, strlen(text), ret, err);
}

/* The example of repository §2, with a second format. */
static const char example[] = "{\n"
			      "  \"version\": 1,\n"
			      "  \"algorithm\": \"fsverity-sha512-12\",\n"
			      "  \"features\": {\n"
			      "    \"compatible\": [],\n"
			      "    \"read-only-compatible\": [\n"
			      "      \"v1_erofs\"\n"
			      "    ],\n"
			      "    \"incompatible\": []\n"
			      "  },\n"
			      "  \"erofs_formats\": {\n"
			      "    \"default\": 1,\n"
			      "    \"extra\": [\n"
			      "      2\n"
			      "    ]\n"
			      "  }\n"
			      "}\n";

static void test_example(void **state)
{
	struct buf text = BUF_INIT(META_MAX);
	struct store_meta m;

	(void)state;
	assert_int_equal(parse(example, &m, NULL), 0);
	assert_int_equal(m.alg, CAIRN_SHA512);
	assert_int_equal(m.format, 1);
	assert_int_equal(m.formats, 6);
	assert_string_equal(m.read_only, "");
	assert_int_equal(meta_print(&m, &text), 0);
	assert_int_equal(text.len, strlen(example));
	assert_memory_equal(text.data, example, text.len);
	buf_fini(&text);
}

#define HEAD "{\"version\":1,\"algorithm\":\"fsverity-sha256-12\""

static void test_formats(void **state)
{
	static const struct {
		const char *text;
		int format;
		unsigned int formats;
	} rows[] = {
		/* no field, no feature: the tools before it wrote V2 */
		{HEAD "}", 2, 4},
		{HEAD ",\"features\":{\"read-only-compatible\":[\"v1_erofs\"]}}", 1, 2},
		/* the stored value says more than the feature … */
		{HEAD ",\"features\":{\"read-only-compatible\":[\"v1_erofs\"]},"
		      "\"erofs_formats\":{\"default\":0}}",
		 0, 1},
		{HEAD ",\"features\":{\"read-only-compatible\":[\"v1_erofs\"]},"
		      "\"erofs_formats\":{\"default\":2,\"extra\":[1]}}",
		 2, 6},
		/* … unless it is the one of old tools */
		{HEAD ",\"features\":{\"read-only-compatible\":[\"v1_erofs\"]},"
		      "\"erofs_formats\":{\"default\":2}}",
		 1, 2},
		{HEAD ",\"erofs_formats\":{\"default\":2,\"extra\":[0,1,2]}}", 2, 7},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct store_meta m;

		assert_int_equal(parse(rows[i].text, &m, NULL), 0);
		assert_int_equal(m.alg, CAIRN_SHA256);
		assert_int_equal(m.format, rows[i].format);
		assert_int_equal(m.formats, rows[i].formats);
	}
}

static void test_features(void **state)
{
	struct cairn_error err;
	struct store_meta m;

	(void)state;
	assert_int_equal(parse(HEAD ",\"features\":{\"compatible\":[\"a\",\"b\"]}}", &m, &err), 0);
	assert_string_equal(m.read_only, "");
	assert_int_equal(parse(HEAD ",\"features\":{\"read-only-compatible\":"
				    "[\"v1_erofs\",\"holes\",\"more\"]}}",
			       &m, &err),
			 0);
	assert_string_equal(m.read_only, "holes");
	assert_int_equal(m.format, 1);
	assert_int_equal(parse(HEAD ",\"features\":{\"read-only-compatible\":[\"\"]}}", &m, &err),
			 0);
	assert_string_not_equal(m.read_only, "");
	assert_int_equal(parse(HEAD ",\"features\":{\"incompatible\":[\"a\\nb\"]}}", &m, &err),
			 -ENOTSUP);
	assert_string_equal(err.text, "incompatible feature a\\x0ab is not known here");
}

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		int code;
	} rows[] = {
		{"", -EINVAL},
		{"{", -EINVAL},
		{"[]", -EINVAL},
		{"{}", -EINVAL},
		{HEAD "} x", -EINVAL},
		{HEAD ",\"version\":1}", -EINVAL}, /* twice */
		{"{\"version\":\"1\",\"algorithm\":\"fsverity-sha256-12\"}", -EINVAL},
		{"{\"version\":1.0,\"algorithm\":\"fsverity-sha256-12\"}", -EINVAL},
		{"{\"version\":2,\"algorithm\":\"fsverity-sha256-12\"}", -ENOTSUP},
		{"{\"version\":1,\"algorithm\":\"fsverity-sha256-16\"}", -ENOTSUP},
		{"{\"version\":1,\"algorithm\":\"sha256\"}", -ENOTSUP},
		{"{\"version\":1}", -EINVAL},
		{HEAD ",\"features\":[]}", -EINVAL},
		{HEAD ",\"features\":{\"incompatible\":{}}}", -EINVAL},
		{HEAD ",\"features\":{\"incompatible\":[1]}}", -EINVAL},
		{HEAD ",\"features\":{\"incompatible\":[\"v1_erofs\"]}}", -ENOTSUP},
		{HEAD ",\"erofs_formats\":2}", -EINVAL},
		{HEAD ",\"erofs_formats\":{}}", -EINVAL},
		{HEAD ",\"erofs_formats\":{\"default\":3}}", -EINVAL},
		{HEAD ",\"erofs_formats\":{\"default\":-1}}", -EINVAL},
		{HEAD ",\"erofs_formats\":{\"default\":1,\"extra\":[31]}}", -EINVAL},
		{HEAD ",\"erofs_formats\":{\"default\":1,\"extra\":2}}", -EINVAL},
	};
	char *large = malloc(META_MAX + 1);
	struct store_meta m;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cairn_error err = {0};

		if (parse(rows[i].text, &m, &err) != rows[i].code)
			fail_msg("%s", rows[i].text);
		assert_int_equal(err.code, rows[i].code);
	}
	memset(large, ' ', META_MAX + 1);
	memcpy(large, HEAD "}", strlen(HEAD "}"));
	assert_int_equal(meta_parse(large, META_MAX, &m, NULL), 0);
	assert_int_equal(meta_parse(large, META_MAX + 1, &m, NULL), -EINVAL);
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
