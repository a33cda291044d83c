/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Locks of a containers-storage, against the kind that others take. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macro.h"
#include "oci/storage_lock.h"

#define NAME "test-storage.lock"

/* A process that has the lock, of the kind that podman takes, until it is killed. */
static pid_t holder(short type)
{
	int pipes[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
		int fd = open(NAME, O_RDWR | O_CREAT, 0644);

		if (fcntl(fd, F_SETLKW, &lock) < 0 || write(pipes[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	close(pipes[0]);
	close(pipes[1]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int take(unsigned int patience_ms, storage_wait_fn wait, void *arg, struct cairn_error *err)
{
	return storage_lock(AT_FDCWD, "place", NAME, patience_ms, wait, arg, err);
}

static void test_not_held(void **state)
{
	struct cairn_error err = {0};
	pid_t reader;
	int fd;

	(void)state;
	(void)unlink(NAME);
	assert_int_equal(take(0, NULL, NULL, &err), -ENOENT);
	reader = holder(F_RDLCK);
	fd = take(0, NULL, NULL, &err);
	assert_true(fd >= 0);
	end(reader);
	close(fd);
}

static int end_holder(void *arg, struct cairn_error *err)
{
	pid_t *pid = (pid_t *)arg;

	(void)err;
	if (*pid)
		end(*pid);
	*pid = 0;
	return 0;
}

static int no_more(void *arg, struct cairn_error *err)
{
	(void)arg;
	(void)err;
	return -ECANCELED;
}

static void test_held(void **state)
{
	struct cairn_error err = {0};
	char words[96];
	pid_t writer = holder(F_WRLCK);
	int fd;

	(void)state;
	assert_int_equal(take(0, NULL, NULL, &err), -EBUSY);
	snprintf(words, sizeof(words), "place/" NAME ": process %d has had this lock for 0 s",
		 writer);
	assert_string_equal(err.text, words);
	assert_int_equal(take(60000, no_more, NULL, &err), -ECANCELED);
	/* Waits until it is free. */
	fd = take(60000, end_holder, &writer, &err);
	assert_true(fd >= 0 && !writer);
	close(fd);
}

/* And others wait for it. */
static void test_excludes(void **state)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = take(0, NULL, NULL, NULL), other = open(NAME, O_RDWR);

	(void)state;
	assert_true(fd >= 0 && other >= 0);
	assert_int_equal(fcntl(other, F_SETLK, &lock), -1);
	close(fd);
	assert_int_equal(fcntl(other, F_SETLK, &lock), 0);
	close(other);
	unlink(NAME);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_held),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_excludes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
