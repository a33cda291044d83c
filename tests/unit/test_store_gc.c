/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What collectors and writers promise each other (docs/design/gc.md), step by step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "digest/verity.h"
#include "store/gc.h"
#include "store/lease.h"
#include "store/lock.h"
#include "store/names.h"
#include "tree/tree.h"

static char dir[64];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/cairn-test-gc-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static struct cairn_store *open_store(void)
{
	struct cairn_store *s = NULL;

	assert_int_equal(store_open(dir, 0, &s, NULL), 0);
	return s;
}

static struct cairn_digest put(struct cairn_store *s, const char *text)
{
	struct cairn_digest d[VERITY_ALGS_MAX];

	assert_int_equal(store_begin(s, NULL), 0);
	verity_digest_data(text, strlen(text), CAIRN_ALG_BIT(CAIRN_SHA256), d);
	assert_true(store_put(s, &d[0], text, strlen(text), NULL) >= 0);
	return d[0];
}

static bool has(const struct cairn_digest *d)
{
	char path[OBJECT_PATH_MAX + 80];
	char object[OBJECT_PATH_MAX];

	object_path(object, d->bytes, 32);
	snprintf(path, sizeof(path), "%s/objects/%s", dir, object);
	return !access(path, F_OK);
}

static int collect(unsigned int flags, struct cairn_gc_result *ret)
{
	const struct cairn_gc_options options = {.flags = flags | CAIRN_GC_EMPTY, .jobs = 2};
	struct cairn_store *s = open_store();
	struct cairn_error err;
	int r = store_gc(s, &options, NULL, ret, &err);

	store_close(s);
	return r;
}

static unsigned int nr_leases(void)
{
	char command[128];
	int status;

	snprintf(command, sizeof(command), "exit $(ls %s/cairn/leases | grep -c ^[wc]-)", dir);
	status = system(command);
	return (unsigned int)WEXITSTATUS(status);
}

/* --- keys ------------------------------------------------------------------------------------ */

static void test_keyset(void **state)
{
	struct keyset k = {0};

	(void)state;
	assert_false(keyset_has(&k, 1));
	for (uint64_t i = 1; i <= 5000; i++)
		assert_int_equal(keyset_add(&k, i << 40), 1);
	for (uint64_t i = 1; i <= 5000; i++) {
		assert_int_equal(keyset_add(&k, i << 40), 0);
		assert_true(keyset_has(&k, i << 40));
		assert_false(keyset_has(&k, (i << 40) + 1));
	}
	assert_int_equal(k.nr, 5000);
	keyset_fini(&k);
	assert_int_equal(digest_key((const uint8_t *)"\0\0\0\0\0\0\0\0"), 1); /* never 0 */
}

/* --- leases ---------------------------------------------------------------------------------- */

/* What a writer at work has put in, and has found, stays; when it has ended it goes. */
static void test_writer_keeps(void **state)
{
	struct cairn_store *old = open_store(), *s = open_store();
	struct cairn_digest found = put(old, "found by the second"), lost = put(old, "lost"), fresh;
	struct cairn_gc_result res;

	(void)state;
	store_close(old);
	fresh = put(s, "put in by the second");
	assert_int_equal(store_has(s, &found, strlen("found by the second"), NULL), 1);

	assert_int_equal(collect(CAIRN_GC_DRY_RUN, &res), 0);
	assert_int_equal(res.objects, 3);
	assert_true(has(&lost));

	assert_int_equal(collect(0, &res), 0);
	assert_int_equal(res.removed_objects, 1);
	assert_true(has(&found) && has(&fresh));
	assert_false(has(&lost));

	store_close(s);
	assert_int_equal(nr_leases(), 0);
	assert_int_equal(collect(0, &res), 0);
	assert_int_equal(res.removed_objects, 2);
}

