/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The tree room: order, look-up, hard links, xattrs, differences. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tree/diff.h"
#include "tree/objects.h"
#include "tree/tree.h"

static struct node *add(struct tree_shard *s, struct node *parent, const char *name, uint32_t mode)
{
	struct node *n = tree_add(s, parent, name, strlen(name));

	assert_non_null(n);
	n->mode = (uint16_t)mode;
	n->nlink = 1;
	return n;
}

static void begin(struct tree **t, struct tree_shard *s)
{
	assert_int_equal(tree_new(t), 0);
	assert_int_equal(tree_shard_init(s), 0);
	(*t)->root = add(s, NULL, "", S_IFDIR | 0755);
}

static void finish(struct tree *t, struct tree_shard *s)
{
	assert_int_equal(tree_index(t, s, 1, NULL, NULL), 0);
	assert_int_equal(tree_seal(t, false, NULL), 0);
	tree_shard_fini(s);
}

static void test_order(void **state)
{
	/* Bytes are unsigned, and a name comes before those that it begins. */
	static const char *const sorted[] = {" ", "!",    "-",        ".a",        "A",
					     "B", "a",    "aaaaaaaa", "aaaaaaaab", "ab",
					     "b", "\x7f", "\x80",     "\xff"};
	struct tree_shard s;
	struct tree *t;

	(void)state;
	begin(&t, &s);
	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++)
		add(&s, t->root, sorted[(i * 5 + 3) % ARRAY_SIZE(sorted)], S_IFREG | 0644);
	finish(t, &s);
	assert_int_equal(t->nr_entries, 1 + ARRAY_SIZE(sorted));
	for (uint32_t i = 0; i < ARRAY_SIZE(sorted); i++) {
		uint32_t hint = (i * 7) % t->nr_entries;
		struct node *n = tree_child(t, t->root, sorted[i], strlen(sorted[i]), &hint);

		assert_string_equal(t->entries[1 + i]->name, sorted[i]);
		assert_int_equal(t->entries[1 + i]->index, 1 + i);
		assert_ptr_equal(n, t->entries[1 + i]);
	}
	assert_null(tree_child(t, t->root, "aa", 2, NULL));
	tree_free(t);
}

/* Enough names for counting by bytes, with long common beginnings. */
static void test_many(void **state)
{
	enum { NR = 5000 };
	struct tree_shard s;
	struct tree *t;
	char name[64];

	(void)state;
	begin(&t, &s);
	for (unsigned int i = 0; i < NR; i++) {
		snprintf(name, sizeof(name), "a-long-common-beginning-%04x", i * 7919u % NR);
		add(&s, t->root, name, S_IFREG | 0644);
	}
	finish(t, &s);
	for (unsigned int i = 0; i < NR; i++) {
		snprintf(name, sizeof(name), "a-long-common-beginning-%04x", i);
		assert_string_equal(t->entries[1 + i]->name, name);
	}
	tree_free(t);
}

static void test_duplicate(void **state)
{
	struct cairn_error err = {0};
	struct node *second, *found = NULL;
	struct tree_shard s;
	struct tree *t;

	(void)state;
	begin(&t, &s);
	add(&s, t->root, "b", S_IFREG | 0644);
	add(&s, t->root, "a", S_IFREG | 0644);
	second = add(&s, t->root, "b", S_IFREG | 0600);
	assert_int_equal(tree_index(t, &s, 1, &found, &err), -EEXIST);
	assert_ptr_equal(found, second);
	assert_string_equal(err.text, "/b: the name is there twice");
	tree_shard_fini(&s);
	tree_free(t);
}

static void link_to(struct node *n, struct node *target)
{
	n->flags |= NODE_HARDLINK;
	n->link.target = target;
}

