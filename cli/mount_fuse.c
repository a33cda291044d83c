/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * cairn mount --backend fuse, and --backend overlay, where the server tells names alone.
 *
 *	command ── waits for a byte ── watcher ── waits for signals ── server
 *
 * The watcher is the command itself with --foreground, else a child that lives on. It keeps the rights
 * that the server gives up: asked to end it unmounts, and when the server dies it removes the dead mount.
 * The command returns when the watcher says that the mount answers; if it dies first, with its status.
 */
#include "mount_fuse.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <syslog.h>

#include "source.h"

/* --- the watcher -------------------------------------------------------------------------------- */

struct watch {
	pid_t server;
	struct cairn_mount_result result; /* what the mount became */
	char *target;                     /* absolute */
	int signals;                      /* a signalfd */
	int words; /* the server's standard error, for the system's log; -1: it has the terminal */
	bool stopping; /* we were asked to */
};

/* One line of the server's, which may come in pieces when there are many: the log takes them as they are. */
static void pass_words(struct watch *w)
{
	char text[2048];
	ssize_t n = read(w->words, text, sizeof(text) - 1);

	if (n <= 0) {
		close(w->words);
		w->words = -1;
		return;
	}
	text[n] = '\0';
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		syslog(LOG_ERR, "%s", line);
}

static void stop(struct watch *w)
{
	w->stopping = true;
	/* A lazy unmount works while files are open; the server goes on until they are closed. Asked
	 * again, or where that fails, it is ended. */
	if (cairn_umount(w->target, CAIRN_UMOUNT_LAZY, NULL) < 0)
		(void)kill(w->server, SIGTERM);
}

/* A mount whose server is dead answers nothing any more, and is in the way. */
static void remove_dead(const struct watch *w)
{
	struct statfs fs;

	if (statfs(w->target, &fs) < 0 && errno == ENOTCONN)
		(void)cairn_umount(w->target, CAIRN_UMOUNT_LAZY, NULL);
}

/* Returns when the server has ended: EXIT_DONE if it was unmounted. */
static int watch(struct watch *w)
{
	struct signalfd_siginfo info;
	int status = 0;

	for (;;) {
		struct pollfd fds[] = {{.fd = w->signals, .events = POLLIN},
				       {.fd = w->words, .events = POLLIN}};

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			pass_words(w);
		if (!(fds[0].revents & POLLIN) || read(w->signals, &info, sizeof(info)) < 0)
			continue;
		if (info.ssi_signo != SIGCHLD)
			stop(w);
		else if (waitpid(w->server, &status, WNOHANG) == w->server)
			break;
	}
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return EXIT_DONE;
	remove_dead(w);
	return w->stopping ? EXIT_DONE : EXIT_FAILED;
}

/* Signals come by descriptor from here on. */
static int hold_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* --- mounting ----------------------------------------------------------------------------------- */

static void tell(void *arg, const char *text)
{
	(void)arg;
	talk("%s", text);
}

static int open_basedirs(const struct opt_list *dirs, struct store_list *ret)
{
	for (unsigned int i = 0; i < dirs->nr; i++) {
		struct cairn_error err = {0};
		int r = cairn_store_open(dirs->text[i], CAIRN_STORE_READ_ONLY | CAIRN_STORE_BARE,
					 &ret->store[ret->nr], &err);

		if (r < 0)
			return talk_error(r, &err, NULL);
		ret->nr++;
	}
	return EXIT_DONE;
}

