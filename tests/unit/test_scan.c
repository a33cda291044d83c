/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Scans of directories made for the purpose: facts, hard links, contents, and what changes meanwhile. Long, because it
 * is one function's answers to all that a directory can be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "digest/verity.h"
#include "scan/scan.h"
#include "sys/io.h"
#include "tree/tree.h"

struct place {
	char path[64];
	int fd;
};

static int setup_in(void **state, const char *where)
{
	struct place *p = calloc(1, sizeof(*p));

	snprintf(p->path, sizeof(p->path), "%s/cairn-test-scan-XXXXXX", where);
	if (!mkdtemp(p->path))
		return -1;
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY);
	*state = p;
	return 0;
}

static int setup(void **state)
{
	return setup_in(state, "/var/tmp");
}

/* For trees of many directories, which a disk may take long to remove. */
static int setup_memory(void **state)
{
	return setup_in(state, access("/dev/shm", W_OK) ? "/var/tmp" : "/dev/shm");
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

static void add_file(const struct place *p, const char *name, const void *data, size_t size)
{
	int fd = openat(p->fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, data, size), 0);
	close(fd);
}

static void add_directory(const struct place *p, const char *name)
{
	assert_int_equal(mkdirat(p->fd, name, 0755), 0);
}

static void add_link(const struct place *p, const char *old, const char *new)
{
	assert_int_equal(linkat(p->fd, old, p->fd, new, 0), 0);
}

static int scan_with(const struct place *p, const struct cairn_scan_options *o, struct tree **ret,
		     struct cairn_error *err)
{
	return scan_directory(AT_FDCWD, p->path, o, NULL, NULL, ret, NULL, err);
}

static struct tree *scan(const struct place *p, unsigned int flags, unsigned int jobs)
{
	const struct cairn_scan_options o = {.flags = flags, .jobs = jobs};
	struct cairn_error err;
	struct tree *t = NULL;

	if (scan_with(p, &o, &t, &err) < 0)
		fail_msg("%s", err.text);
	return t;
}

static const struct node *at(const struct tree *t, const char *path)
{
	const struct node *n = tree_lookup(t, path, strlen(path), NULL);

	if (!n)
		fail_msg("%s is not in the tree", path);
	return n;
}

/* --- facts ----------------------------------------------------------------------------------- */

static void test_facts(void **state)
{
	const struct place *p = *state;
	const struct timespec times[2] = {{1, 0}, {1234567890, 123456789}};
	const struct node *n;
	struct tree *t;

	add_directory(p, "d");
	assert_int_equal(fchmodat(p->fd, "d", 01751, 0), 0);
	add_file(p, "empty", "", 0);
	add_file(p, "small", "hello", 5);
	assert_int_equal(fchmodat(p->fd, "small", 04755, 0), 0);
	assert_int_equal(utimensat(p->fd, "small", times, 0), 0);
	assert_int_equal(symlinkat("no/where", p->fd, "d/link"), 0);
	assert_int_equal(mkfifoat(p->fd, "fifo", 0600), 0);

	t = scan(p, 0, 1);
	assert_int_equal(t->nr_entries, 6);
	assert_int_equal(t->nr_inodes, 6);
	assert_int_equal(t->root->mode, S_IFDIR | 0700);
	n = at(t, "/d");
	assert_int_equal(n->mode, S_IFDIR | 01751);
	assert_int_equal(n->size, 0);
	assert_int_equal(n->uid, geteuid());
	n = at(t, "/empty");
	assert_int_equal(n->size, 0);
	assert_int_equal(n->flags, 0);
	n = at(t, "/small");
	assert_int_equal(n->mode, S_IFREG | 04755);
	assert_int_equal(n->nlink, 1);
	assert_int_equal(n->mtime, 1234567890);
	assert_int_equal(n->mtime_nsec, 123456789);
	assert_int_equal(n->flags, NODE_INLINE);
	assert_memory_equal(n->inl.content, "hello", 5);
	n = at(t, "/d/link");
	assert_int_equal(n->size, 8);
	assert_string_equal(n->symlink.target, "no/where");
	assert_int_equal(at(t, "/fifo")->mode, S_IFIFO | 0600);
	tree_free(t);

	t = scan(p, CAIRN_SCAN_USE_EPOCH, 1);
	assert_int_equal(at(t, "/small")->mtime, 0);
	assert_int_equal(at(t, "/small")->mtime_nsec, 0);
	assert_int_equal(t->root->mtime, 0);
	tree_free(t);
}

