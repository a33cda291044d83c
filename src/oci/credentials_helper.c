/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Asking a program for credentials. It gets our environment: it finds its keys by it. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "oci/credentials-internal.h"
#include "oci/json.h"
#include "sys/io.h"

#define ANSWER_MAX (64u << 10)

extern char **environ;

struct child {
	pid_t pid;
	int to, from; /* our ends of its standard input and output */
	int hold;     /* its end of the input: while a reader is there, a write is no SIGPIPE */
};

static int start(const char *program, struct child *ret)
{
	const char *const argv[] = {program, "get", NULL};
	posix_spawn_file_actions_t actions;
	int in[2], out[2], r;

	if (pipe2(in, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(out, O_CLOEXEC) < 0) {
		r = -errno;
		close(in[0]);
		close(in[1]);
		return r;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	r = -posix_spawnp(&ret->pid, program, &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(out[1]);
	ret->hold = in[0];
	ret->to = in[1];
	ret->from = out[0];
	if (r < 0) {
		close(in[0]);
		close(in[1]);
		close(out[0]);
	}
	return r;
}

/* The answer, and the exit status. */
static int converse(struct child *child, const char *key, struct buf *answer)
{
	int status = 0, r;
	ssize_t n = 0;

	/* Shorter than what a pipe holds, so this cannot wait. */
	r = write_all(child->to, key, strlen(key));
	close(child->to);
	close(child->hold);
	if (r == 0)
		r = buf_reserve(answer, ANSWER_MAX);
	if (r == 0)
		n = read_full(child->from, answer->data, ANSWER_MAX);
	close(child->from);
	if (n > 0)
		answer->len = (size_t)n;
	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0 || n < 0)
		return r < 0 ? r : (int)n;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EIO;
}

static int take_answer(const struct buf *answer, struct credentials *ret, struct cairn_error *err)
{
	json_t *root cleanup(json) = NULL;
	const char *user = NULL, *secret = NULL;
	int r = json_read(answer->data, answer->len, 4, "answer", &root, err);

	if (r == 0)
		r = json_text(root, "Username", &user, "answer", err);
	if (r >= 0)
		r = json_text(root, "Secret", &secret, "answer", err);
	if (r < 0 || !user || !secret)
		return r < 0 ? r
			     : error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
					 "answer without Username and Secret");
	if (!strcmp(user, "<token>")) {
		ret->identity = strdup(secret);
		return ret->identity ? 0 : error_errno(err, -ENOMEM, "answer");
	}
	ret->user = strdup(user);
	ret->password = strdup(secret);
	return ret->user && ret->password ? 0 : error_errno(err, -ENOMEM, "answer");
}

int credentials_ask_helper(const char *name, const char *key, struct credentials *ret,
			   struct cairn_error *err)
{
	static const char none[] = "credentials not found";
	struct buf answer cleanup_buf = BUF_INIT(ANSWER_MAX);
	struct child child;
	char program[300];
	int r;

	snprintf(program, sizeof(program), "docker-credential-%s", name);
	r = start(program, &child);
	if (r < 0)
		return error_errno(err, r, "%s", program);
	r = converse(&child, key, &answer);
	if (r < 0)
		return error_errno(err, r, "%s", program);
	if (r > 0) {
		if (answer.len >= sizeof(none) - 1 && !memcmp(answer.data, none, sizeof(none) - 1))
			return 0;
		return error_set(err, -EACCES, CAIRN_ERROR_SYSTEM, "%s: exit status %d", program,
				 r);
	}
	r = take_answer(&answer, ret, err);
	OPENSSL_cleanse(answer.data, answer.len);
	if (r < 0)
		error_prepend(err, "%s", program);
	return r;
}
