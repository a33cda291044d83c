/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The store: layouts, objects that appear whole or not at all, reading only what is verified. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "digest/verity.h"
#include "store/store.h"
#include "sys/io.h"
#include "tree/tree.h"

struct place {
	char dir[64];  /* a private directory */
	char path[96]; /* dir/s */
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/cairn-test-store-XXXXXX");
	if (!mkdtemp(p->dir))
		return -1;
	snprintf(p->path, sizeof(p->path), "%s/s", p->dir);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", p->dir);
	(void)!system(command);
	free(p);
	return 0;
}

static struct cairn_store *open_store(const char *path, unsigned int flags)
{
	struct cairn_store *s = NULL;
	struct cairn_error err;
	int r = store_open(path, flags, &s, &err);

	if (r < 0)
		fail_msg("%s", err.text);
	return s;
}

static void assert_refused(const char *path, unsigned int flags, int code)
{
	struct cairn_store *s = NULL;
	struct cairn_error err;

	assert_int_equal(store_open(path, flags, &s, &err), code);
	assert_null(s);
	assert_non_null(strstr(err.text, path));
}

static struct cairn_digest digest_of(const void *data, size_t size, enum cairn_alg alg)
{
	struct cairn_digest d[VERITY_ALGS_MAX];

	assert_int_equal(verity_digest_data(data, size, CAIRN_ALG_BIT(alg), d), 1);
	return d[0];
}

static const char *path_of(const struct cairn_digest *d)
{
	static char path[OBJECT_PATH_MAX];

	object_path(path, d->bytes, cairn_digest_size(d->alg));
	return path;
}

/* The one temporary name that a killed writer may leave is below objects/; nothing else may be. */
static void assert_no_leftovers(const struct cairn_store *s)
{
	DIR *d = opendir(s->objects_path);

	for (struct dirent *e; (e = readdir(d));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			assert_int_equal(strlen(e->d_name), 2);
	closedir(d);
}

static void write_file(int dirfd, const char *name, const void *data, size_t size)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, data, size), 0);
	close(fd);
}

static void assert_object(const struct cairn_store *s, const struct cairn_digest *d,
			  const void *data, size_t size)
{
	char *copy = malloc(size + 1);
	int fd = store_open_object(s, path_of(d), NULL);
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(read_full(fd, copy, size + 1), size);
	assert_memory_equal(copy, data, size);
	fstat(fd, &st);
	assert_int_equal(st.st_mode, S_IFREG | 0644);
	assert_int_equal(st.st_nlink, 1);
	close(fd);
	free(copy);
}

/* --- layouts --------------------------------------------------------------------------------- */

static void test_create(void **state)
{
	const struct place *p = *state;
	struct cairn_store *s;
	struct stat st;
	char path[128];

	assert_refused(p->path, 0, -ENOENT);
	s = open_store(p->path, CAIRN_STORE_CREATE);
	snprintf(path, sizeof(path), "%s/objects", p->path);
	assert_string_equal(s->objects_path, path);
	assert_true(s->empty);
	/* Its directory is what keeps others out; what is in it is made at the first use. */
	stat(p->path, &st);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(store_open_object(s, "00/11", NULL), -ENOENT);
	assert_int_equal(store_begin(s, NULL), 0);
	assert_int_equal(access(path, F_OK), 0);
	store_close(s);

	/* Bare ones are made as mkcomposefs does, with what is above them. */
	snprintf(path, sizeof(path), "%s/a/b", p->dir);
	s = open_store(path, CAIRN_STORE_CREATE | CAIRN_STORE_BARE);
	assert_string_equal(s->objects_path, path);
	stat(path, &st);
	assert_int_equal(st.st_mode, S_IFDIR | 0755);
	store_close(s);
}

static void test_recognise(void **state)
{
	const struct place *p = *state;
	struct cairn_store *s;
	char path[128];
	int fd;

	mkdir(p->path, 0755);
	fd = open(p->path, O_RDONLY | O_DIRECTORY);
	s = open_store(p->path, 0);
	assert_string_not_equal(s->objects_path, p->path);
	store_close(s);

	/* What does not count does not make it something else. */
	mkdirat(fd, "lost+found", 0700);
	write_file(fd, ".tmpXXXXXX", "", 0);
	s = open_store(p->path, 0);
	assert_string_not_equal(s->objects_path, p->path);
	store_close(s);

	write_file(fd, "README", "", 0);
	assert_refused(p->path, 0, -EINVAL);
	s = open_store(p->path, CAIRN_STORE_BARE);
	assert_string_equal(s->objects_path, p->path);
	store_close(s);

	mkdirat(fd, "a7", 0755);
	s = open_store(p->path, 0);
	assert_string_equal(s->objects_path, p->path);
	assert_true(s->empty);
	store_close(s);

	mkdirat(fd, "objects", 0755);
	s = open_store(p->path, 0);
	snprintf(path, sizeof(path), "%s/objects", p->path);
	assert_string_equal(s->objects_path, path);
	store_close(s);

	snprintf(path, sizeof(path), "%s/README", p->path);
	assert_refused(path, 0, -ENOTDIR);
	close(fd);
}

