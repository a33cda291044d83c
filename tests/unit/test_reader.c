/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The verifying reader: every range of every kind of object; what is wrong is found where it is, and only
 * there; what is kept is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hex.h"
#include "digest/verity.h"
#include "store/reader-internal.h"
#include "sys/io.h"

#define SIZE_MAX_TESTED ((size_t)9 << 20)

static char dir[64];
static uint8_t *data, *out;
static struct cairn_store *store;

static uint32_t next_random(void)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 32);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/cairn-test-reader-XXXXXX");
	data = malloc(SIZE_MAX_TESTED);
	out = malloc(SIZE_MAX_TESTED);
	if (!mkdtemp(dir) || !data || !out)
		return -1;
	for (size_t i = 0; i < SIZE_MAX_TESTED; i++)
		data[i] = (uint8_t)next_random();
	return store_open(dir, CAIRN_STORE_BARE, &store, NULL);
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	store_close(store);
	free(data);
	free(out);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* Writes an object of data[0..@size). */
static struct reader_key put(size_t size, enum cairn_alg alg, char path[160])
{
	struct reader_key key = {.path = path, .size = size};
	struct cairn_digest found[VERITY_ALGS_MAX];
	char hex[CAIRN_DIGEST_HEX_MAX], name[256];
	int fd;

	assert_int_equal(verity_digest_data(data, size, CAIRN_ALG_BIT(alg), found), 1);
	key.digest = found[0];
	(void)cairn_digest_to_hex(&key.digest, hex);
	snprintf(path, 160, "/%.2s/%s", hex, hex + 2);
	key.path_len = (uint32_t)strlen(path);
	snprintf(name, sizeof(name), "%s/%.2s", dir, hex);
	(void)mkdir(name, 0755);
	snprintf(name, sizeof(name), "%s%s", dir, path);
	fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, data, size), 0);
	close(fd);
	return key;
}

/* Changes a byte of an object; twice is not at all. */
static void flip(const struct reader_key *key, size_t at)
{
	char name[256];
	uint8_t byte;
	int fd;

	snprintf(name, sizeof(name), "%s%s", dir, key->path);
	fd = open(name, O_RDWR);
	assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= 0x20;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	close(fd);
}

static struct reader *new_reader(unsigned int flags, uint64_t leaves_max)
{
	const struct cairn_store *stores[] = {store};
	const struct reader_options options = {.flags = flags, .jobs = 3, .leaves_max = leaves_max};
	struct reader *r;

	assert_int_equal(reader_new(stores, 1, &options, &r), 0);
	return r;
}

static ssize_t read_range(struct reader *r, const struct reader_key *key, size_t size, size_t at,
			  uint64_t *block)
{
	struct cairn_error err = {0};
	struct reader_object *o;
	int k = reader_get(r, key, &o, &err);
	ssize_t n;

	if (k < 0)
		return k;
	n = reader_read(r, o, out, size, at, block, &err);
	if (n < 0)
		assert_true(err.code == n && strstr(err.text, key->path + 1));
	reader_put(r, o);
	return n;
}

static const size_t sizes[] = {0,      1,      4095,    4096,          4097,           64 * 4096,
			       524288, 524289, 1 << 20, (1 << 20) + 1, (5 << 20) + 77, 9 << 20};

/* With all leaves in memory, and with none. */
static const uint64_t leaves[] = {0, 1};

static void test_ranges(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * 2 * ARRAY_SIZE(sizes); i++) {
		const size_t size = sizes[i / 4];
		struct reader *r = new_reader(0, leaves[i % 2]);
		char path[160];
		struct reader_key key = put(size, i & 2 ? CAIRN_SHA512 : CAIRN_SHA256, path);

		for (int turn = 0; turn < 20; turn++) {
			size_t at = turn ? next_random() % (size + 2) : 0;
			size_t want = turn % 3 ? next_random() % 3000000 : SIZE_MAX_TESTED;
			size_t left = at < size ? size - at : 0;

			if (turn % 2)
				at -= at % 4096;
			left = at < size ? size - at : 0;
			want = MIN(want, SIZE_MAX_TESTED);
			assert_int_equal(read_range(r, &key, want, at, NULL), MIN(want, left));
			assert_memory_equal(out, data + at, MIN(want, left));
		}
		reader_free(r);
	}
}