static void test_names(void **state)
{
	static const char *const names[] = {"a\nb", "\xff\xfe", " ", "-", "\xc3\xa4", "..."};
	const struct place *p = *state;
	char longest[256];
	struct tree *t;

	memset(longest, 'x', 255);
	longest[255] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		add_file(p, names[i], names[i], strlen(names[i]));
	add_file(p, longest, "1", 1);
	t = scan(p, 0, 2);
	assert_int_equal(t->nr_entries, ARRAY_SIZE(names) + 2);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_memory_equal(at(t, names[i])->inl.content, names[i], strlen(names[i]));
	assert_int_equal(at(t, longest)->name_len, 255);
	tree_free(t);
}

static void test_devices(void **state)
{
	const struct place *p = *state;
	struct tree *t;

	if (mknodat(p->fd, "c", S_IFCHR | 0600, makedev(0xabc, 0x12345)) < 0)
		skip();
	assert_int_equal(mknodat(p->fd, "b", S_IFBLK | 0600, makedev(8, 1)), 0);
	assert_int_equal(mknodat(p->fd, "whiteout", S_IFCHR, 0), 0);
	assert_int_equal(mknodat(p->fd, "socket", S_IFSOCK | 0600, 0), 0);
	t = scan(p, 0, 1);
	assert_int_equal(at(t, "/c")->device.rdev, 0x45 | 0xabc << 8 | 0x123 << 20);
	assert_int_equal(at(t, "/b")->device.rdev, 0x801);
	assert_true(node_is_whiteout(at(t, "/whiteout")));
	tree_free(t);
	t = scan(p, CAIRN_SCAN_SKIP_DEVICES, 1);
	assert_int_equal(t->nr_entries, 2);
	assert_int_equal(at(t, "/socket")->mode, S_IFSOCK | 0600);
	tree_free(t);
}

static void assert_xattr(const struct node *n, uint32_t i, const char *name, const char *value)
{
	assert_non_null(n->xattrs);
	assert_true(i < n->xattrs->nr);
	assert_string_equal(n->xattrs->xattr[i]->name, name);
	assert_int_equal(n->xattrs->xattr[i]->value_len, strlen(value));
	assert_memory_equal(n->xattrs->xattr[i]->value, value, strlen(value));
}

static void test_xattrs(void **state)
{
	const struct place *p = *state;
	char path[128], long_name[256], long_value[3000];
	struct tree *t;

	add_file(p, "file", "x", 1);
	add_file(p, "plain", "x", 1);
	assert_int_equal(symlinkat("x", p->fd, "link"), 0);
	snprintf(path, sizeof(path), "%s/file", p->path);
	if (setxattr(path, "user.b", "2", 1, 0) < 0)
		skip();
	assert_int_equal(setxattr(path, "user.a", "", 0, 0), 0);
	assert_int_equal(setxattr(p->path, "user.root", "r", 1, 0), 0);
	t = scan(p, 0, 1);
	assert_int_equal(at(t, "/file")->xattrs->nr, 2);
	assert_xattr(at(t, "/file"), 0, "user.a", "");
	assert_xattr(at(t, "/file"), 1, "user.b", "2");
	assert_xattr(t->root, 0, "user.root", "r");
	assert_null(at(t, "/plain")->xattrs);
	assert_null(at(t, "/link")->xattrs);
	tree_free(t);
	t = scan(p, CAIRN_SCAN_SKIP_XATTRS, 1);
	assert_null(at(t, "/file")->xattrs);
	assert_null(t->root->xattrs);
	tree_free(t);

	/* More than fits at the first try: names, and a value. */
	memset(long_name, 'n', sizeof(long_name));
	memcpy(long_name, "user.", 5);
	long_name[255] = '\0';
	memset(long_value, 'v', sizeof(long_value));
	long_value[sizeof(long_value) - 1] = '\0';
	assert_int_equal(setxattr(path, long_name, "n", 1, 0), 0);
	assert_int_equal(setxattr(path, "user.c", long_value, sizeof(long_value) - 1, 0), 0);
	t = scan(p, 0, 1);
	assert_int_equal(at(t, "/file")->xattrs->nr, 4);
	assert_xattr(at(t, "/file"), 2, "user.c", long_value);
	assert_xattr(at(t, "/file"), 3, long_name, "n");
	tree_free(t);

	/* Those of a link are its own. */
	snprintf(path, sizeof(path), "%s/link", p->path);
	if (lsetxattr(path, "trusted.t", "t", 1, 0) < 0)
		skip();
	t = scan(p, 0, 1);
	assert_xattr(at(t, "/link"), 0, "trusted.t", "t");
	tree_free(t);
	t = scan(p, CAIRN_SCAN_USER_XATTRS, 1);
	assert_null(at(t, "/link")->xattrs);
	assert_int_equal(at(t, "/file")->xattrs->nr, 4);
	tree_free(t);
}