/* A writer that dies leaves a lease that the next collection takes, and all that it put in. */
static void test_dead_writer(void **state)
{
	struct cairn_gc_result res;
	pid_t pid = fork();
	int status;

	(void)state;
	if (!pid) {
		(void)put(open_store(), "never named");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(nr_leases(), 1);
	assert_int_equal(collect(0, &res), 0);
	assert_int_equal(res.removed_objects, 1);
	assert_int_equal(res.leftovers, 1);
	assert_int_equal(nr_leases(), 0);
}

/* Invariant 2: a writer that ends while a collector lives leaves its notes to it, and to it only. */
static void test_notes_outlive(void **state)
{
	struct cairn_store *s = open_store(), *c = open_store();
	struct cairn_digest d = put(s, "x");
	struct notes notes = {0}, later = {0};
	struct lease *one, *two;

	(void)state;
	assert_int_equal(lease_new(c, LEASE_COLLECTOR, &one), 0);
	assert_int_equal(nr_leases(), 2);
	store_close(s);
	assert_int_equal(nr_leases(), 2);
	assert_int_equal(lease_read_notes(one, &notes), 0);
	assert_true(notes_have(&notes, digest_key(d.bytes)));

	/* A second collector must not take them from the first. */
	assert_int_equal(lease_new(c, LEASE_COLLECTOR, &two), 0);
	assert_int_equal(lease_clean(two), 0);
	assert_int_equal(nr_leases(), 3);
	lease_end(one);
	assert_int_equal(lease_clean(two), 1);
	assert_int_equal(lease_read_notes(two, &later), 0);
	assert_false(notes_have(&later, digest_key(d.bytes)));
	lease_end(two);
	assert_int_equal(nr_leases(), 0);
	notes_fini(&notes);
	notes_fini(&later);
	store_close(c);
}

/* The notes of the dead go although there is always a collector, when none is left that began before they died. */
static void test_notes_of_the_dead(void **state)
{
	struct cairn_store *c = open_store();
	struct lease *last, *next;

	(void)state;
	(void)put(c, "x");
	assert_int_equal(lease_new(c, LEASE_COLLECTOR, &last), 0);
	for (int i = 0; i < 20; i++) {
		struct cairn_store *s = open_store();
		struct cairn_digest d = put(s, "y");
		struct notes notes = {0};

		store_close(s);
		assert_int_equal(lease_read_notes(last, &notes), 0);
		assert_true(notes_have(&notes, digest_key(d.bytes)));
		assert_int_equal(lease_new(c, LEASE_COLLECTOR, &next), 0);
		(void)lease_clean(next);
		assert_in_range(nr_leases(), 4, 6);
		/* The first needs them, whatever the second does. */
		notes_fini(&notes);
		notes = (struct notes){0};
		assert_int_equal(lease_read_notes(last, &notes), 0);
		assert_true(notes_have(&notes, digest_key(d.bytes)));
		notes_fini(&notes);
		(void)lease_clean(last);
		lease_end(last);
		last = next;
	}
	(void)lease_clean(last);
	lease_end(last);
	store_close(c);
	assert_int_equal(nr_leases(), 0);
}

/* Notes that are taken and not written yet must not hide those behind them, nor be forgotten. */
static void test_holes(void **state)
{
	struct cairn_store *s = open_store();
	struct notes notes = {0};
	struct lease *w, *c;
	struct cairn_digest d[3] = {{.alg = CAIRN_SHA256, .bytes = {1}},
				    {.alg = CAIRN_SHA256, .bytes = {2}},
				    {.alg = CAIRN_SHA256, .bytes = {3}}};

	(void)state;
	assert_int_equal(lease_new(s, LEASE_WRITER, &w), 0);
	assert_int_equal(lease_new(s, LEASE_COLLECTOR, &c), 0);
	assert_int_equal(lease_note(w, &d[0]), 0);
	atomic_fetch_add(&w->nr, 1); /* a thread has taken its place and sleeps */
	assert_int_equal(lease_note(w, &d[2]), 0);
	assert_int_equal(lease_read_notes(c, &notes), 0);
	assert_true(notes_have(&notes, digest_key(d[0].bytes)));
	assert_true(notes_have(&notes, digest_key(d[2].bytes)));
	atomic_store(&w->nr, 1); /* it wakes up */
	assert_int_equal(lease_note(w, &d[1]), 0);
	assert_int_equal(lease_read_notes(c, &notes), 0);
	assert_true(notes_have(&notes, digest_key(d[1].bytes)));
	assert_true(notes_have(&notes, digest_key(d[2].bytes)));
	notes_fini(&notes);
	lease_end(w);
	lease_end(c);
	store_close(s);
}

/* --- parts ----------------------------------------------------------------------------------- */

static _Atomic int noted;

static void *note_later(void *arg)
{
	const struct cairn_digest d = {.alg = CAIRN_SHA256, .bytes = {7}};

	assert_int_equal(lease_note((struct lease *)arg, &d), 0);
	atomic_store(&noted, 1);
	return NULL;
}

/* Invariant 1: who looks for something in a part that is closed waits; in another part not. */
static void test_closed_part(void **state)
{
	const struct cairn_digest other = {.alg = CAIRN_SHA256, .bytes = {8}};
	struct cairn_store *s = open_store();
	struct lease *w, *c;
	pthread_t thread;

	(void)state;
	assert_int_equal(lease_new(s, LEASE_WRITER, &w), 0);
	assert_int_equal(lease_new(s, LEASE_COLLECTOR, &c), 0);
	assert_int_equal(lease_close_part(c, 7), 0);
	assert_int_equal(lease_note(w, &other), 0);
	assert_int_equal(pthread_create(&thread, NULL, note_later, w), 0);
	usleep(100000);
	assert_int_equal(atomic_load(&noted), 0);
	lease_open_part(c, 7);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&noted), 1);

	/* One that dies with a part closed holds nobody up; the next one opens it. */
	assert_int_equal(lease_close_part(c, 7), 0);
	lease_end(c);
	assert_int_equal(lease_note(w, &(struct cairn_digest){.alg = 1, .bytes = {7}}), 0);
	assert_int_equal(atomic_load(&w->closed[7]), 1);
	assert_int_equal(lease_new(s, LEASE_COLLECTOR, &c), 0);
	(void)lease_clean(c);
	assert_int_equal(atomic_load(&w->closed[7]), 0);
	lease_end(w);
	lease_end(c);
	store_close(s);
}