static void test_every_wrong_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * 2 * ARRAY_SIZE(sizes); i++) {
		const size_t size = sizes[i / 4];
		struct reader *r = new_reader(0, leaves[i % 2]);
		char path[160];
		struct reader_key key = put(size, i & 2 ? CAIRN_SHA512 : CAIRN_SHA256, path);

		assert_int_equal(read_range(r, &key, SIZE_MAX_TESTED, 0, NULL), size);
		for (int turn = 0; size && turn < 8; turn++) {
			size_t at = next_random() % size, block = at / 4096 * 4096;
			const bool kept = !leaves[i % 2] || size <= 4096;
			uint64_t bad = 0;

			flip(&key, at);
			assert_int_equal(read_range(r, &key, 1, at, &bad), -EILSEQ);
			/* Which one it is can be told by the leaves alone. */
			if (kept)
				assert_int_equal(bad, at / 4096);
			assert_int_equal(read_range(r, &key, SIZE_MAX_TESTED, 0, &bad), -EILSEQ);
			if (kept && block)
				assert_int_equal(read_range(r, &key, 4096, block - 4096, NULL),
						 4096);
			flip(&key, at);
			assert_true(read_range(r, &key, 4096, block, NULL) > 0);
			assert_memory_equal(out, data + block, MIN(size - block, 4096u));
		}
		/* One that was wrong from the beginning has no right block. */
		reader_free(r);
		r = new_reader(0, leaves[i % 2]);
		if (size) {
			flip(&key, size - 1);
			assert_int_equal(read_range(r, &key, 1, 0, NULL), -EILSEQ);
			assert_int_equal(read_range(r, &key, 1, size / 2, NULL), -EILSEQ);
			flip(&key, size - 1);
			assert_int_equal(read_range(r, &key, 1, 0, NULL), 1);
		}
		reader_free(r);
	}
}

static void test_what_is_refused(void **state)
{
	struct reader *r = new_reader(0, 0), *lax = new_reader(READER_UNVERIFIED, 0);
	char path[160];
	struct reader_key key = put(10000, CAIRN_SHA256, path), other;

	(void)state;
	other = key;
	other.size = 9999;
	assert_int_equal(read_range(r, &other, 1, 0, NULL), -EILSEQ);
	other = key;
	other.digest.bytes[3] ^= 1;
	assert_int_equal(read_range(r, &other, 1, 0, NULL), -EILSEQ);
	other = key;
	other.digest.alg = 0;
	assert_int_equal(read_range(r, &other, 1, 0, NULL), -EILSEQ);
	assert_int_equal(read_range(lax, &other, 10000, 0, NULL), 10000);
	other = key;
	other.path = "../../../../etc/passwd";
	other.path_len = (uint32_t)strlen(other.path);
	assert_true(read_range(lax, &other, 1, 0, NULL) < 0);
	other.path_len = 0;
	assert_int_equal(reader_get(r, &other, &(struct reader_object *){NULL}, NULL), -EINVAL);
	other.path = "aa/b\0c";
	other.path_len = 6;
	assert_int_equal(reader_get(r, &other, &(struct reader_object *){NULL}, NULL), -EINVAL);
	other.path = "aa/bb";
	other.path_len = 5;
	assert_int_equal(read_range(r, &other, 1, 0, NULL), -ENOENT);
	/* What is not refused is not harmed by what was. */
	assert_int_equal(read_range(r, &key, 10000, 0, NULL), 10000);
	reader_free(r);
	reader_free(lax);
}

