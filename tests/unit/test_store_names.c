/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Names in a store: the exact links, what is accepted, what is made of what others left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "digest/verity.h"
#include "store/names.h"
#include "tree/tree.h"

static char dir[64];
static struct cairn_store *store;

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/cairn-test-names-XXXXXX");
	return mkdtemp(dir) && !store_open(dir, 0, &store, NULL) && !store_begin(store, NULL) ? 0
											      : -1;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	store_close(store);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void assert_link(const char *path, const char *target)
{
	char text[STORE_TARGET_MAX];
	ssize_t n = readlinkat(store->dirfd, path, text, sizeof(text) - 1);

	assert_true(n >= 0);
	text[n] = '\0';
	assert_string_equal(text, target);
}

#define HEX  "1e2eaa4202d750a41174ee454970b92c1bc2f925b1e35076d8c7d5f56362ba64"
#define TAIL "2eaa4202d750a41174ee454970b92c1bc2f925b1e35076d8c7d5f56362ba64"

static struct cairn_digest id(const char *hex)
{
	struct cairn_digest d;

	assert_int_equal(cairn_digest_from_hex(hex, &d), 0);
	return d;
}

static void test_links(void **state)
{
	const struct cairn_digest d = id(HEX);
	struct cairn_digest e;
	char target[STORE_NAME_MAX + 1];

	(void)state;
	assert_int_equal(store_set_entry(store, STORE_IMAGES, HEX, &d, NULL), 0);
	assert_int_equal(store_set_entry(store, STORE_STREAMS, "oci-layer-sha256:ab", &d, NULL), 0);
	assert_link("images/" HEX, "../objects/1e/" TAIL);
	assert_link("streams/oci-layer-sha256:ab", "../objects/1e/" TAIL);
	assert_int_equal(store_entry(store, STORE_IMAGES, HEX, &e, NULL), 0);
	assert_memory_equal(&d, &e, sizeof(d));
	assert_int_equal(store_entry(store, STORE_IMAGES, "x", &e, NULL), -ENOENT);
	assert_int_equal(store_entry(store, STORE_IMAGES, "../meta.json", &e, NULL), -EINVAL);

	assert_int_equal(store_set_ref(store, STORE_IMAGES, "x", HEX, false, NULL), 0);
	assert_int_equal(store_set_ref(store, STORE_IMAGES, "a/b/c", HEX, false, NULL), 0);
	assert_link("images/refs/x", "../" HEX);
	assert_link("images/refs/a/b/c", "../../../" HEX);
	assert_int_equal(store_set_ref(store, STORE_STREAMS, "oci/a%2Fb", "oci-manifest-sha256:ab",
				       false, NULL),
			 0);
	assert_link("streams/refs/oci/a%2Fb", "../../oci-manifest-sha256:ab");
	assert_int_equal(store_ref(store, STORE_STREAMS, "oci/a%2Fb", target, NULL), 0);
	assert_string_equal(target, "oci-manifest-sha256:ab");
	assert_int_equal(store_ref(store, STORE_IMAGES, "a/b", target, NULL), -EINVAL);
	assert_int_equal(store_ref(store, STORE_IMAGES, "a/d", target, NULL), -ENOENT);
	assert_int_equal(store_ref(store, STORE_IMAGES, "../refs/x", target, NULL), -EINVAL);

	/* Again is no change; elsewhere only when told to. */
	assert_int_equal(store_set_ref(store, STORE_IMAGES, "x", HEX, false, NULL), 0);
	assert_int_equal(store_set_ref(store, STORE_IMAGES, "x", "other", false, NULL), -EEXIST);
	assert_link("images/refs/x", "../" HEX);
	assert_int_equal(store_set_ref(store, STORE_IMAGES, "x", "other", true, NULL), 0);
	assert_link("images/refs/x", "../other");

	/* A name and names below it exclude each other, whatever is told. */
	assert_int_equal(store_set_ref(store, STORE_IMAGES, "a/b", HEX, true, NULL), -EISDIR);
	assert_int_equal(store_set_ref(store, STORE_IMAGES, "x/y", HEX, true, NULL), -ENOTDIR);
}