/* --- contents -------------------------------------------------------------------------------- */

/* Every way of reading, and the sizes at their borders. */
static void test_contents(void **state)
{
	static const size_t sizes[] = {64,     65,     4096,    4097,    131072, 262144,
				       262145, 524288, 4194304, 4194305, 5000000};
	const struct cairn_scan_options both = {.algs = CAIRN_ALG_BIT(CAIRN_SHA256) |
							CAIRN_ALG_BIT(CAIRN_SHA512)};
	const struct place *p = *state;
	char *data = malloc(5000000);
	struct cairn_scan_result res;
	struct tree *t;
	uint64_t bytes = 0;

	for (int i = 0; i < 5000000; i++)
		data[i] = (char)(i * 31 >> 4);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char name[32];

		snprintf(name, sizeof(name), "%zu", sizes[i]);
		add_file(p, name, data, sizes[i]);
		bytes += sizes[i];
	}
	assert_int_equal(scan_directory(AT_FDCWD, p->path, &both, NULL, NULL, &t, &res, NULL), 0);
	assert_int_equal(res.files, ARRAY_SIZE(sizes));
	assert_int_equal(res.bytes, bytes);
	assert_int_equal(t->algs, both.algs);
	assert_int_equal(at(t, "/64")->flags, NODE_INLINE);
	for (size_t i = 1; i < ARRAY_SIZE(sizes); i++) {
		struct cairn_digest d[VERITY_ALGS_MAX];
		const struct node *n;
		char name[32];

		snprintf(name, sizeof(name), "%zu", sizes[i]);
		n = at(t, name);
		assert_int_equal(n->flags, NODE_OBJECT_PATH | NODE_SHA256 | NODE_SHA512);
		verity_digest_data(data, sizes[i], both.algs, d);
		assert_memory_equal(node_digest(n, CAIRN_SHA256), d[0].bytes, 32);
		assert_memory_equal(node_digest(n, CAIRN_SHA512), d[1].bytes, 64);
	}
	tree_free(t);
	free(data);
}

/* --- hard links ------------------------------------------------------------------------------ */