static int start_overlay(const struct mount_fuse_args *a, int fd,
			 const struct cairn_fuse_options *options, struct watch *w)
{
	int target cleanup_fd = open(a->target, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct cairn_error err = {0};
	int mnt cleanup_fd = -1;
	int r;

	if (target < 0)
		return talk_error(-errno, NULL, a->target);
	mnt = cairn_overlay_open(fd, &a->options->options, options, &w->result, &w->server, &err);
	r = mnt < 0 ? mnt : cairn_mount_attach(mnt, target, &err);
	return r < 0 ? talk_error(r, &err, a->image) : EXIT_DONE;
}

/* What a server promises who checks every block that it hands out. */
static void tell_result(const struct mount_fuse_args *a, int fd, const struct cairn_digest *digest,
			struct cairn_mount_result *ret)
{
	const int format = cairn_image_probe(fd);

	ret->digest = *digest;
	ret->format = MAX(format, 0);
	ret->image = CAIRN_CHECKED;
	ret->contents =
		a->options->options.verity == CAIRN_VERITY_OFF ? CAIRN_UNVERIFIED : CAIRN_CHECKED;
	ret->state = MIN(ret->image, ret->contents);
}

/* The mount table tells the digest, so it must be known before the mount is made: what is asked for, what
 * the kernel measured, or else computed, with the algorithm of the objects. The server compares it with
 * the bytes that it serves. */
static int find_digest(const struct mount_fuse_args *a, int fd, struct cairn_digest *ret)
{
	const enum cairn_alg alg =
		a->stores->nr ? cairn_store_alg(a->stores->store[0]) : CAIRN_SHA256;
	struct cairn_error err = {0};
	int r;

	if (a->options->options.digest) {
		*ret = *a->options->options.digest;
		return EXIT_DONE;
	}
	if (cairn_digest_measure(fd, ret) == 0)
		return EXIT_DONE;
	r = cairn_digest_fd(fd, CAIRN_ALG_BIT(alg), ret, &err);
	return r < 0 ? talk_error(r, &err, a->image) : EXIT_DONE;
}

static void source_of(const struct mount_fuse_args *a, const struct cairn_digest *digest,
		      char *name, size_t size)
{
	char hex[CAIRN_DIGEST_HEX_MAX];

	cairn_digest_to_hex(digest, hex);
	snprintf(name, size, "composefs:%s%s", hex,
		 a->options->options.verity == CAIRN_VERITY_OFF ? ":unverified" : "");
}

/* A store and its parents, at most @max of them. Returns how many. The server must know of each before
 * it gives up the right to open others. */
static size_t add_stores(const struct cairn_store *store, const struct cairn_store **out,
			 size_t max)
{
	size_t nr = 0;

	for (const struct cairn_store *s = store; s && nr < max;
	     s = cairn_store_parent(store, (unsigned int)nr - 1))
		out[nr++] = s;
	return nr;
}

static int start(const struct mount_fuse_args *a, struct watch *w)
{
	const struct cairn_store *stores[8 * OPT_LIST_MAX];
	const struct cairn_mount_options *m = &a->options->options;
	struct store_list bare cleanup_stores = {0};
	struct cairn_fuse_options options = {
		.flags = (a->check ? CAIRN_FUSE_CHECK : 0) |
			 (m->verity == CAIRN_VERITY_OFF ? CAIRN_FUSE_UNVERIFIED : 0),
		.mount_flags = m->flags & ~(unsigned int)(CAIRN_MOUNT_CHECK_IMAGE |
							  CAIRN_MOUNT_VERIFY_OBJECTS),
		.stores = stores,
		.digest = m->digest,
		.log = tell,
	};
	const int fd = a->image_fd;
	char name[sizeof("composefs::unverified") + CAIRN_DIGEST_HEX_MAX];
	struct cairn_digest digest;
	struct cairn_error err = {0};
	int r;

	r = open_basedirs(&a->options->basedirs, &bare);
	if (r != EXIT_DONE)
		return r;
	for (unsigned int i = 0; i < a->stores->nr; i++)
		options.nr_stores += add_stores(a->stores->store[i], stores + options.nr_stores,
						ARRAY_SIZE(stores) - options.nr_stores);
	for (unsigned int i = 0; i < bare.nr; i++)
		stores[options.nr_stores++] = bare.store[i];
	if (a->backend == CAIRN_BACKEND_OVERLAY) {
		options.flags = 0;
		return start_overlay(a, fd, &options, w);
	}
	r = find_digest(a, fd, &digest);
	if (r != EXIT_DONE)
		return r;
	options.digest = &digest;
	options.name = name;
	source_of(a, &digest, name, sizeof(name));
	tell_result(a, fd, &digest, &w->result);
	r = cairn_fuse_mount(fd, a->target, &options, &w->server, &err);
	if (r >= 0)
		return EXIT_DONE;
	r = talk_error(r, &err, a->image);
	return err.kind == CAIRN_ERROR_FORMAT ? EXIT_UNVERIFIED : r;
}

static int in_foreground(const struct mount_fuse_args *a, struct watch *w)
{
	int status;

	w->signals = hold_signals();
	status = start(a, w);
	if (status != EXIT_DONE)
		return status;
	status = a->report(a->arg, &w->result, w->server);
	if (status != EXIT_DONE)
		stop(w);
	return MAX(watch(w), status);
}

/* What was said so far goes to the command's standard error after all. */
static void hand_back(int words, int error_fd)
{
	char text[4096];
	ssize_t n;

	(void)dup2(error_fd, STDERR_FILENO);
	while ((n = read(words, text, sizeof(text))) > 0)
		out_put(&out_talk, text, (size_t)n);
	(void)out_flush(&out_talk);
}

/* What the watcher tells the command; less than a pipe takes at once. */
struct message {
	pid_t server;
	struct cairn_mount_result result;
};

/* The watcher of a mount that outlives the command. Nothing of the command's terminal, session or
 * directory is kept, so that whoever waits for the end of its output does not wait for the mount's. */
static void __attribute__((noreturn))
in_background(const struct mount_fuse_args *a, struct watch *w, int ready)
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const int error_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	struct message message;
	int words[2], status;

	if (null < 0 || error_fd < 0 || pipe2(words, O_CLOEXEC) < 0)
		_exit(talk_error(-errno, NULL, a->image));
	(void)setsid();
	w->signals = hold_signals();
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(null, STDOUT_FILENO);
	(void)dup2(words[1], STDERR_FILENO);
	close(words[1]);
	w->words = words[0];
	status = start(a, w);
	if (status != EXIT_DONE) {
		hand_back(w->words, error_fd);
		_exit(status);
	}
	message = (struct message){.server = w->server, .result = w->result};
	(void)!write(ready, &message, sizeof(message));
	close(ready);
	close(error_fd);
	(void)dup2(null, STDERR_FILENO);
	(void)!chdir("/");
	openlog("cairn", LOG_PID, LOG_DAEMON);
	_exit(watch(w));
}