static void test_drop(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(store_set_ref(store, STORE_IMAGES, "a/b/c", HEX, false, NULL), 0);
	assert_int_equal(store_set_ref(store, STORE_IMAGES, "a/d", HEX, false, NULL), 0);
	assert_int_equal(store_drop_ref(store, STORE_IMAGES, "a/b", NULL), -ENOENT);
	assert_int_equal(store_drop_ref(store, STORE_IMAGES, "a/b/c", NULL), 0);
	assert_int_equal(store_drop_ref(store, STORE_IMAGES, "a/b/c", NULL), -ENOENT);
	assert_int_equal(fstatat(store->dirfd, "images/refs/a/b", &st, 0), -1); /* was empty */
	assert_int_equal(fstatat(store->dirfd, "images/refs/a", &st, 0), 0);
	assert_int_equal(store_drop_ref(store, STORE_IMAGES, "a/d", NULL), 0);
	assert_int_equal(fstatat(store->dirfd, "images/refs/a", &st, 0), -1);
	assert_int_equal(fstatat(store->dirfd, "images/refs", &st, 0), 0);
}

static void test_check_name(void **state)
{
	static const char *const good[] = {"a",  "a/b", "...",         "a b",
					   ".x", "ä/ö", "x@sha256:00", "-"};
	static const char *const bad[] = {"",      "/",         "/a",  "a/",   "a//b",  ".",
					  "..",    "a/..",      "./a", "a\n",  "a\x7f", "a\xff",
					  "ref:x", "sha256:00", HEX,   HEX HEX};
	char name[STORE_REF_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(store_check_name(good[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct cairn_error err;

		assert_int_equal(store_check_name(bad[i], &err), -EINVAL);
		assert_int_equal(err.kind, CAIRN_ERROR_USAGE);
	}
	memset(name, 'x', sizeof(name));
	name[255] = '\0';
	assert_int_equal(store_check_name(name, NULL), 0);
	name[255] = 'x';
	name[256] = '\0';
	assert_int_equal(store_check_name(name, NULL), -EINVAL);

	/* As deep as a name can be. */
	for (size_t i = 0; i < STORE_REF_MAX; i++)
		name[i] = i % 2 ? '/' : 'x';
	name[STORE_REF_MAX - 1] = '\0';
	assert_int_equal(store_set_ref(store, STORE_IMAGES, name, HEX, false, NULL), 0);
	assert_int_equal(store_drop_ref(store, STORE_IMAGES, name, NULL), 0);
}

/* --- together -------------------------------------------------------------------------------- */

static void test_batch(void **state)
{
	const struct cairn_digest d = id(HEX);
	struct names_batch *batch, *copy;
	struct cairn_error err;
	struct stat st;

	(void)state;
	assert_int_equal(names_batch_new(store, &batch), 0);
	assert_int_equal(names_batch_commit(batch, NULL), 0);
	assert_int_equal(names_batch_ref(batch, STORE_IMAGES, "a/b/c", HEX, NULL), 0);
	assert_int_equal(names_batch_ref(batch, STORE_STREAMS, "x", "s", NULL), 0);
	assert_int_equal(names_batch_entry(batch, STORE_STREAMS, "s", &d, NULL), 0);
	assert_int_equal(names_batch_copy(batch, &copy), 0);
	assert_int_equal(names_batch_entry(copy, STORE_IMAGES, HEX, &d, NULL), 0);
	/* What cannot be a name is refused at once, and nothing is there yet. */
	assert_int_equal(names_batch_entry(batch, STORE_STREAMS, "a/b", &d, NULL), -EINVAL);
	assert_int_equal(names_batch_ref(batch, STORE_STREAMS, "../a", "s", NULL), -EINVAL);
	assert_int_equal(fstatat(store->dirfd, "streams", &st, 0), -1);

	assert_int_equal(names_batch_commit(copy, NULL), 0);
	assert_link("streams/s", "../objects/1e/" TAIL);
	assert_link("images/" HEX, "../objects/1e/" TAIL);
	assert_link("images/refs/a/b/c", "../../../" HEX);
	assert_link("streams/refs/x", "../s");
	/* The same again, and a name that is a directory by now. */
	assert_int_equal(names_batch_commit(copy, NULL), 0);
	assert_int_equal(names_batch_ref(batch, STORE_IMAGES, "a/b", HEX, NULL), 0);
	assert_int_equal(names_batch_commit(batch, &err), -EISDIR);
	assert_string_equal(err.text, "a/b: there are names below it");
	names_batch_free(copy);
	names_batch_free(batch);
	names_batch_free(NULL);
}

/* --- lists ----------------------------------------------------------------------------------- */

static char listed[4096];

static int note(void *arg, const struct store_name *name)
{
	(void)arg;
	sprintf(listed + strlen(listed), "%s=%s%s ", name->name, name->target,
		name->problem ? "!" : "");
	return 0;
}

static void test_lists(void **state)
{
	const struct cairn_digest d = id(HEX);

	(void)state;
	*listed = '\0';
	assert_int_equal(store_list_refs(store, STORE_STREAMS, note, NULL, NULL), 0);
	assert_string_equal(listed, ""); /* no such directory yet */

	assert_int_equal(store_set_entry(store, STORE_STREAMS, "b", &d, NULL), 0);
	assert_int_equal(store_set_entry(store, STORE_STREAMS, "a", &d, NULL), 0);
	assert_int_equal(store_set_ref(store, STORE_STREAMS, "x/z", "b", false, NULL), 0);
	assert_int_equal(store_set_ref(store, STORE_STREAMS, "x/y", "gone", false, NULL), 0);
	assert_int_equal(store_set_ref(store, STORE_STREAMS, "w", "a", false, NULL), 0);
	assert_int_equal(symlinkat("../b", store->dirfd, "streams/refs/x/flat"), 0);
	assert_int_equal(symlinkat("../../../b", store->dirfd, "streams/refs/x/deep"), 0);
	assert_int_equal(symlinkat("x", store->dirfd, "streams/refs/loop"), 0);
	assert_int_equal(mknodat(store->dirfd, "streams/refs/pipe", S_IFIFO | 0600, 0), 0);
	assert_int_equal(symlinkat("../objects/1E/" TAIL, store->dirfd, "streams/case"), 0);
	assert_int_equal(symlinkat("../objects/1e/" TAIL "00", store->dirfd, "streams/long"), 0);
	assert_int_equal(symlinkat("objects/1e/" TAIL, store->dirfd, "streams/up"), 0);

	*listed = '\0';
	assert_int_equal(store_list_refs(store, STORE_STREAMS, note, NULL, NULL), 0);
	assert_string_equal(listed, "loop=! pipe=! w=a x/deep=! x/flat=! x/y=gone x/z=b ");
	*listed = '\0';
	assert_int_equal(store_list_entries(store, STORE_STREAMS, note, NULL, NULL), 0);
	assert_string_equal(listed, "a= b= case=! long=! up=! ");
	*listed = '\0';
	assert_int_equal(store_list_entries(store, STORE_IMAGES, note, NULL, NULL), 0);
	assert_string_equal(listed, "");
}

/* A directory of names that is a link leads nowhere. */
static void test_hostile(void **state)
{
	char command[256], target[STORE_NAME_MAX + 1];

	(void)state;
	snprintf(
		command, sizeof(command),
		"cd %s && mkdir -p images/refs out && ln -s ../../out images/refs/a && ln -s ../%s "
		"out/x",
		dir, HEX);
	assert_int_equal(system(command), 0);
	assert_true(store_ref(store, STORE_IMAGES, "a/x", target, NULL) < 0);
	assert_int_equal(store_set_ref(store, STORE_IMAGES, "a/y", HEX, true, NULL), -ENOTDIR);
	assert_int_equal(store_drop_ref(store, STORE_IMAGES, "a/x", NULL), -ENOENT);
	snprintf(command, sizeof(command), "cd %s && test \"$(ls out)\" = x", dir);
	assert_int_equal(system(command), 0);
}

static void test_resolve(void **state)
{
	static const char other[] =
		"1e2eab0000000000000000000000000000000000000000000000000000000000";
	const struct cairn_digest d = id(HEX), e = id(other);
	struct cairn_digest found;

	(void)state;
	assert_int_equal(store_set_entry(store, STORE_IMAGES, HEX, &d, NULL), 0);
	assert_int_equal(store_set_entry(store, STORE_IMAGES, other, &e, NULL), 0);
	assert_int_equal(store_set_ref(store, STORE_IMAGES, "1e2eaa42", other, false, NULL), 0);
	assert_int_equal(store_set_ref(store, STORE_IMAGES, "a/b", HEX, false, NULL), 0);

#define FIND(text) store_resolve(store, text, &found, NULL)
#define IS(d)      assert_memory_equal(&found, &(d), sizeof(found))
	assert_int_equal(FIND(HEX), 0);
	IS(d);
	assert_int_equal(FIND("a/b"), 0);
	IS(d);
	assert_int_equal(FIND("ref:a/b"), 0);
	IS(d);
	assert_int_equal(FIND("1e2eaa42"), 0); /* a reference comes before what begins so */
	IS(e);
	assert_int_equal(FIND("sha256:1e2eaa42"), 0);
	IS(d);
	assert_int_equal(FIND("1e2eaa4202"), 0);
	IS(d);
	assert_int_equal(FIND("1E2EAA4202"), 0);
	IS(d);
	assert_int_equal(FIND("1e2eab"), 0);
	IS(e);
	assert_int_equal(FIND("sha256:1e2ea"), -ENOENT); /* too short to be meant */
	assert_int_equal(FIND("sha512:1e2eaa42"), -ENOENT);
	assert_int_equal(FIND("ref:1e2eab"), -ENOENT);
	assert_int_equal(FIND("a"), -EINVAL); /* a directory of names */
	assert_int_equal(FIND("a/b/c"), -ENOENT);
	assert_int_equal(FIND("../../etc/passwd"), -EINVAL);
	assert_int_equal(FIND(""), -EINVAL);

	/* Two begin alike. */
	assert_int_equal(
		store_set_entry(store, STORE_IMAGES,
				"1e2eaa0000000000000000000000000000000000000000000000000000"
				"000000",
				&e, NULL),
		0);
	assert_int_equal(FIND("sha256:1e2eaa"), -EINVAL);
}

/* --- at once --------------------------------------------------------------------------------- */

#define THREADS 4
#define ROUNDS  150

static void *tag_and_untag(void *arg)
{
	const char *name = (const char *)arg;

	for (int i = 0; i < ROUNDS; i++) {
		if (store_set_ref(store, STORE_IMAGES, name, HEX, true, NULL) < 0 ||
		    store_drop_ref(store, STORE_IMAGES, name, NULL) < 0)
			return arg;
	}
	return NULL;
}

/* Directories that one makes and another removes as empty. */
static void test_race(void **state)
{
	static char names[THREADS][16];
	pthread_t threads[THREADS];
	void *failed;

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		sprintf(names[i], "a/b/%d", i);
		assert_int_equal(pthread_create(&threads[i], NULL, tag_and_untag, names[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_links), TEST(test_drop), TEST(test_check_name), TEST(test_batch),
		TEST(test_lists), TEST(test_race), TEST(test_hostile),    TEST(test_resolve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
