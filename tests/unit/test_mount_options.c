/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The -o list of `cairn mount`. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mount_options.h"

#define HEX "8f589e8f57ecb88823736b0d857ddca1e1068a23e264fad164b28f7038eb3682"

static int parse(const char *list, struct mount_args *ret)
{
	static char copy[1024];

	strcpy(copy, list);
	*ret = (struct mount_args){.options.verity = CAIRN_VERITY_TRY};
	return mount_options_parse(copy, ret);
}

static void test_flags(void **state)
{
	static const struct {
		const char *list;
		unsigned int flags;
		enum cairn_verity verity;
	} rows[] = {
		{"", 0, CAIRN_VERITY_TRY},
		{",,", 0, CAIRN_VERITY_TRY},
		{"ro", CAIRN_MOUNT_READ_ONLY, CAIRN_VERITY_TRY},
		{"ro,rw", 0, CAIRN_VERITY_TRY},
		{"rw,ro", CAIRN_MOUNT_READ_ONLY, CAIRN_VERITY_TRY},
		{"verity", 0, CAIRN_VERITY_REQUIRE},
		{"verity,noverity", 0, CAIRN_VERITY_OFF},
		{"noverity,tryverity", 0, CAIRN_VERITY_TRY},
		{"nosuid,nodev,noexec,noatime",
		 CAIRN_MOUNT_NOSUID | CAIRN_MOUNT_NODEV | CAIRN_MOUNT_NOEXEC | CAIRN_MOUNT_NOATIME,
		 CAIRN_VERITY_TRY},
		{"statfs=image", CAIRN_MOUNT_IMAGE_STATFS, CAIRN_VERITY_TRY},
		{"statfs=image,statfs=store", 0, CAIRN_VERITY_TRY},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct mount_args a;

		assert_int_equal(parse(rows[i].list, &a), EXIT_DONE);
		assert_int_equal(a.options.flags, rows[i].flags);
		assert_int_equal(a.options.verity, rows[i].verity);
	}
}

static void test_values(void **state)
{
	struct mount_args a;
	char hex[CAIRN_DIGEST_HEX_MAX];

	(void)state;
	assert_int_equal(parse("basedir=/a\\,b:/c\\:d:/e\\\\:/f g,upperdir=/u\\,p=1,workdir=w\\:k,"
			       "idmap=/proc/1/ns/user,digest=" HEX,
			       &a),
			 EXIT_DONE);
	assert_int_equal(a.basedirs.nr, 4);
	assert_string_equal(a.basedirs.text[0], "/a,b");
	assert_string_equal(a.basedirs.text[1], "/c:d");
	assert_string_equal(a.basedirs.text[2], "/e\\");
	assert_string_equal(a.basedirs.text[3], "/f g");
	assert_string_equal(a.options.upperdir, "/u,p=1");
	assert_string_equal(a.options.workdir, "w:k");
	assert_string_equal(a.idmap, "/proc/1/ns/user");
	assert_int_equal(a.digest.alg, CAIRN_SHA256);
	cairn_digest_to_hex(&a.digest, hex);
	assert_string_equal(hex, HEX);
}

static void test_mistakes(void **state)
{
	static const char *const rows[] = {
		"unknown",     "r",          "ro=1",   "verity=yes", "basedir",   "basedir=",
		"basedir=/a:", "basedir=:b", "digest", "digest=",    "digest=12", "digest=" HEX "0",
		"statfs=disk", "idmap=",     "=",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct mount_args a;

		assert_int_equal(parse(rows[i], &a), EXIT_USAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_mistakes),
	};

	out_talk.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