static void test_links(void **state)
{
	struct cairn_error err = {0};
	struct node *file, *a, *b;
	struct tree_shard s;
	struct tree *t;

	(void)state;
	begin(&t, &s);
	file = add(&s, t->root, "file", S_IFREG | 0644);
	a = add(&s, t->root, "a", S_IFREG | 0644);
	b = add(&s, t->root, "b", S_IFREG | 0644);
	link_to(a, b);
	link_to(b, file);
	finish(t, &s);
	assert_ptr_equal(node_inode(a), file);
	assert_ptr_equal(node_inode(b), file);
	assert_int_equal(t->nr_inodes, 2);
	tree_free(t);

	begin(&t, &s);
	a = add(&s, t->root, "a", S_IFREG | 0644);
	b = add(&s, t->root, "b", S_IFREG | 0644);
	link_to(a, b);
	link_to(b, a);
	assert_int_equal(tree_index(t, &s, 1, NULL, &err), 0);
	assert_int_equal(tree_seal(t, false, &err), -ELOOP);
	assert_string_equal(err.text, "/a: hard links lead in a circle");
	tree_shard_fini(&s);
	tree_free(t);

	begin(&t, &s);
	a = add(&s, t->root, "a", S_IFREG | 0644);
	b = add(&s, t->root, "d", S_IFDIR | 0755);
	link_to(a, b);
	assert_int_equal(tree_index(t, &s, 1, NULL, &err), 0);
	assert_int_equal(tree_seal(t, false, &err), -EINVAL);
	assert_int_equal(tree_seal(t, true, &err), 0);
	tree_shard_fini(&s);
	tree_free(t);
}

#define INPUT(n, v)                                                                                \
	{                                                                                          \
		.name = (n), .name_len = (uint32_t)strlen(n), .value = (v),                        \
		.value_len = (uint32_t)strlen(v)                                                   \
	}

static void test_xattrs(void **state)
{
	struct xattr_input one[] = {INPUT("user.b", "2"), INPUT("user.a", "1"),
				    INPUT("user.b", "3")};
	struct xattr_input two[] = {INPUT("user.a", "1"), INPUT("user.b", "3")};
	const struct xattr_list *a, *b;
	struct tree_shard s;

	(void)state;
	assert_int_equal(tree_shard_init(&s), 0);
	assert_int_equal(tree_xattrs(&s, one, ARRAY_SIZE(one), &a), 0);
	assert_int_equal(tree_xattrs(&s, two, ARRAY_SIZE(two), &b), 0);
	/* Order does not matter, the later of two wins, and equal lists are one. */
	assert_ptr_equal(a, b);
	assert_int_equal(a->nr, 2);
	assert_string_equal(a->xattr[1]->value, "3");
	tree_shard_fini(&s);
}

static void test_xattr_limits(void **state)
{
	static char name[300], value[40000];
	const struct {
		size_t name_len, value_len;
		int r;
	} cases[] = {
		{0, 1, -ERANGE},           /* no name */
		{1, 0, 0},                 /* the shortest */
		{255, 0, 0},               /* the longest name */
		{256, 0, -ERANGE},         /* one more */
		{10, 32767 - 29, 0},       /* 12 + 7 + 10 + value */
		{10, 32767 - 28, -ERANGE}, /* one more */
		{10, 65536, -EINVAL},      /* 16 bits */
	};
	const struct xattr_list *l;
	struct tree_shard s;

	(void)state;
	memset(name, 'n', sizeof(name));
	assert_int_equal(tree_shard_init(&s), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct xattr_input in = {.name = name,
					 .name_len = (uint32_t)cases[i].name_len,
					 .value = value,
					 .value_len = (uint32_t)cases[i].value_len};

		assert_int_equal(tree_xattrs(&s, &in, 1, &l), cases[i].r);
	}
	tree_shard_fini(&s);
}

/* Setting a name again gives back what it had cost (image-format §5.5). */
static void test_xattr_replaced(void **state)
{
	static char value[20000];
	struct xattr_input same[] = {
		{.name = "user.a", .name_len = 6, .value = value, .value_len = 20000},
		{.name = "user.a", .name_len = 6, .value = value, .value_len = 20000}};
	struct xattr_input other[] = {
		{.name = "user.a", .name_len = 6, .value = value, .value_len = 20000},
		{.name = "user.b", .name_len = 6, .value = value, .value_len = 20000},
		{.name = "user.b", .name_len = 6, .value = value, .value_len = 1}};
	const struct xattr_list *l;
	struct tree_shard s;

	(void)state;
	assert_int_equal(tree_shard_init(&s), 0);
	assert_int_equal(tree_xattrs(&s, same, 2, &l), 0);
	assert_int_equal(tree_xattrs(&s, other, 3, &l), -ERANGE);
	tree_shard_fini(&s);
}