/* --- others' locks --------------------------------------------------------------------------- */

static void test_foreign_lock(void **state)
{
	struct cairn_store *s = open_store(), *w = open_store();
	struct cairn_digest lost = put(s, "lost");
	struct lock_holders holders;
	struct cairn_gc_result res;
	int fd = open(dir, O_RDONLY | O_DIRECTORY), ours = open(dir, O_RDONLY | O_DIRECTORY);
	struct lease *c;

	(void)state;
	store_close(s);
	(void)put(w, "mine"); /* a writer of ours beside it does not count, nor hide it */
	assert_int_equal(flock(fd, LOCK_SH), 0);
	assert_int_equal(collect(0, &res), -EBUSY);
	assert_true(res.blocked);
	assert_int_equal(res.removed_objects, 1); /* would be */
	assert_true(has(&lost));

	assert_int_equal(lease_new(w, LEASE_COLLECTOR, &c), 0);
	assert_int_equal(flock(ours, LOCK_SH), 0);
	lock_look(w, ours, c->dirfd, &holders);
	assert_int_equal(holders.nr, 1);
	assert_non_null(strstr(holders.text, "process"));
	assert_int_equal(flock(fd, LOCK_UN), 0);
	lock_look(w, ours, c->dirfd, &holders);
	assert_int_equal(holders.nr, 0);
	assert_true(holders.known); /* a container sees too little: run it outside */
	close(ours);
	lease_end(c);

	assert_int_equal(collect(0, &res), 0);
	assert_int_equal(res.removed_objects, 1);
	assert_false(has(&lost));
	store_close(w);
	close(fd);
}

/* Who comes when the references have been read: a stranger with a lock that sees an entry and refers to it. */
static struct stranger {
	int after;  /* times that the references are read before */
	bool stays; /* and has set no reference yet */
	int fd;
} stranger;