static void test_algorithm(void **state)
{
	const struct place *p = *state;
	char name[160];
	struct cairn_store *s;
	int fd;

	s = open_store(p->path, CAIRN_STORE_CREATE);
	assert_int_equal(s->alg, CAIRN_SHA256);
	assert_false(s->alg_fixed);
	store_close(s);

	fd = open(p->path, O_RDONLY | O_DIRECTORY);
	write_file(fd, "meta.json",
		   "{\n  \"version\": 1,\n  \"algorithm\": \"fsverity-sha512-12\"}\n", 54);
	s = open_store(p->path, 0);
	assert_int_equal(s->alg, CAIRN_SHA512);
	assert_true(s->alg_fixed);
	store_close(s);
	write_file(fd, "meta.json", "{\"version\":1,\"algorithm\":\"fsverity-sha3-12\"}", 44);
	assert_refused(p->path, 0, -ENOTSUP);
	unlinkat(fd, "meta.json", 0);

	mkdirat(fd, "objects", 0755);
	mkdirat(fd, "objects/00", 0755);
	mkdirat(fd, "objects/ab", 0755);
	write_file(fd, "objects/ab/.tmp", "", 0);
	snprintf(name, sizeof(name), "objects/ab/%0126d", 0);
	write_file(fd, name, "x", 1);
	s = open_store(p->path, 0);
	assert_int_equal(s->alg, CAIRN_SHA512);
	assert_true(s->alg_fixed);
	assert_false(s->empty);
	store_close(s);
	close(fd);
}

/* --- making ---------------------------------------------------------------------------------- */

static void test_init(void **state)
{
	const struct place *p = *state;
	struct cairn_store_config c = {.alg = CAIRN_SHA512, .format = 2, .formats = 2, .secure = 0};
	struct cairn_store *s = NULL;
	struct cairn_error err;
	struct stat st;
	char path[128];

	snprintf(path, sizeof(path), "%s/a/b/", p->path); /* and what is above it */
	assert_int_equal(store_init(path, &c, &s, &err), 1);
	assert_int_equal(s->alg, CAIRN_SHA512);
	assert_int_equal(s->meta.format, 2);
	assert_int_equal(s->meta.formats, 6);
	assert_false(s->secure);
	fstat(s->dirfd, &st);
	assert_int_equal(st.st_mode & 07777, 0700);
	store_close(s);

	assert_int_equal(store_init(path, NULL, &s, &err), 0); /* whatever it is */
	store_close(s);
	assert_int_equal(store_init(path, &c, &s, &err), 0);
	store_close(s);
	c.formats = 1;
	assert_int_equal(store_init(path, &c, &s, &err), -EEXIST);
	c.formats = 0;
	c.alg = CAIRN_SHA256;
	assert_int_equal(store_init(path, &c, &s, &err), -EEXIST);
	assert_int_equal(err.kind, CAIRN_ERROR_USAGE);
	c.alg = 0;
	c.secure = 1;
	assert_int_equal(store_init(path, &c, &s, &err), -EEXIST);

	/* SHA-512 in the oldest format: no such image. */
	c = (struct cairn_store_config){.alg = CAIRN_SHA512, .format = 0, .secure = 0};
	snprintf(path, sizeof(path), "%s/c", p->path);
	assert_int_equal(store_init(path, &c, &s, &err), -EINVAL);
}