static void test_hard_links(void **state)
{
	const struct place *p = *state;
	char content[100] = "content";
	struct tree *t;

	/* Depth first, "a/z" comes before "a.b" does, and "b" before "b0". */
	add_directory(p, "a");
	add_directory(p, "b");
	add_file(p, "b0", content, sizeof(content));
	add_link(p, "b0", "a/z");
	add_link(p, "b0", "b/x");
	add_link(p, "b0", "a.b");
	add_file(p, "outside", "1", 1);
	assert_int_equal(symlinkat("t", p->fd, "l2"), 0);
	add_link(p, "l2", "l1");

	for (unsigned int jobs = 1; jobs < 4; jobs++) {
		t = scan(p, 0, jobs);
		assert_int_equal(t->nr_entries, 10);
		assert_int_equal(t->nr_inodes, 6);
		assert_int_equal(at(t, "/a/z")->nlink, 4);
		assert_non_null(node_digest(at(t, "/a/z"), CAIRN_SHA256));
		assert_ptr_equal(node_inode(at(t, "/b0")), at(t, "/a/z"));
		assert_ptr_equal(node_inode(at(t, "/b/x")), at(t, "/a/z"));
		assert_ptr_equal(node_inode(at(t, "/a.b")), at(t, "/a/z"));
		assert_int_equal(at(t, "/l1")->nlink, 2);
		assert_string_equal(at(t, "/l1")->symlink.target, "t");
		assert_ptr_equal(node_inode(at(t, "/l2")), at(t, "/l1"));
		tree_free(t);
	}

	t = scan(p, CAIRN_SCAN_SPLIT_HARDLINKS, 2);
	assert_int_equal(t->nr_inodes, 10);
	assert_int_equal(at(t, "/b0")->nlink, 1);
	assert_non_null(node_digest(at(t, "/b0"), CAIRN_SHA256));
	tree_free(t);
}

/* A name outside of the tree does not count. */
static void test_hard_link_outside(void **state)
{
	const struct place *p = *state;
	const struct place below = {.path = "", .fd = p->fd};
	struct place sub = below;
	struct tree *t;

	add_directory(p, "sub");
	add_file(p, "sub/file", "1", 1);
	add_link(p, "sub/file", "file");
	snprintf(sub.path, sizeof(sub.path), "%.50s/sub", p->path);
	t = scan(&sub, 0, 1);
	assert_int_equal(at(t, "/file")->nlink, 1);
	assert_int_equal(t->nr_inodes, 2);
	tree_free(t);
}

/* --- shapes ---------------------------------------------------------------------------------- */

static void assert_same_trees(const struct tree *a, const struct tree *b)
{
	assert_int_equal(a->nr_entries, b->nr_entries);
	assert_int_equal(a->nr_inodes, b->nr_inodes);
	for (uint32_t i = 0; i < a->nr_entries; i++) {
		const struct node *n = a->entries[i];
		const struct node *m = b->entries[i];

		assert_string_equal(n->name, m->name);
		assert_int_equal(n->flags, m->flags);
		if (node_is_link(n)) {
			assert_int_equal(n->link.target->index, m->link.target->index);
			continue;
		}
		assert_int_equal(n->mode, m->mode);
		assert_int_equal(n->size, m->size);
		assert_int_equal(n->mtime, m->mtime);
		assert_int_equal(n->nlink, m->nlink);
		if (node_is_external(n))
			assert_memory_equal(node_digest(n, CAIRN_SHA256),
					    node_digest(m, CAIRN_SHA256), 32);
		if (n->flags & NODE_INLINE)
			assert_memory_equal(n->inl.content, m->inl.content, n->size);
	}
}

/* Wide and narrow directories, more entries than one task has, links between them. */
static void test_jobs(void **state)
{
	const struct place *p = *state;
	struct tree *one, *many;
	char name[64], content[200];

	for (int d = 0; d < 12; d++) {
		snprintf(name, sizeof(name), "%x", d * 5 % 12);
		add_directory(p, name);
		for (int i = 0; i < (d % 3 ? 20 : 700); i++) {
			size_t len = (size_t)snprintf(content, sizeof(content), "%*d", i % 150 + 1,
						      d * i);

			snprintf(name, sizeof(name), "%x/%d", d * 5 % 12, i * 7919 % 1000);
			add_file(p, name, content, len);
		}
	}
	for (int i = 0; i < 100; i++) {
		char old[64];

		snprintf(old, sizeof(old), "%x/%d", i % 12, i % 20 * 7919 % 1000);
		snprintf(name, sizeof(name), "%x/link%d", i * 7 % 12, i);
		add_link(p, old, name);
	}

	one = scan(p, 0, 1);
	for (unsigned int jobs = 2; jobs < 10; jobs++) {
		many = scan(p, 0, jobs);
		assert_same_trees(one, many);
		tree_free(many);
	}
	tree_free(one);
}