static int come(int (*fn)(void *, const struct cairn_digest *), void *arg)
{
	char command[160];

	(void)fn;
	(void)arg;
	if (stranger.after--)
		return 0;
	stranger.fd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(flock(stranger.fd, LOCK_SH), 0);
	if (stranger.stays)
		return 0;
	snprintf(command, sizeof(command),
		 "cd %s/images && mkdir refs && ln -s ../$(ls | grep -v refs) refs/theirs", dir);
	assert_int_equal(system(command), 0);
	close(stranger.fd);
	return 0;
}

/* An image without a name that a stranger has seen as it was about to be removed is there again. */
static void test_stranger_sees_entry(void **state)
{
	const struct cairn_gc_options options = {.flags = CAIRN_GC_EMPTY, .jobs = 2};

	(void)state;
	for (int stays = 0; stays < 2; stays++) {
		struct cairn_store *old = open_store(), *w = open_store(), *s = open_store();
		struct cairn_digest d = put(old,
					    "no image, but nobody reads it before it is named"),
				    id;
		char hex[CAIRN_DIGEST_HEX_MAX];
		struct cairn_gc_result res;

		cairn_digest_to_hex(&d, hex);
		assert_int_equal(store_set_entry(old, STORE_IMAGES, hex, &d, NULL), 0);
		store_close(old);
		(void)put(w, "mine"); /* so that the lock is not exclusive */
		stranger = (struct stranger){.after = 1, .stays = stays};
		(void)store_gc(s, &options, come, &res, NULL);
		assert_int_equal(res.removed_images, 0);
		assert_int_equal(store_entry(w, STORE_IMAGES, hex, &id, NULL), 0);
		assert_true(has(&d));
		if (stays)
			close(stranger.fd);
		else
			assert_int_equal(store_drop_ref(w, STORE_IMAGES, "theirs", NULL), 0);
		store_close(w);
		store_close(s);
	}
}

/* Objects in the trash of a collector that died are put back, then judged. */
static void test_trash(void **state)
{
	struct cairn_store *s = open_store();
	struct cairn_digest named = put(s, "an image, as far as anybody asks"),
			    lost = put(s, "lost");
	char hex[CAIRN_DIGEST_HEX_MAX], command[512];
	struct cairn_gc_result res;

	(void)state;
	cairn_digest_to_hex(&named, hex);
	store_close(s);
	snprintf(command, sizeof(command),
		 "cd %s && mkdir -p cairn/trash && for f in objects/*/*; do "
		 "mv $f cairn/trash/$(echo ${f#objects/} | tr -d /); done && touch cairn/trash/x",
		 dir);
	assert_int_equal(system(command), 0);
	assert_false(has(&named));
	assert_int_equal(collect(CAIRN_GC_DRY_RUN, &res), 0); /* changes nothing */
	assert_false(has(&named));

	s = open_store();
	assert_int_equal(store_begin(s, NULL), 0);
	assert_int_equal(store_has(s, &named, 32, NULL), 0); /* noted: it stays when it is back */
	assert_int_equal(collect(0, &res), 0);
	assert_true(has(&named));
	assert_false(has(&lost));
	store_close(s);
}

/* Our own folder may go at any time: without it a writer looks like a stranger, whose lock counts. */
static void test_folder_removed(void **state)
{
	struct cairn_store *s = open_store();
	struct cairn_digest d = put(s, "kept by the lock alone");
	struct cairn_gc_result res;
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s/cairn", dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(collect(0, &res), -EBUSY);
	assert_true(has(&d));
	store_close(s);
	assert_int_equal(collect(0, &res), 0);
	assert_false(has(&d));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keyset),
		TEST(test_writer_keeps),
		TEST(test_dead_writer),
		TEST(test_notes_outlive),
		TEST(test_holes),
		TEST(test_closed_part),
		TEST(test_foreign_lock),
		TEST(test_trash),
		TEST(test_folder_removed),
		TEST(test_stranger_sees_entry),
		TEST(test_notes_of_the_dead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