/* What is no directory where there should be one is told, and never followed. */
static void test_hostile(void **state)
{
	const struct place *p = *state;
	struct cairn_digest d = digest_of("hello", 5, CAIRN_SHA256);
	struct cairn_store *s = open_store(p->path, CAIRN_STORE_CREATE);
	struct cairn_error err;
	char command[400], object[OBJECT_PATH_MAX];

	assert_int_equal(store_begin(s, NULL), 0);
	store_close(s);
	strcpy(object, path_of(&d));

	/* A right object, outside: a link to its directory must not make it ours. */
	snprintf(command, sizeof(command),
		 "cd %s && mkdir out && printf hello >out/%s && ln -s ../../out s/objects/%.2s",
		 p->dir, object + 3, object);
	assert_int_equal(system(command), 0);
	s = open_store(p->path, 0);
	assert_int_equal(store_begin(s, NULL), 0);
	assert_int_equal(store_has(s, &d, 5, &err), -ENOTDIR);
	assert_int_equal(store_put(s, &d, "hello", 5, &err), -ENOTDIR);
	assert_int_equal(store_open_object(s, object, &err), -ELOOP);
	store_close(s);

	snprintf(command, sizeof(command),
		 "cd %s/s && rm objects/?? && mv objects ../out2 && ln -s "
		 "../out2 objects",
		 p->dir);
	assert_int_equal(system(command), 0);
	assert_refused(p->path, 0, -ENOTDIR);
}

/* --- writing --------------------------------------------------------------------------------- */

static void test_put(void **state)
{
	const struct place *p = *state;
	struct cairn_store *s = open_store(p->path, CAIRN_STORE_CREATE);
	struct cairn_digest d = digest_of("hello", 5, CAIRN_SHA256);
	struct cairn_digest e = digest_of("world", 5, CAIRN_SHA256);
	mode_t mask = umask(077);

	assert_int_equal(store_begin(s, NULL), 0);
	assert_int_equal(store_has(s, &d, 5, NULL), 0);
	assert_int_equal(store_put(s, &d, "hello", 5, NULL), 1);
	assert_int_equal(store_has(s, &d, 5, NULL), 1);
	assert_int_equal(store_put(s, &d, "hello", 5, NULL), 0);
	assert_int_equal(store_put(s, &e, "world", 5, NULL), 1);
	umask(mask);
	assert_object(s, &d, "hello", 5);
	assert_object(s, &e, "world", 5);
	assert_no_leftovers(s);
	assert_int_equal(store_sync(s, NULL), 0);
	store_close(s);

	s = open_store(p->path, CAIRN_STORE_READ_ONLY);
	assert_object(s, &d, "hello", 5);
	assert_int_equal(store_begin(s, NULL), -EROFS);
	store_close(s);
}

static void test_put_sha512(void **state)
{
	const struct place *p = *state;
	struct cairn_store *s = open_store(p->path, CAIRN_STORE_CREATE);
	struct cairn_digest d = digest_of("hello", 5, CAIRN_SHA512);

	s->alg = CAIRN_SHA512;
	assert_int_equal(store_begin(s, NULL), 0);
	assert_int_equal(store_put(s, &d, "hello", 5, NULL), 1);
	assert_int_equal(strlen(path_of(&d)), 129);
	assert_object(s, &d, "hello", 5);
	store_close(s);
}

/* What a power cut left, or somebody put there, is replaced. */
static void test_replace(void **state)
{
	const struct place *p = *state;
	struct cairn_store *s = open_store(p->path, CAIRN_STORE_CREATE);
	struct cairn_digest d = digest_of("hello", 5, CAIRN_SHA256);

	assert_int_equal(store_begin(s, NULL), 0);
	assert_int_equal(store_put(s, &d, "hello", 5, NULL), 1);

	unlinkat(s->objects, path_of(&d), 0);
	write_file(s->objects, path_of(&d), "", 0);
	assert_int_equal(store_put(s, &d, "hello", 5, NULL), 1);
	assert_object(s, &d, "hello", 5);

	unlinkat(s->objects, path_of(&d), 0);
	write_file(s->objects, path_of(&d), "hello, world", 12);
	assert_int_equal(store_put(s, &d, "hello", 5, NULL), 1);
	assert_object(s, &d, "hello", 5);

	unlinkat(s->objects, path_of(&d), 0);
	assert_int_equal(symlinkat("/etc/hostname", s->objects, path_of(&d)), 0);
	assert_int_equal(store_put(s, &d, "hello", 5, NULL), 1);
	assert_object(s, &d, "hello", 5);
	assert_no_leftovers(s);

	/* A directory cannot be replaced by a file. */
	unlinkat(s->objects, path_of(&d), 0);
	mkdirat(s->objects, path_of(&d), 0755);
	assert_int_equal(store_put(s, &d, "hello", 5, NULL), -EISDIR);
	assert_no_leftovers(s);
	store_close(s);
}