/* Deeper than any path, with something to come back up to at every level. */
static void test_deep(void **state)
{
	const struct place *p = *state;
	const int depth = 3000;
	struct tree *t;
	const struct node *n;
	int fd = dup(p->fd);
	uint32_t nr = 1;

	for (int i = 0; i < depth; i++) {
		int below;

		assert_int_equal(mkdirat(fd, "d", 0755), 0);
		assert_int_equal(mkdirat(fd, i & 1 ? "a" : "z", 0755), 0);
		below = openat(fd, "d", O_RDONLY | O_DIRECTORY);
		assert_true(below >= 0);
		close(fd);
		fd = below;
		nr += 2;
	}
	close(fd);

	for (unsigned int jobs = 1; jobs < 3; jobs++) {
		t = scan(p, 0, jobs);
		assert_int_equal(t->nr_entries, nr);
		n = t->entries[nr - 1];
		assert_int_equal(node_path_len(n), 2 * depth);
		tree_free(t);
	}
}

/* --- failures -------------------------------------------------------------------------------- */

static void assert_fails(const struct place *p, int code, const char *text)
{
	for (unsigned int jobs = 1; jobs < 4; jobs++) {
		const struct cairn_scan_options o = {.jobs = jobs};
		struct cairn_error err;
		struct tree *t = NULL;

		assert_int_equal(scan_with(p, &o, &t, &err), code);
		assert_null(t);
		assert_int_equal(err.code, code);
		assert_string_equal(err.text, text);
	}
}

static void test_root(void **state)
{
	const struct place *p = *state;
	struct place other = *p;
	char text[256];
	struct tree *t;

	snprintf(other.path, sizeof(other.path), "%.50s/no", p->path);
	snprintf(text, sizeof(text), "open %s: No such file or directory", other.path);
	assert_fails(&other, -ENOENT, text);
	add_file(p, "no", "", 0);
	snprintf(text, sizeof(text), "open %s: Not a directory", other.path);
	assert_fails(&other, -ENOTDIR, text);
	unlinkat(p->fd, "no", 0);
	assert_int_equal(symlinkat(".", p->fd, "no"), 0);
	snprintf(text, sizeof(text), "open %s: a symbolic link, which is not followed", other.path);
	assert_fails(&other, -ENOTDIR, text);

	/* Below a descriptor, whatever the working directory is. */
	add_directory(p, "d");
	assert_int_equal(scan_directory(p->fd, "d", &(struct cairn_scan_options){0}, NULL, NULL, &t,
					NULL, NULL),
			 0);
	tree_free(t);
}

/* As another user; two that fail, and the one that comes first in path order is told. */
static void test_unreadable(void **state)
{
	const struct place *p = *state;
	char text[256];

	if (geteuid())
		skip();
	add_directory(p, "m");
	for (int i = 0; i < 600; i++) {
		char name[32];

		snprintf(name, sizeof(name), "m/%03d", i);
		add_file(p, name, "x", 1);
	}
	add_file(p, "z", "x", 1);
	assert_int_equal(fchown(p->fd, 65534, 65534), 0);
	assert_int_equal(fchmodat(p->fd, "m/500", 0, 0), 0);
	assert_int_equal(fchmodat(p->fd, "m/311", 0, 0), 0);
	assert_int_equal(fchmodat(p->fd, "z", 0, 0), 0);
	for (int i = 0; i < 600; i++) {
		char name[32];

		snprintf(name, sizeof(name), "m/%03d", i);
		if (i != 500 && i != 311)
			assert_int_equal(fchmodat(p->fd, name, 0644, 0), 0);
	}

	assert_int_equal(seteuid(65534), 0);
	snprintf(text, sizeof(text), "open %s/m/311: Permission denied", p->path);
	assert_fails(p, -EACCES, text);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(fchmodat(p->fd, "m", 0, 0), 0);
	assert_int_equal(seteuid(65534), 0);
	snprintf(text, sizeof(text), "open %s/m: Permission denied", p->path);
	assert_fails(p, -EACCES, text);
	assert_int_equal(seteuid(0), 0);
}

/* Somebody changes a file all the time. */
struct nuisance {
	int fd;
	bool resize;
	atomic_bool stop;
};

