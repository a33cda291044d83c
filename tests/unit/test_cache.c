/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The cache of scans: which times are trusted, what is found again, what damaged bytes do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>

#include "scan/cache-internal.h"
#include "sys/io.h"

#define SETTLE_NS 60000000 /* longer than any clock's tick */

struct place {
	char path[64];
	int fd;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	snprintf(p->path, sizeof(p->path), "/var/tmp/cairn-test-cache-XXXXXX");
	if (!mkdtemp(p->path))
		return -1;
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	char command[128];

	close(p->fd);
	snprintf(command, sizeof(command), "rm -rf %s", p->path);
	(void)!system(command);
	free(p);
	return 0;
}

static void add_file(const struct place *p, const char *name, const char *text)
{
	int fd = openat(p->fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static void settle(void)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = SETTLE_NS}, NULL);
}

/* A scan with the cache @data, which is copied; then the bytes of the new one (NULL: the old are right). */
static struct tree *scan(const struct place *p, const void *data, size_t size, uint64_t *hits,
			 void **ret, size_t *ret_size)
{
	const struct cairn_scan_options o = {.jobs = 2};
	struct scan_cache *c;
	struct cairn_error err;
	struct tree *t;
	void *copy = NULL;

	if (data) {
		copy = malloc(size);
		memcpy(copy, data, size);
	}
	assert_int_equal(scan_cache_new(copy, size, 32, &c), 0);
	if (scan_directory(AT_FDCWD, p->path, &o, NULL, c, &t, NULL, &err) < 0)
		fail_msg("%s", err.text);
	*hits = scan_cache_hits(c);
	assert_int_equal(scan_cache_output(c, t, NULL, ret, ret_size), 0);
	scan_cache_free(c);
	return t;
}

static const struct node *at(const struct tree *t, const char *path)
{
	const struct node *n = tree_lookup(t, path, strlen(path), NULL);

	if (!n)
		fail_msg("%s is not in the tree", path);
	return n;
}