static void test_commit(void **state)
{
	const struct place *p = *state;
	struct cairn_store *s = open_store(p->path, CAIRN_STORE_CREATE);
	struct cairn_digest d = digest_of("hello", 5, CAIRN_SHA256);
	struct pending file = PENDING_INIT;

	assert_int_equal(store_begin(s, NULL), 0);
	for (int i = 1; i >= 0; i--) {
		assert_int_equal(store_pending(s, &file, NULL), 0);
		assert_int_equal(write_all(file.fd, "hello", 5), 0);
		assert_no_leftovers(s);
		assert_int_equal(store_commit(s, &file, &d, 5, NULL), i);
		assert_int_equal(file.fd, -1);
	}
	assert_object(s, &d, "hello", 5);

	/* Given up: nothing stays. The directory went away meanwhile: it is made again. */
	assert_int_equal(store_pending(s, &file, NULL), 0);
	pending_discard(&file);
	unlinkat(s->objects, path_of(&d), 0);
	assert_int_equal(
		unlinkat(s->objects, (char[]){path_of(&d)[0], path_of(&d)[1], 0}, AT_REMOVEDIR), 0);
	assert_int_equal(store_put(s, &d, "hello", 5, NULL), 1);
	assert_no_leftovers(s);
	store_close(s);
}