static void test_bounds(void **state)
{
	struct reader *r = new_reader(0, 0);
	char path[160];
	uint64_t before = 0;

	(void)state;
	r->small.max = 20;
	r->large.max = 5;
	r->large.max_charged = 100000;
	for (size_t i = 0; i < 60; i++) {
		struct reader_key key =
			put(i % 4 ? 1000 + i : READER_LARGE + i, CAIRN_SHA256, path);

		assert_int_equal(read_range(r, &key, 10, 0, NULL), 10);
		assert_true(r->small.nr <= 20 && r->large.nr <= 5);
		assert_true(r->large.charged <= 100000);
		before = MAX(before, r->large.charged);
	}
	assert_int_equal(r->small.nr, 20);
	assert_true(before > 60000); /* a tree of 4 MiB has 36 KiB */
	reader_free(r);
}

/* --- holes ---------------------------------------------------------------------------------------- */

static int64_t seek(struct reader *r, const struct reader_key *key, uint64_t at, int whence)
{
	struct reader_object *o;
	int64_t found;

	assert_int_equal(reader_get(r, key, &o, NULL), 0);
	found = reader_seek(r, o, at, whence, NULL);
	reader_put(r, o);
	return found;
}

/* Data, a hole of 1 MiB, data, a hole up to the end. */
static void test_holes(void **state)
{
	const size_t size = 4 << 20, first = 1 << 20, second = 2 << 20, last = 3 << 20;
	uint8_t *before = malloc(size);
	char path[160], name[256];
	struct reader_key key;
	int fd;

	(void)state;
	memcpy(before, data, size);
	memset(data + first, 0, second - first);
	memset(data + last, 0, size - last);
	key = put(size, CAIRN_SHA256, path);
	snprintf(name, sizeof(name), "%s%s", dir, path);
	fd = open(name, O_RDWR);
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, first, second - first) < 0 ||
	    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, last, size - last) < 0) {
		print_message("no holes on the file system of /tmp\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
		struct reader *r = new_reader(0, leaves[i]);

		assert_int_equal(seek(r, &key, 0, SEEK_DATA), 0);
		assert_int_equal(seek(r, &key, 5, SEEK_HOLE), first);
		assert_int_equal(seek(r, &key, first + 7, SEEK_HOLE), first + 7);
		assert_int_equal(seek(r, &key, first, SEEK_DATA), second);
		assert_int_equal(seek(r, &key, second + 1, SEEK_HOLE), last);
		assert_int_equal(seek(r, &key, last + 9999, SEEK_DATA), -ENXIO);
		assert_int_equal(seek(r, &key, size, SEEK_HOLE), -ENXIO);
		reader_free(r);
	}

	/* A hole where there was data is none: reading it is what must fail. */
	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
		struct reader *r = new_reader(0, leaves[i]);

		assert_int_equal(seek(r, &key, 0, SEEK_DATA), 0);
		assert_int_equal(
			fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, second, 8192), 0);
		assert_int_equal(seek(r, &key, first, SEEK_DATA), second);
		assert_int_equal(seek(r, &key, second, SEEK_DATA), second);
		assert_int_equal(seek(r, &key, second + 100, SEEK_HOLE), size);
		assert_int_equal(read_range(r, &key, 1, second, NULL), -EILSEQ);
		assert_int_equal(pwrite_all(fd, data + second, 8192, second), 0);
		reader_free(r);
	}
	close(fd);
	memcpy(data, before, size);
	free(before);
}

/* --- trees beside the store ------------------------------------------------------------------------ */

static int flip_at(const char *name, off_t at)
{
	int fd = open(name, O_RDWR);
	uint8_t byte;

	if (fd < 0 || pread(fd, &byte, 1, at) != 1)
		return -1;
	byte ^= 4;
	if (pwrite(fd, &byte, 1, at) != 1)
		return -1;
	close(fd);
	return 0;
}

