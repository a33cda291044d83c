/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* store/memory.h, against its promises; store/verify.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "digest/verity.h"
#include "store/memory.h"
#include "store/verify.h"

static char folder[] = "/tmp/cairn-memory.XXXXXX";

static int setup(void **state)
{
	char name[64];

	(void)state;
	strcpy(folder, "/tmp/cairn-memory.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(name, sizeof(name), "%s/m", folder);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static const char *in(const char *name)
{
	static char path[4][128];
	static unsigned int n;
	char *p = path[n++ % 4];

	snprintf(p, 128, "%s/%s", folder, name);
	return p;
}

/* A file of long ago. */
static struct stat some_file(uint64_t ino)
{
	return (struct stat){.st_dev = 7, .st_ino = ino, .st_size = 99, .st_ctim = {1000, 5}};
}

static struct cairn_digest some_digest(uint8_t n)
{
	return (struct cairn_digest){.alg = CAIRN_SHA256, .bytes = {n}};
}

/* Files 0 to @nr-1 are remembered, each at time 2000 + its number. */
static void fill(unsigned int nr)
{
	struct memory *m cleanup(memory) = memory_open(in("m"));
	const struct cairn_digest d = some_digest(1);

	assert_non_null(m);
	for (unsigned int i = 0; i < nr; i++) {
		const struct stat st = some_file(i);

		memory_add(m, &st, &d, 2000 + i);
	}
	memory_save(m);
}

static int64_t find(const struct stat *st, const struct cairn_digest *d)
{
	struct memory *m cleanup(memory) = memory_open(in("m"));

	return memory_find(m, st, d);
}

static void test_found_again(void **state)
{
	const struct cairn_digest d = some_digest(1);

	(void)state;
	fill(1000);
	for (unsigned int i = 0; i < 1001; i++) {
		const struct stat st = some_file(i);

		assert_int_equal(find(&st, &d), i < 1000 ? 2000 + i : 0);
	}
}

/* Promise 1. */
static void test_every_fact_counts(void **state)
{
	const struct cairn_digest d = some_digest(1), other = some_digest(2);
	struct cairn_digest long_one = some_digest(1);
	struct stat st = some_file(3), changed[5];

	(void)state;
	fill(10);
	assert_int_equal(find(&st, &d), 2003);
	for (size_t i = 0; i < ARRAY_SIZE(changed); i++)
		changed[i] = st;
	changed[0].st_dev++;
	changed[1].st_ino += 1 << 20;
	changed[2].st_size++;
	changed[3].st_ctim.tv_sec++;
	changed[4].st_ctim.tv_nsec++;
	for (size_t i = 0; i < ARRAY_SIZE(changed); i++)
		assert_int_equal(find(&changed[i], &d), 0);
	assert_int_equal(find(&st, &other), 0);
	long_one.alg = CAIRN_SHA512;
	assert_int_equal(find(&st, &long_one), 0);
}

/* Promise 2. */
static void test_fresh_files_are_not_remembered(void **state)
{
	struct memory *m cleanup(memory) = memory_open(in("m"));
	const struct cairn_digest d = some_digest(1);
	struct stat st = some_file(1);

	(void)state;
	st.st_ctim.tv_sec = 5000;
	memory_add(m, &st, &d, 5000 + MEMORY_SETTLED);
	memory_add_image(m, &st, NULL, &d, 5000 + MEMORY_SETTLED);
	memory_save(m);
	assert_int_equal(access(in("m"), F_OK), -1);
	memory_add(m, &st, &d, 5000 + MEMORY_SETTLED + 1);
	memory_save(m);
	assert_int_equal(access(in("m"), F_OK), 0);
	assert_int_equal(find(&st, &d), 5000 + MEMORY_SETTLED + 1);
}

/* Promise 3. */
static void test_what_others_can_write_is_not_believed(void **state)
{
	const struct cairn_digest d = some_digest(1);
	const struct stat st = some_file(1);

	(void)state;
	fill(3);
	assert_int_equal(chmod(in("m/objects"), 0664), 0);
	assert_int_equal(find(&st, &d), 0);
	assert_int_equal(chmod(in("m/objects"), 0644), 0);
	assert_int_equal(find(&st, &d), 2001);
	assert_int_equal(chmod(in("m"), 0777), 0);
	assert_int_equal(find(&st, &d), 0);
	assert_int_equal(chmod(in("m"), 0755), 0);
	assert_int_equal(rename(in("m"), in("elsewhere")), 0);
	assert_int_equal(symlink("elsewhere", in("m")), 0);
	assert_int_equal(find(&st, &d), 0);
	if (geteuid() == 0) {
		assert_int_equal(unlink(in("m")), 0);
		assert_int_equal(rename(in("elsewhere"), in("m")), 0);
		assert_int_equal(find(&st, &d), 2001);
		assert_int_equal(chown(in("m/objects"), 1, 1), 0);
		assert_int_equal(find(&st, &d), 0);
	}
}

/* Promise 4: whichever byte is wrong, nothing is found that was not there, and it can be filled again. */
static void test_broken_files(void **state)
{
	const struct cairn_digest d = some_digest(1);
	uint8_t good[32 + 5 * 24];
	FILE *f;

	(void)state;
	fill(5);
	f = fopen(in("m/objects"), "r");
	assert_int_equal(fread(good, 1, sizeof(good), f), sizeof(good));
	assert_int_equal(fgetc(f), EOF);
	fclose(f);
	for (size_t i = 0; i < 2 * sizeof(good); i++) {
		const size_t len = i < sizeof(good) ? sizeof(good) : i - sizeof(good);
		uint8_t bad[sizeof(good)];

		memcpy(bad, good, sizeof(good));
		if (i < sizeof(good))
			bad[i] ^= 1;
		f = fopen(in("m/objects"), "w");
		assert_int_equal(fwrite(bad, 1, len, f), len);
		fclose(f);
		for (unsigned int n = 0; n < 5; n++) {
			const struct stat st = some_file(n);

			assert_int_equal(find(&st, &d), 0);
		}
	}
	fill(2);
	{
		const struct stat st = some_file(1);

		assert_int_equal(find(&st, &d), 2001);
	}
}

static void test_images(void **state)
{
	struct memory *m cleanup(memory) = memory_open(in("m"));
	const struct cairn_digest d = some_digest(9), measured = some_digest(8);
	const struct stat st = some_file(1), other = some_file(2);
	struct cairn_digest got;

	(void)state;
	memory_add_image(m, &st, NULL, &d, 4000);
	memory_add_image(m, &st, &measured, &measured, 3000);
	memory_save(m);
	assert_int_equal(memory_find_image(m, &st, NULL, &got), 4000);
	assert_memory_equal(&got, &d, sizeof(d));
	assert_int_equal(memory_find_image(m, &other, NULL, &got), 0);
	/* A measured one is known wherever it is. */
	assert_int_equal(memory_find_image(m, &other, &measured, &got), 3000);
	assert_memory_equal(&got, &measured, sizeof(d));
	assert_int_equal(memory_find_image(m, &st, &d, &got), 0);
}

static void test_no_memory(void **state)
{
	const struct cairn_digest d = some_digest(1);
	const struct stat st = some_file(1);
	struct cairn_digest got;

	(void)state;
	assert_null(memory_open(NULL));
	memory_add(NULL, &st, &d, 9999);
	memory_add_image(NULL, &st, NULL, &d, 9999);
	memory_save(NULL);
	assert_int_equal(memory_find(NULL, &st, &d), 0);
	assert_int_equal(memory_find_image(NULL, &st, NULL, &got), 0);
}

/* --- verify ---------------------------------------------------------------------------------- */

static void write_file(const char *name, const char *data, size_t size)
{
	FILE *f = fopen(in(name), "w");

	assert_int_equal(fwrite(data, 1, size, f), size);
	fclose(f);
}

static void test_verify(void **state)
{
	static char data[1 << 20];
	struct wanted w[] = {{.path = "/long", .size = sizeof(data)}, {.path = "short", .size = 5}};
	struct verify_result got;
	struct cairn_error err;
	int dirs[2];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7919 >> 5);
	assert_int_equal(mkdir(in("a"), 0755), 0);
	assert_int_equal(mkdir(in("b"), 0755), 0);
	write_file("b/long", data, sizeof(data));
	write_file("b/short", "short", 5);
	dirs[0] = open(in("a"), O_RDONLY);
	dirs[1] = open(in("b"), O_RDONLY);
	verity_digest_data(data, sizeof(data), CAIRN_ALG_BIT(CAIRN_SHA512), &w[0].digest);
	verity_digest_data("short", 5, CAIRN_ALG_BIT(CAIRN_SHA256), &w[1].digest);

	for (unsigned int jobs = 0; jobs < 4; jobs++) {
		assert_int_equal(objects_verify(dirs, 2, w, 2, jobs, NULL, &got, &err), 0);
		assert_int_equal(got.done, 2);
		assert_int_equal(got.remembered, 0);
	}
	assert_int_equal(objects_verify(dirs, 1, w, 2, 1, NULL, &got, &err), -ENOENT);
	assert_string_equal(err.text, "object long: No such file or directory");

	/* The first directory that has it counts, as overlayfs does it. */
	write_file("a/short", "shorT", 5);
	assert_int_equal(objects_verify(dirs, 2, w, 2, 2, NULL, &got, &err), -EILSEQ);
	assert_int_equal(err.kind, CAIRN_ERROR_DIGEST);
	assert_string_equal(err.text, "object short: its content does not have its digest");
	write_file("a/short", "shor", 4);
	assert_int_equal(objects_verify(dirs, 2, w, 2, 2, NULL, &got, &err), -EILSEQ);
	unlink(in("a/short"));
	assert_int_equal(symlink("../b/short", in("a/short")), 0);
	assert_int_equal(objects_verify(dirs, 2, w, 2, 2, NULL, &got, &err), -ELOOP);
	unlink(in("a/short"));
	data[777777] ^= 4;
	write_file("b/long", data, sizeof(data));
	write_file("b/short", "wrong", 5);
	assert_int_equal(objects_verify(dirs, 2, w, 2, 3, NULL, &got, &err), -EILSEQ);
	assert_string_equal(err.text, "object /long: its content does not have its digest");
	close(dirs[0]);
	close(dirs[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_fact_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fresh_files_are_not_remembered, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_what_others_can_write_is_not_believed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_broken_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_images, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_verify, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