/* Two shards, each with its own tables, give one set of pairs and lists. */
static void test_shards(void **state)
{
	struct xattr_input in[] = {INPUT("user.a", "1")};
	struct tree_shard s[2];
	struct node *dir, *a, *b;
	struct tree *t;

	(void)state;
	assert_int_equal(tree_shard_init(&s[1]), 0);
	begin(&t, &s[0]);
	dir = add(&s[0], t->root, "dir", S_IFDIR | 0755);
	a = add(&s[0], t->root, "a", S_IFREG | 0644);
	b = add(&s[1], dir, "b", S_IFREG | 0644);
	assert_int_equal(tree_xattrs(&s[0], in, 1, &a->xattrs), 0);
	assert_int_equal(tree_xattrs(&s[1], in, 1, &b->xattrs), 0);
	assert_ptr_not_equal(a->xattrs, b->xattrs);
	assert_int_equal(tree_index(t, s, 2, NULL, NULL), 0);
	assert_int_equal(tree_seal(t, false, NULL), 0);
	assert_ptr_equal(a->xattrs, b->xattrs);
	assert_int_equal(t->nr_lists, 1);
	assert_int_equal(t->nr_xattrs, 1);
	tree_shard_fini(&s[0]);
	tree_shard_fini(&s[1]);
	tree_free(t);
}

static const struct {
	const char *path, *field;
} differences[] = {{"/", "mode"},
		   {"/dir", "entry"},
		   {"/file", "size"},
		   {"/file", "content"},
		   {"/new", "entry"}};

static int note(void *arg, const struct cairn_difference *d)
{
	size_t *at = (size_t *)arg;

	assert_true(*at < ARRAY_SIZE(differences));
	assert_string_equal(d->path, differences[*at].path);
	assert_string_equal(d->field, differences[*at].field);
	(*at)++;
	return 0;
}

static void test_diff(void **state)
{
	struct tree_shard s;
	struct node *dir, *file;
	struct tree *a, *b;
	size_t at = 0;

	(void)state;
	begin(&a, &s);
	dir = add(&s, a->root, "dir", S_IFDIR | 0755);
	add(&s, dir, "below", S_IFREG | 0644);
	file = add(&s, a->root, "file", S_IFREG | 0644);
	file->flags = NODE_INLINE;
	file->inl.content = (const uint8_t *)"abc";
	file->size = 3;
	finish(a, &s);

	begin(&b, &s);
	b->root->mode = S_IFDIR | 0700;
	add(&s, b->root, "file", S_IFREG | 0644);
	add(&s, b->root, "new", S_IFREG | 0644);
	finish(b, &s);

	assert_int_equal(tree_diff(a, b, note, &at), ARRAY_SIZE(differences));
	at = 0;
	assert_int_equal(tree_diff(a, a, note, &at), 0);
	tree_free(a);
	tree_free(b);
}

static void test_walk(void **state)
{
	static const char *const paths[] = {"/", "/a", "/d", "/d/e", "/d/e/f", "/d/g", "/z"};
	struct node *d, *e;
	struct tree_shard s;
	struct tree *t;
	size_t i = 0;
	char path[32];

	(void)state;
	begin(&t, &s);
	d = add(&s, t->root, "d", S_IFDIR | 0755);
	add(&s, t->root, "z", S_IFREG | 0644);
	add(&s, t->root, "a", S_IFREG | 0644);
	add(&s, d, "g", S_IFREG | 0644);
	e = add(&s, d, "e", S_IFDIR | 0755);
	add(&s, e, "f", S_IFREG | 0644);
	finish(t, &s);
	for (const struct node *n = t->root; n; n = tree_next(t, t->root, n), i++) {
		assert_int_equal(node_path_len(n), strlen(paths[i]));
		node_path(n, path);
		assert_string_equal(path, paths[i]);
		assert_ptr_equal(tree_lookup(t, paths[i], strlen(paths[i]), NULL), n);
	}
	assert_int_equal(i, ARRAY_SIZE(paths));
	assert_null(tree_next(t, e, tree_lookup(t, "/d/e/f", 6, NULL)));
	assert_ptr_equal(tree_lookup(t, "d//e/", 5, NULL), e);
	assert_null(tree_lookup(t, "/d/./e", 6, NULL));
	tree_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),          cmocka_unit_test(test_many),
		cmocka_unit_test(test_duplicate),      cmocka_unit_test(test_links),
		cmocka_unit_test(test_xattrs),         cmocka_unit_test(test_xattr_limits),
		cmocka_unit_test(test_xattr_replaced), cmocka_unit_test(test_shards),
		cmocka_unit_test(test_diff),           cmocka_unit_test(test_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