static void *annoy(void *arg)
{
	struct nuisance *n = arg;

	for (unsigned int i = 0; !atomic_load(&n->stop); i++) {
		if (n->resize)
			assert_int_equal(ftruncate(n->fd, 3000000 + i % 2 * 1000000), 0);
		else
			assert_int_equal(pwrite(n->fd, &i, sizeof(i), i * 4096 % 4000000),
					 sizeof(i));
	}
	return NULL;
}

/* Most scans meet a change; one that finds none is right, too. */
static void test_changes(void **state)
{
	const struct cairn_scan_options o = {0};
	const struct place *p = *state;
	char *data = calloc(1, 4000000);
	char text[256];

	add_file(p, "file", data, 4000000);
	snprintf(text, sizeof(text), "%s/file: changed while it was read", p->path);
	for (int resize = 0; resize < 2; resize++) {
		struct nuisance n = {.fd = openat(p->fd, "file", O_WRONLY), .resize = resize};
		struct cairn_error err;
		struct tree *t = NULL;
		pthread_t thread;
		int r = 0;

		assert_int_equal(pthread_create(&thread, NULL, annoy, &n), 0);
		for (int i = 0; !r && i < 1000; i++) {
			r = scan_with(p, &o, &t, &err);
			if (!r)
				tree_free(t);
		}
		atomic_store(&n.stop, true);
		pthread_join(thread, NULL);
		close(n.fd);
		assert_int_equal(r, -EAGAIN);
		assert_string_equal(err.text, text);
	}
	free(data);
}

/* A directory is exchanged for a link to another all the time: the scan finds the one, or says that
 * something changed, and never goes through the link. */
struct exchanger {
	int dirfd;
	atomic_bool stop;
};

static void *exchange(void *arg)
{
	struct exchanger *e = arg;

	while (!atomic_load(&e->stop))
		assert_int_equal(renameat2(e->dirfd, "d", e->dirfd, "link", RENAME_EXCHANGE), 0);
	return NULL;
}

static void test_swap(void **state)
{
	const struct place *p = *state;
	struct exchanger e = {.dirfd = p->fd};
	const struct cairn_scan_options o = {.jobs = 2};
	struct cairn_error err;
	pthread_t thread;

	add_directory(p, "d");
	add_directory(p, "d/inside");
	assert_int_equal(symlinkat("/usr/include", p->fd, "link"), 0);
	assert_int_equal(pthread_create(&thread, NULL, exchange, &e), 0);
	for (int i = 0; i < 300; i++) {
		struct tree *t = NULL;
		int r = scan_with(p, &o, &t, &err);

		if (r < 0) {
			assert_int_equal(r, -EAGAIN);
			continue;
		}
		assert_true(t->nr_entries <= 4);
		tree_free(t);
	}
	atomic_store(&e.stop, true);
	pthread_join(thread, NULL);
}

static int cancel(void *arg, unsigned long long files, unsigned long long bytes,
		  unsigned long long total_files, unsigned long long total_bytes)
{
	int *calls = arg;

	(void)files;
	(void)bytes;
	(void)total_files;
	(void)total_bytes;
	return ++*calls == 2;
}

static void test_cancel(void **state)
{
	const struct place *p = *state;
	int calls = 0;
	const struct cairn_scan_options o = {.progress = cancel, .progress_arg = &calls};
	struct cairn_error err;
	struct tree *t = NULL;

	add_directory(p, "a");
	add_directory(p, "b");
	add_file(p, "a/1", "1", 1);
	add_file(p, "b/2", "1", 1);
	assert_int_equal(scan_with(p, &o, &t, &err), -ECANCELED);
	assert_int_equal(calls, 2);
	assert_null(t);
}

/* --- where contents go ----------------------------------------------------------------------- */

#define SINK_FILES 600

/* A sink that counts, and takes nothing that it was not told of. */
struct told {
	pthread_mutex_t lock;
	uint64_t keys[SINK_FILES + 1];
	size_t nr, nr_calls, nr_put;
};

static int told_keep(struct cairn_store *store, const uint64_t *keys, size_t nr,
		     struct cairn_error *err)
{
	struct told *told = (struct told *)store;

