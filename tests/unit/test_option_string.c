/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The option string of mount(2) for overlayfs, judged by a model of how the kernel takes it apart. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "mount/mount-internal.h"

/* Cuts @text at the next unescaped @separator, as the kernel's loops do. Returns what follows it. */
static char *cut(char *text, char separator)
{
	for (; *text; text++) {
		if (*text == '\\' && text[1])
			text++;
		else if (*text == separator) {
			*text = '\0';
			return text + 1;
		}
	}
	return NULL;
}

static void unescape(char *text)
{
	char *out = text;

	for (; *text; *out++ = *text++)
		if (*text == '\\' && text[1])
			text++;
	*out = '\0';
}

static void test_paths_come_through(void **state)
{
	static const char *const paths[] = {
		"/plain",       "a,b",        "a:b", "a::b",      "a\\b",
		"\\",           ",",          ":",   "a\\,b",     "a\\\\:b\\",
		"with space=x", "\"quoted\"", "\n",  "/x,upper=", "\xff\xfe",
		"metacopy=off", "",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		cleanup_buf struct buf b = BUF_INIT(4096);

		assert_int_equal(option_put_path(&b, paths[i]), 0);
		assert_int_equal(buf_put(&b, ",next:last", sizeof(",next:last")), 0);
		assert_string_equal(cut(b.data, ','), "next:last");
		assert_null(cut(b.data, ':'));
		unescape(b.data);
		assert_string_equal(b.data, paths[i]);
	}
}

static void test_whole_strings(void **state)
{
	struct plan_dir bases[] = {{.path = "/one"}, {.path = "/t:w,o"}};
	struct cairn_mount_options o = {.nr_basedirs = 2};
	struct mount_plan p = {.options = &o, .bases = bases};
	cleanup_buf struct buf plain = BUF_INIT(4096);
	cleanup_buf struct buf full = BUF_INIT(4096);

	(void)state;
	assert_int_equal(option_string(&plain, &p, "/lower", ":"), 0);
	assert_string_equal(plain.data,
			    "metacopy=on,redirect_dir=on,lowerdir=/lower:/one:/t\\:w\\,o");

	p.upper.path = "/up,per";
	p.work.path = "/work";
	p.verity = true;
	assert_int_equal(option_string(&full, &p, "/lower", "::"), 0);
	assert_string_equal(full.data,
			    "metacopy=on,redirect_dir=on,lowerdir=/lower::/one::/t\\:w\\,o,"
			    "upperdir=/up\\,per,workdir=/work,verity=require");
}

static void test_ceiling(void **state)
{
	struct plan_dir bases[] = {{.path = "/one"}};
	struct cairn_mount_options o = {.nr_basedirs = 1};
	struct mount_plan p = {.options = &o, .bases = bases};
	cleanup_buf struct buf b = BUF_INIT(32);

	(void)state;
	assert_int_equal(option_string(&b, &p, "/lower", ":"), -EFBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths_come_through),
		cmocka_unit_test(test_whole_strings),
		cmocka_unit_test(test_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