static void test_trees(void **state)
{
	const size_t size = (9 << 20) - 5000;
	struct cairn_store *outer = store, *whole;
	char path[160], folder[80], name[256], hex[CAIRN_DIGEST_HEX_MAX], objects[256];
	struct reader_key key;
	struct reader *r;

	(void)state;
	snprintf(folder, sizeof(folder), "%s/whole", dir);
	assert_int_equal(store_open(folder, CAIRN_STORE_CREATE, &whole, NULL), 0);
	assert_int_equal(store_begin(whole, NULL), 0);
	store = whole;
	strcat(dir, "/whole/objects");
	for (enum cairn_alg alg = CAIRN_SHA256; alg <= CAIRN_SHA512; alg++) {
		for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
			uint64_t bad = 0;

			key = put(size, alg, path);
			(void)cairn_digest_to_hex(&key.digest, hex);
			snprintf(name, sizeof(name), "%s/../cairn/trees/%s", dir, hex);
			(void)unlink(name);

			/* Written once, not by who does not keep them. */
			r = new_reader(0, leaves[i]);
			assert_int_equal(read_range(r, &key, 1, 0, NULL), 1);
			reader_free(r);
			assert_int_equal(access(name, F_OK), -1);
			r = new_reader(READER_KEEP_TREES, leaves[i]);
			assert_int_equal(read_range(r, &key, SIZE_MAX_TESTED, 0, NULL), size);
			reader_free(r);
			assert_int_equal(access(name, F_OK), 0);

			/* With it an object that is wrong can be read where it is right. */
			flip(&key, 5000000);
			r = new_reader(0, leaves[i]);
			assert_int_equal(read_range(r, &key, 4096, 4096, NULL), 4096);
			assert_memory_equal(out, data + 4096, 4096);
			assert_int_equal(read_range(r, &key, 4096, 1220 * 4096, &bad), -EILSEQ);
			assert_int_equal(bad, 1220);
			reader_free(r);

			/* A wrong one is as good as none. */
			flip(&key, 5000000);
			for (off_t at = 0; at < 72000; at += 7001) {
				assert_int_equal(flip_at(name, at), 0);
				r = new_reader(0, leaves[i]);
				assert_int_equal(read_range(r, &key, SIZE_MAX_TESTED, 77, NULL),
						 size - 77);
				assert_memory_equal(out, data + 77, size - 77);
				reader_free(r);
				assert_int_equal(flip_at(name, at), 0);
			}
		}
	}

	/* Those of objects that are gone go when another is written. */
	snprintf(objects, sizeof(objects), "%s%s", dir, path);
	assert_int_equal(unlink(objects), 0);
	key = put(5 << 20, CAIRN_SHA256, path);
	r = new_reader(READER_KEEP_TREES, 0);
	assert_int_equal(read_range(r, &key, 1, 0, NULL), 1);
	reader_free(r);
	assert_int_equal(access(name, F_OK), -1);
	dir[strlen(dir) - strlen("/whole/objects")] = '\0';
	store_close(whole);
	store = outer;
}

/* --- threads -------------------------------------------------------------------------------------- */

struct job {
	struct reader *r;
	struct reader_key keys[6];
	char paths[6][160];
	_Atomic int wrong;
};

static void *read_much(void *arg)
{
	struct job *job = arg;
	uint8_t *buffer = malloc(1 << 20);
	uint32_t x = (uint32_t)(uintptr_t)buffer | 1;

	for (int i = 0; i < 300; i++) {
		const struct reader_key *key = &job->keys[(x = x * 1664525 + 1013904223) >> 8 & 3];
		size_t at = (x >> 4) % key->size / 4096 * 4096;
		struct reader_object *o;
		ssize_t n;

		if (reader_get(job->r, key, &o, NULL) < 0) {
			job->wrong++;
			continue;
		}
		n = reader_read(job->r, o, buffer, 1 << 18, at, NULL, NULL);
		if (n <= 0 || memcmp(buffer, data + at, (size_t)n))
			job->wrong++;
		reader_put(job->r, o);
	}
	free(buffer);
	return NULL;
}

static void test_threads(void **state)
{
	struct job job = {.r = new_reader(0, 0)};
	pthread_t threads[4];

	(void)state;
	job.r->large.max = 1; /* so that they push each other out */
	job.r->small.max = 1;
	for (int i = 0; i < 6; i++)
		job.keys[i] = put((size_t)100000 << i, CAIRN_SHA256, job.paths[i]);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_much, &job), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(job.wrong, 0);
	reader_free(job.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),          cmocka_unit_test(test_every_wrong_byte),
		cmocka_unit_test(test_what_is_refused), cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_holes),           cmocka_unit_test(test_trees),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