/* A file that cannot be written to its end gets no name. */
static void test_no_space(void **state)
{
	const struct place *p = *state;
	struct cairn_store *s = open_store(p->path, CAIRN_STORE_CREATE);
	struct rlimit old, limit;
	static char data[10000];
	struct cairn_digest d = digest_of(data, sizeof(data), CAIRN_SHA256);
	struct cairn_error err;

	assert_int_equal(store_begin(s, NULL), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = old;
	limit.rlim_cur = 5000;
	setrlimit(RLIMIT_FSIZE, &limit);
	assert_int_equal(store_put(s, &d, data, sizeof(data), &err), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_non_null(strstr(err.text, path_of(&d)));
	assert_int_equal(store_has(s, &d, sizeof(data), NULL), 0);
	assert_no_leftovers(s);
	assert_int_equal(store_put(s, &d, data, sizeof(data), NULL), 1);
	store_close(s);
}

/* Named temporary files, for file systems without O_TMPFILE, keep the same promises. */
static void test_pending_named(void **state)
{
	const struct place *p = *state;
	int fd = open(p->dir, O_RDONLY | O_DIRECTORY);
	struct pending file;
	struct stat st;

	for (int replace = 0; replace < 2; replace++) {
		file = (struct pending){.fd = -1, .dirfd = fd, .prefix = ".t-", .name = ".t-1"};
		file.fd = openat(fd, ".t-1", O_RDWR | O_CREAT | O_EXCL, 0644);
		assert_int_equal(write_all(file.fd, "new", 3), 0);
		if (replace) {
			assert_int_equal(pending_link(&file, "a"), -EEXIST);
			assert_int_equal(pending_seal(&file), 0);
			assert_int_equal(write(file.fd, "x", 1), -1);
			assert_int_equal(pending_replace(&file, "a"), 0);
		} else {
			assert_int_equal(pending_link(&file, "missing/a"), -ENOENT);
			assert_int_equal(pending_link(&file, "a"), 0);
		}
		assert_int_equal(file.fd, -1);
		assert_int_equal(fstatat(fd, "a", &st, 0), 0);
		assert_int_equal(st.st_size, 3);
		assert_int_equal(fstatat(fd, ".t-1", &st, 0), -1);
		write_file(fd, "a", "old content", 11);
	}

	file = (struct pending){.fd = -1, .dirfd = fd, .prefix = ".t-", .name = ".t-1"};
	file.fd = openat(fd, ".t-1", O_RDWR | O_CREAT | O_EXCL, 0644);
	pending_discard(&file);
	assert_int_equal(fstatat(fd, ".t-1", &st, 0), -1);
	close(fd);
}

/* --- reading --------------------------------------------------------------------------------- */

static void test_open_object(void **state)
{
	const struct place *p = *state;
	struct cairn_store *s = open_store(p->path, CAIRN_STORE_CREATE);
	struct cairn_error err;
	int fd;

	assert_int_equal(store_begin(s, NULL), 0);
	mkdirat(s->objects, "aa", 0755);
	write_file(s->objects, "aa/file", "x", 1);
	assert_int_equal(symlinkat("file", s->objects, "aa/link"), 0);
	assert_int_equal(symlinkat("aa", s->objects, "bb"), 0);
	mkfifoat(s->objects, "aa/fifo", 0644);

	fd = store_open_object(s, "/aa/file", NULL);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(store_open_object(s, "aa/none", &err), -ENOENT);
	assert_int_equal(store_open_object(s, "aa/link", &err), -ELOOP);
	assert_int_equal(store_open_object(s, "bb/file", &err), -ELOOP);
	assert_int_equal(store_open_object(s, "../../etc/passwd", &err), -EXDEV);
	assert_int_equal(store_open_object(s, "aa/fifo", &err), -EINVAL);
	assert_int_equal(store_open_object(s, "aa", &err), -EINVAL);
	assert_int_equal(store_open_object(s, "", &err), -ENOENT);
	store_close(s);
}

struct output {
	size_t size;
	struct cairn_digest digest;
	struct verity v;
};

static int collect(void *arg, const void *data, unsigned long size)
{
	struct output *o = arg;

	o->size += size;
	verity_update(&o->v, data, size);
	return o->size > 3000000 ? -EPIPE : 0;
}

static int read_back(const struct cairn_store *s, const struct cairn_digest *d, size_t *ret_size)
{
	struct output o = {0};
	struct cairn_digest got[VERITY_ALGS_MAX];
	struct cairn_error err;
	int r;

	assert_int_equal(verity_init(&o.v, CAIRN_ALG_BIT(d->alg)), 0);
	r = store_read_object(s, path_of(d), d, collect, &o, &err);
	verity_final(&o.v, got);
	verity_fini(&o.v);
	*ret_size = o.size;
	if (!r)
		assert_memory_equal(&got[0], d, sizeof(*d));
	if (r == -EILSEQ)
		assert_int_equal(err.kind, CAIRN_ERROR_DIGEST);
	return r;
}

static void test_read_object(void **state)
{
	static const size_t sizes[] = {1, 4096, 1 << 20, (1 << 20) + 1, 2500000};
	const struct place *p = *state;
	struct cairn_store *s = open_store(p->path, CAIRN_STORE_CREATE);
	char *data = malloc(4000000);
	struct cairn_digest d;
	size_t size;
	int fd;

	for (int i = 0; i < 4000000; i++)
		data[i] = (char)(i * 7 >> 3);
	assert_int_equal(store_begin(s, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		d = digest_of(data, sizes[i], CAIRN_SHA256);
		assert_int_equal(store_put(s, &d, data, sizes[i], NULL), 1);
		assert_int_equal(read_back(s, &d, &size), 0);
		assert_int_equal(size, sizes[i]);

		/* One bit, in the last byte: not one byte comes out. */
		fd = openat(s->objects, path_of(&d), O_RDWR);
		if (fd < 0)
			continue; /* the kernel does not let anybody change it */
		data[sizes[i] - 1] ^= 1;
		assert_int_equal(pwrite_all(fd, data, sizes[i], 0), 0);
		data[sizes[i] - 1] ^= 1;
		close(fd);
		assert_int_equal(read_back(s, &d, &size), -EILSEQ);
		assert_int_equal(size, 0);
	}

	/* What the sink says is what comes back. */
	d = digest_of(data, 4000000, CAIRN_SHA256);
	assert_int_equal(store_put(s, &d, data, 4000000, NULL), 1);
	assert_int_equal(read_back(s, &d, &size), -EPIPE);
	d.bytes[0] ^= 1;
	assert_int_equal(read_back(s, &d, &size), -ENOENT);
	free(data);
	store_close(s);
}

/* --- write-back beside the work -------------------------------------------------------------- */

#define MANY 300

static void *add_many(void *arg)
{
	struct cairn_store *s = arg;

	for (int i = 0; i < MANY; i++)
		early_add(&s->early, s->objects, 16 << 20);
	return NULL;
}

/* One at a time, whoever asks; and what comes together meanwhile is not forgotten. */
static void test_early(void **state)
{
	struct place *p = *state;
	struct cairn_store *s = open_store(p->path, CAIRN_STORE_CREATE);
	pthread_t threads[4];

	assert_int_equal(store_begin(s, NULL), 0);
	early_add(&s->early, s->objects, 1000);
	assert_false(s->early.started);
	early_add(&s->early, s->objects, 1u << 30);
	assert_true(s->early.started);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_many, s), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(store_sync(s, NULL), 0);
	store_close(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_create),      TEST(test_recognise),   TEST(test_algorithm),
		TEST(test_put),         TEST(test_put_sha512),  TEST(test_replace),
		TEST(test_commit),      TEST(test_no_space),    TEST(test_pending_named),
		TEST(test_open_object), TEST(test_read_object), TEST(test_init),
		TEST(test_hostile),     TEST(test_early),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