	(void)err;
	pthread_mutex_lock(&told->lock);
	assert_true(told->nr + nr <= ARRAY_SIZE(told->keys));
	memcpy(told->keys + told->nr, keys, nr * sizeof(*keys));
	told->nr += nr;
	told->nr_calls++;
	pthread_mutex_unlock(&told->lock);
	return 0;
}

static int told_put(struct cairn_store *store, const struct cairn_digest *digest, const void *data,
		    size_t size, struct cairn_error *err)
{
	struct told *told = (struct told *)store;
	struct cairn_digest d[VERITY_ALGS_MAX];
	bool found = false;

	assert_int_equal(verity_digest_data(data, size, CAIRN_ALG_BIT(CAIRN_SHA256), d), 1);
	assert_memory_equal(d, digest, sizeof(*digest));
	pthread_mutex_lock(&told->lock);
	for (size_t i = 0; i < told->nr; i++)
		found = found || !memcmp(&told->keys[i], digest->bytes, sizeof(told->keys[i]));
	told->nr_put += found;
	pthread_mutex_unlock(&told->lock);
	return found ? 1 : error_set(err, -EPERM, CAIRN_ERROR_SYSTEM, "not told of it");
}

static int told_begin(const struct cairn_store *store, struct pending *ret, struct cairn_error *err)
{
	(void)store;
	(void)ret;
	return error_set(err, -EPERM, CAIRN_ERROR_SYSTEM, "for large files only");
}

static int refuse_keep(struct cairn_store *store, const uint64_t *keys, size_t nr,
		       struct cairn_error *err)
{
	(void)store;
	(void)keys;
	(void)nr;
	return error_set(err, -ENOSPC, CAIRN_ERROR_SYSTEM, "no room for notes");
}

/* Small files together, and one that is held in memory by itself. */
static void test_sink(void **state)
{
	const struct place *p = *state;
	static uint8_t large[200000];
	struct told told = {.lock = PTHREAD_MUTEX_INITIALIZER};
	struct scan_sink sink = {
		.store = (struct cairn_store *)&told,
		.alg = CAIRN_SHA256,
		.dirfd = open("/", O_RDONLY | O_DIRECTORY),
		.empty = true,
		.put = told_put,
		.keep = told_keep,
		.begin = told_begin,
	};
	const struct cairn_scan_options o = {.jobs = 2};
	struct cairn_scan_result res;
	struct cairn_error err;
	struct tree *t = NULL;
	char text[100], name[12];

	for (int i = 0; i < SINK_FILES; i++) {
		snprintf(text, sizeof(text), "%-99d", i);
		snprintf(name, sizeof(name), "%d", i);
		add_file(p, name, text, sizeof(text));
	}
	add_file(p, "large", large, sizeof(large));
	if (scan_directory(AT_FDCWD, p->path, &o, &sink, NULL, &t, &res, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(told.nr, SINK_FILES + 1);
	assert_int_equal(told.nr_put, SINK_FILES + 1);
	assert_true(told.nr_calls < SINK_FILES / 10);
	assert_int_equal(res.new_objects, SINK_FILES + 1);
	tree_free(t);

	t = NULL;
	sink.keep = refuse_keep;
	assert_int_equal(scan_directory(AT_FDCWD, p->path, &o, &sink, NULL, &t, &res, &err),
			 -ENOSPC);
	assert_non_null(strstr(err.text, "no room for notes"));
	assert_null(t);
	close(sink.dirfd);
}

int main(void)
{
#define TEST(name)           cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_IN_MEMORY(name) cmocka_unit_test_setup_teardown(name, setup_memory, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_facts),
		TEST(test_names),
		TEST(test_devices),
		TEST(test_xattrs),
		TEST(test_contents),
		TEST(test_hard_links),
		TEST(test_hard_link_outside),
		TEST_IN_MEMORY(test_jobs),
		TEST_IN_MEMORY(test_deep),
		TEST(test_root),
		TEST(test_unreadable),
		TEST(test_changes),
		TEST(test_swap),
		TEST(test_cancel),
		TEST_IN_MEMORY(test_sink),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
