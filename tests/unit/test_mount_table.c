/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The kernel's table of mounts, as several kernels write it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mount/mount-internal.h"

#define HEX  "8f589e8f57ecb88823736b0d857ddca1e1068a23e264fad164b28f7038eb3682"
#define HEAD "36 35 0:44 / /mnt ro,relatime shared:1 master:2 - "

static const struct {
	const char *line;
	const char *
		said; /* target backend state checked digest? writable stores…; NULL: none of ours */
} cases[] = {
	/* Linux 6.18, by descriptor. */
	{HEAD "overlay composefs:" HEX
	      " ro,lowerdir+=/,lowerdir+=/,datadir+=/a/objects,redirect_dir=on,"
	      "metacopy=on,verity=require",
	 "/mnt kernel 2 0 digest ro /a/objects"},
	{HEAD "overlay composefs:" HEX " ro,lowerdir+=/,datadir+=/a,datadir+=/b",
	 "/mnt kernel 0 0 digest ro /a /b"},
	{HEAD "overlay composefs:" HEX ":checked@1764200000 ro,datadir+=/a,verity=require",
	 "/mnt kernel 1 1764200000 digest ro /a"},
	/* Linux 6.1 and 6.5: one word. A backslash before a comma is kept by the kernel as \054. */
	{HEAD "overlay composefs ro,lowerdir=/proc/fs:/a:/b", "/mnt kernel 0 0 - ro /a /b"},
	{HEAD "overlay composefs ro,lowerdir=/proc/fs::/a::/b\\134:c\\054d,upperdir=/u,workdir=/w",
	 "/mnt kernel 0 0 - rw /a /b:c,d"},
	/* In a user namespace. */
	{HEAD "overlay composefs:" HEX " ro,lowerdir+=/,datadir+=/a,userxattr,verity=require",
	 "/mnt overlay 2 0 digest ro /a"},
	{HEAD "fuse.cairn composefs:" HEX " ro,user_id=1000", "/mnt fuse 1 0 digest ro"},
	{HEAD "fuse.cairn composefs:" HEX ":unverified ro", "/mnt fuse 0 0 digest ro"},
	{HEAD "fuse.cairn cairn ro", "/mnt fuse 1 0 - ro"},
	/* Other tools of the family. */
	{HEAD "overlay composefs:my-name ro,datadir+=/a,verity=require", "/mnt kernel 0 0 - ro /a"},
	{HEAD "overlay composefs:" HEX "00 ro,datadir+=/a,verity=require",
	 "/mnt kernel 0 0 - ro /a"},
	/* An awkward path, and no optional fields. */
	{"36 35 0:44 / /a\\040b\\134c\\012 ro - overlay composefs ro,datadir+=/s\\040t",
	 "/a b\\c\n kernel 0 0 - ro /s t"},
	/* None of ours. */
	{HEAD "overlay overlay ro,lowerdir=/a", NULL},
	{HEAD "overlay composefs2 ro,lowerdir=/a", NULL},
	{HEAD "ext4 composefs:" HEX " ro", NULL},
	{HEAD "overlay", NULL},
	{"36 35 0:44 / - overlay composefs ro", NULL},
	{"no mount", NULL},
};

static int tell(void *arg, const struct cairn_mounted *m)
{
	char *said = (char *)arg;
	int n = snprintf(said, 1000, "%s %s %d %lld %s %s", m->target, m->backend, (int)m->state,
			 (long long)m->checked, m->digest.alg ? "digest" : "-",
			 m->writable ? "rw" : "ro");

	for (size_t i = 0; i < m->nr_stores; i++)
		n += snprintf(said + n, 1000 - (size_t)n, " %s", m->stores[i]);
	assert_int_equal(m->dev_minor, 44);
	return 7;
}

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char line[1000], said[1000] = "";
		int r;

		snprintf(line, sizeof(line), "%s\n", cases[i].line);
		r = mount_list_text(line, tell, said);
		assert_int_equal(r, cases[i].said ? 7 : 0);
		assert_string_equal(said, cases[i].said ? cases[i].said : "");
	}
}

static int count(void *arg, const struct cairn_mounted *m)
{
	(void)m;
	++*(int *)arg;
	return 0;
}

static void test_many_lines(void **state)
{
	char text[10000] = "";
	int nr = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		strcat(text, cases[i].line);
		strcat(text, "\n");
		nr -= cases[i].said != NULL;
	}
	assert_int_equal(mount_list_text(text, count, &nr), 0);
	assert_int_equal(nr, 0);
}

/* What is written can be read. */
static void test_sources(void **state)
{
	static const struct cairn_mount_options o, compat = {.flags = CAIRN_MOUNT_COMPAT};
	struct mount_plan p = {.options = &o};
	struct cairn_mounted m = {0};

	(void)state;
	source_make(&p);
	assert_string_equal(p.source, "composefs");
	p.facts.digest = (struct cairn_digest){.alg = CAIRN_SHA512, .bytes = {0xab}};
	for (int i = CAIRN_UNVERIFIED; i <= CAIRN_ENFORCED; i++) {
		p.facts.state = (enum cairn_state)i;
		p.facts.checked = INT64_MAX;
		source_make(&p);
		m = (struct cairn_mounted){0};
		assert_true(source_parse(p.source, i == CAIRN_ENFORCED, &m));
		assert_int_equal(m.state, i);
		assert_int_equal(m.checked, i == CAIRN_CHECKED ? INT64_MAX : 0);
		assert_memory_equal(&m.digest, &p.facts.digest, sizeof(m.digest));
	}
	p.options = &compat;
	source_make(&p);
	assert_string_equal(p.source, "composefs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_many_lines),
		cmocka_unit_test(test_sources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