static void test_settled(void **state)
{
	static const struct {
		struct timespec ctime, when;
		bool settled;
	} rows[] = {
		{{100, 5}, {100, 5}, false},         /* the same tick */
		{{100, 5}, {100, 10000005}, false},  /* perhaps the same */
		{{100, 5}, {100, 30000005}, true},   /* surely a later one */
		{{100, 990000000}, {101, 0}, false}, /* across the second */
		{{100, 990000000}, {101, 20000000}, true},
		{{100, 5}, {99, 999999999}, false}, /* the clock was set back, or is not ours */
		{{100, 5}, {200, 0}, true},
		{{100, 0}, {102, 999999999}, false}, /* perhaps whole seconds */
		{{100, 0}, {103, 0}, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(cache_settled(&rows[i].ctime, &rows[i].when), rows[i].settled);
}

static void test_again(void **state)
{
	const struct place *p = *state;
	char text[5000] = {0};
	void *data, *more;
	size_t size, more_size;
	uint64_t hits;
	struct tree *t;

	memset(text, 'x', sizeof(text) - 1);
	add_file(p, "large", text);
	add_file(p, "inline", "hello");
	add_file(p, "empty", "");
	assert_int_equal(mkdirat(p->fd, "d", 0755), 0);
	add_file(p, "d/other", text + 1000);
	assert_int_equal(symlinkat("no/where", p->fd, "link"), 0);
	assert_int_equal(linkat(p->fd, "large", p->fd, "d/large", 0), 0);
	settle();

	t = scan(p, NULL, 0, &hits, &data, &size);
	assert_int_equal(hits, 0);
	assert_non_null(data);
	tree_free(t);

	/* All of it, and nothing to write. */
	t = scan(p, data, size, &hits, &more, &more_size);
	assert_int_equal(hits, 4);
	assert_null(more);
	assert_int_equal(at(t, "/large")->flags, NODE_HARDLINK);
	assert_int_equal(at(t, "/d/large")->flags, NODE_SHA256 | NODE_OBJECT_PATH);
	assert_memory_equal(at(t, "/inline")->inl.content, "hello", 5);
	assert_string_equal(at(t, "/link")->symlink.target, "no/where");
	tree_free(t);

	/* One is another, one is gone, one has a new name: times are what they were before. */
	{
		struct stat st;

		assert_int_equal(fstatat(p->fd, "inline", &st, 0), 0);
		add_file(p, "inline", "HELLO");
		assert_int_equal(
			utimensat(p->fd, "inline", (struct timespec[2]){st.st_atim, st.st_mtim}, 0),
			0);
		assert_int_equal(unlinkat(p->fd, "empty", 0), 0);
	}
	settle();
	t = scan(p, data, size, &hits, &more, &more_size);
	assert_int_equal(hits, 2);
	assert_memory_equal(at(t, "/inline")->inl.content, "HELLO", 5);
	assert_non_null(more);
	tree_free(t);
	free(data);

	t = scan(p, more, more_size, &hits, &data, &size);
	assert_int_equal(hits, 3);
	assert_null(data);
	tree_free(t);
	free(more);
}

static void test_fresh(void **state)
{
	const struct place *p = *state;
	struct timespec now;
	uint64_t hits;
	void *data, *more;
	size_t size;
	struct tree *t;

	/* Times to come are not to be trusted, either: the clock may get there. */
	add_file(p, "f", "hello");
	t = scan(p, NULL, 0, &hits, &data, &size);
	tree_free(t);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	t = scan(p, data, size, &hits, &more, &size);
	/* On a slow machine it was settled before the first. */
	assert_true(hits <= 1);
	tree_free(t);
	free(data);
	free(more);
}

static void test_xattrs(void **state)
{
	const struct place *p = *state;
	uint64_t hits;
	void *data, *more;
	size_t size;
	struct tree *t;
	char path[128];

	add_file(p, "f", "hello");
	snprintf(path, sizeof(path), "%s/f", p->path);
	if (setxattr(path, "user.a", "1", 1, 0) < 0)
		skip();
	settle();
	tree_free(scan(p, NULL, 0, &hits, &data, &size));
	t = scan(p, data, size, &hits, &more, &size);
	assert_int_equal(hits, 1);
	assert_null(more);
	assert_int_equal(at(t, "/f")->xattrs->nr, 1);
	assert_string_equal(at(t, "/f")->xattrs->xattr[0]->name, "user.a");
	assert_string_equal(at(t, "/f")->xattrs->xattr[0]->value, "1");
	tree_free(t);

	assert_int_equal(setxattr(path, "user.a", "2", 1, 0), 0);
	t = scan(p, data, size, &hits, &more, &size);
	assert_int_equal(hits, 0);
	assert_string_equal(at(t, "/f")->xattrs->xattr[0]->value, "2");
	tree_free(t);
	free(more);
	free(data);
}

static void test_damaged(void **state)
{
	const struct place *p = *state;
	uint64_t hits;
	void *data, *more;
	size_t size, more_size;

	add_file(p, "f", "hello");
	settle();
	tree_free(scan(p, NULL, 0, &hits, &data, &size));
	for (size_t i = 0; i < size; i += 7) {
		((uint8_t *)data)[i] ^= 4;
		tree_free(scan(p, data, size, &hits, &more, &more_size));
		assert_int_equal(hits, 0);
		free(more);
		((uint8_t *)data)[i] ^= 4;
		tree_free(scan(p, data, i, &hits, &more, &more_size));
		assert_int_equal(hits, 0);
		free(more);
	}
	tree_free(scan(p, data, size, &hits, &more, &more_size));
	assert_int_equal(hits, 1);
	free(data);
}

static void test_name(void **state)
{
	const struct place *p = *state;
	const struct cairn_scan_options all = {0}, user = {.flags = CAIRN_SCAN_USER_XATTRS},
					epoch = {.flags = CAIRN_SCAN_USE_EPOCH};
	char names[5][SCAN_CACHE_NAME_MAX];
	int fd = open("/", O_RDONLY | O_DIRECTORY);

	assert_int_equal(scan_cache_name(p->fd, &all, CAIRN_SHA256, 0, names[0]), 0);
	assert_int_equal(scan_cache_name(p->fd, &epoch, CAIRN_SHA256, 0, names[1]), 0);
	assert_int_equal(scan_cache_name(p->fd, &user, CAIRN_SHA256, 0, names[2]), 0);
	assert_int_equal(scan_cache_name(p->fd, &all, CAIRN_SHA512, 0, names[3]), 0);
	assert_int_equal(scan_cache_name(fd, &all, CAIRN_SHA256, 0, names[4]), 0);
	assert_string_equal(names[0], names[1]);
	for (int i = 2; i < 5; i++)
		assert_string_not_equal(names[0], names[i]);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settled),
		cmocka_unit_test_setup_teardown(test_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fresh, setup, teardown),
		cmocka_unit_test_setup_teardown(test_xattrs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_name, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