static int by_watcher(const struct mount_fuse_args *a, struct watch *w)
{
	int ready[2], status = 0;
	struct message message;
	ssize_t n;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return talk_error(-errno, NULL, a->image);
	pid = fork();
	if (pid < 0)
		return talk_error(-errno, NULL, a->image);
	if (!pid) {
		close(ready[0]);
		in_background(a, w, ready[1]);
	}
	close(ready[1]);
	do
		n = read(ready[0], &message, sizeof(message));
	while (n < 0 && errno == EINTR);
	close(ready[0]);
	if (n == sizeof(message))
		return a->report(a->arg, &message.result, message.server);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

int mount_fuse(const struct mount_fuse_args *a)
{
	const struct cairn_mount_options *m = &a->options->options;
	char *target cleanup_free = realpath(a->target, NULL);
	struct watch w = {.target = target, .words = -1};

	if (a->options->idmap || (m->upperdir && a->backend == CAIRN_BACKEND_FUSE))
		return talk_usage(a->backend == CAIRN_BACKEND_FUSE
					  ? "--backend fuse has no upperdir, workdir or idmap"
					  : "--backend overlay has no idmap");
	if (!target)
		return talk_error(-errno, NULL, a->target);
	return a->foreground ? in_foreground(a, &w) : by_watcher(a, &w);
}
