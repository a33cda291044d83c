/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The least that reading a tree can cost: walk-baseline [-j THREADS] [-d|-s] DIRECTORY
 *
 * Lists every directory, opens and reads every regular file to its end, and does nothing with the
 * bytes. With -d, their fs-verity digests are computed, of many files together, and forgotten. With
 * -s, no file is opened: every name is asked for its facts (statx) instead.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "digest/verity.h"

#define BUFFER_SIZE (256 << 10)
#define ROOM        (128 << 10) /* bytes; of a larger file in pieces */
#define WAITING     256

struct entry {
	unsigned long ino;
	long off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

/* A stack of directories still to list, by path. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	char **paths;
	size_t nr, size;
	unsigned int busy; /* threads that may still add some */
	unsigned long long files, bytes;
} work = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static int only_stat, digests;

/* What a thread reads to; with -d, one file behind the other until little room is left. */
struct reader {
	char *buffer;
	size_t used;
	struct verity_batch *batch;
	struct verity large;
	unsigned int nr;
	struct cairn_digest got[WAITING];
};

static void die(const char *what)
{
	fprintf(stderr, "walk-baseline: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void push(char *path)
{
	pthread_mutex_lock(&work.lock);
	if (work.nr == work.size) {
		work.size = work.size ? 2 * work.size : 256;
		work.paths = (char **)realloc(work.paths, work.size * sizeof(*work.paths));
		if (!work.paths)
			die("memory");
	}
	work.paths[work.nr++] = path;
	pthread_cond_signal(&work.more);
	pthread_mutex_unlock(&work.lock);
}

/* The next directory, NULL when there will be none. */
static char *pop(void)
{
	char *path = NULL;

	pthread_mutex_lock(&work.lock);
	work.busy--;
	while (!work.nr && work.busy)
		pthread_cond_wait(&work.more, &work.lock);
	if (work.nr) {
		path = work.paths[--work.nr];
		work.busy++;
	} else {
		pthread_cond_broadcast(&work.more);
	}
	pthread_mutex_unlock(&work.lock);
	return path;
}

static void hash_waiting(struct reader *rd)
{
	verity_batch_flush(rd->batch);
	rd->used = 0;
	rd->nr = 0;
}

/* With -d, of what was read: @n bytes, which @begin or @end the file. */
static void hash(struct reader *rd, size_t n, bool begin, bool end)
{
	struct cairn_digest got[VERITY_ALGS_MAX];

	if (begin && end) {
		verity_batch_add(rd->batch, rd->buffer + rd->used, n, &rd->got[rd->nr++]);
		rd->used += ROUND_UP(n, (size_t)64);
	} else if (end) {
		(void)verity_finish(&rd->large, rd->buffer + rd->used, n, got);
	} else {
		verity_update(&rd->large, rd->buffer + rd->used, n);
	}
}

static unsigned long long read_file(int dirfd, const char *name, struct reader *rd)
{
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	const ssize_t most = digests ? ROOM : BUFFER_SIZE;
	unsigned long long bytes = 0;
	ssize_t n;

	if (fd < 0)
		die(name);
	if (digests && (rd->used + ROOM > BUFFER_SIZE || rd->nr == WAITING))
		hash_waiting(rd);
	/* A short read is the end. */
	do {
		n = read(fd, rd->buffer + rd->used, (size_t)most);
		if (n < 0)
			die(name);
		if (digests)
			hash(rd, (size_t)n, !bytes, n < most);
		bytes += (unsigned long long)n;
	} while (n == most);
	close(fd);
	return bytes;
}

static void list(const char *path, struct reader *rd, char *entries, unsigned long long *files,
		 unsigned long long *bytes)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statx stx;
	long n;

	if (fd < 0)
		die(path);
	while ((n = syscall(SYS_getdents64, fd, entries, BUFFER_SIZE)) > 0) {
		for (long at = 0; at < n;) {
			const struct entry *e = (const struct entry *)(entries + at);

			at += e->reclen;
			if (!strcmp(e->name, ".") || !strcmp(e->name, ".."))
				continue;
			if (only_stat &&
			    statx(fd, e->name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stx) < 0)
				die(e->name);
			if (e->type == DT_DIR) {
				char *below;

				if (asprintf(&below, "%s/%s", path, e->name) < 0)
					die("memory");
				push(below);
			} else if (e->type == DT_REG) {
				++*files;
				if (!only_stat)
					*bytes += read_file(fd, e->name, rd);
			}
		}
	}
	if (n < 0)
		die(path);
	close(fd);
}

static void *run(void *arg)
{
	struct reader rd = {.buffer = (char *)aligned_alloc(4096, BUFFER_SIZE)};
	char *entries = (char *)malloc(BUFFER_SIZE);
	unsigned long long files = 0;
	unsigned long long bytes = 0;
	char *path;

	if (!rd.buffer || !entries || verity_init(&rd.large, CAIRN_ALG_BIT(CAIRN_SHA256)) < 0 ||
	    verity_batch_new(CAIRN_ALG_BIT(CAIRN_SHA256), &rd.batch) < 0)
		die("memory");
	while ((path = pop())) {
		list(path, &rd, entries, &files, &bytes);
		free(path);
	}
	hash_waiting(&rd);
	pthread_mutex_lock(&work.lock);
	work.files += files;
	work.bytes += bytes;
	pthread_mutex_unlock(&work.lock);
	verity_batch_free(rd.batch);
	verity_fini(&rd.large);
	free(rd.buffer);
	free(entries);
	return arg;
}

int main(int argc, char **argv)
{
	unsigned int jobs = 2;
	struct timespec start, end;
	pthread_t *threads;
	int opt;

	while ((opt = getopt(argc, argv, "dj:s")) != -1) {
		if (opt == 'j')
			jobs = (unsigned int)atoi(optarg);
		else if (opt == 'd')
			digests = 1;
		else if (opt == 's')
			only_stat = 1;
		else
			return 2;
	}
	if (optind + 1 != argc || !jobs) {
		fprintf(stderr, "usage: walk-baseline [-j THREADS] [-d|-s] DIRECTORY\n");
		return 2;
	}

	threads = (pthread_t *)calloc(jobs, sizeof(*threads));
	if (!threads)
		die("memory");
	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	push(strdup(argv[optind]));
	/* Each is busy until its first pop() says otherwise. */
	work.busy = jobs;
	for (unsigned int i = 0; i < jobs; i++)
		if (pthread_create(&threads[i], NULL, run, NULL))
			die("thread");
	for (unsigned int i = 0; i < jobs; i++)
		pthread_join(threads[i], NULL);
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	free(threads);
	free(work.paths);
	printf("%.3f s, %llu files, %llu bytes\n",
	       (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) * 1e-9,
	       work.files, work.bytes);
	return 0;
}
