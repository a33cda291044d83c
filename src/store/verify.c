/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Verifying many objects at once. Each has a slot for what was found, so that threads share nothing. */
#include "store/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "base/parallel.h"
#include "digest/verity.h"
#include "sys/dir.h"
#include "sys/io.h"

#define PIECE ((size_t)256 << 10) /* bytes that are read and hashed at a time */

/* What was found out about an object. */
struct found {
	struct stat st;
	int64_t when;
	bool remembered;
};

/* What a thread needs. */
struct worker {
	struct verity verity[3]; /* by algorithm */
	uint8_t *piece;
	struct cairn_error err;
	size_t failed; /* the object that @err is about */
};

struct job {
	const int *dirs;
	size_t nr_dirs;
	const struct wanted *wanted;
	const struct memory *memory;
	struct found *found;
	struct worker *workers;
	int64_t now;
};

static int open_first(const struct job *job, const char *path, struct cairn_error *err)
{
	const char *below = path + strspn(path, "/");
	int fd = -ENOENT;

	for (size_t i = 0; i < job->nr_dirs && fd == -ENOENT; i++)
		fd = open_beneath(job->dirs[i], below, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? error_errno(err, fd, "object %s", below) : fd;
}

static int wrong(const struct wanted *w, const char *what, struct cairn_error *err)
{
	return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST, "object %s: %s", w->path, what);
}

static int verify_bytes(struct worker *worker, int fd, const struct wanted *w,
			struct cairn_error *err)
{
	struct verity *v = &worker->verity[w->digest.alg];
	struct cairn_digest digest = {0};
	uint64_t offset = 0;
	ssize_t n;
	int r;

	if (!v->memory) {
		r = verity_init(v, CAIRN_ALG_BIT(w->digest.alg));
		if (r < 0)
			return error_errno(err, r, "verify");
	}
	do {
		n = pread_full(fd, worker->piece, PIECE, (off_t)offset);
		if (n > 0) {
			verity_update(v, worker->piece, (size_t)n);
			offset += (uint64_t)n;
		}
	} while (n == (ssize_t)PIECE);
	(void)verity_final(v, &digest);
	if (n < 0)
		return error_errno(err, (int)n, "read object %s", w->path);
	if (offset != w->size || memcmp(&digest, &w->digest, sizeof(digest)) != 0)
		return wrong(w, "its content does not have its digest", err);
	return 0;
}

static int verify_one(void *arg, unsigned int number, size_t i)
{
	struct job *job = (struct job *)arg;
	struct worker *worker = &job->workers[number];
	const struct wanted *w = &job->wanted[i];
	struct found *f = &job->found[i];
	struct cairn_error *err = &worker->err;
	cleanup_fd int fd = open_first(job, w->path, err);

	worker->failed = i; /* a thread goes no further than its first failure */
	if (fd < 0)
		return fd;
	if (!cairn_digest_size((enum cairn_alg)w->digest.alg))
		return error_set(err, -EOPNOTSUPP, CAIRN_ERROR_UNSUPPORTED,
				 "object %s: the image tells no digest of it, so it cannot be "
				 "verified",
				 w->path);
	if (fstat(fd, &f->st) < 0)
		return error_errno(err, -errno, "object %s", w->path);
	if (!S_ISREG(f->st.st_mode))
		return wrong(w, "not a regular file", err);
	if ((uint64_t)f->st.st_size != w->size)
		return wrong(w, "its size is not that of the file in the image", err);

	f->when = memory_find(job->memory, &f->st, &w->digest);
	f->remembered = f->when != 0;
	if (f->remembered)
		return 0;
	f->when = job->now;
	return verify_bytes(worker, fd, w, err);
}

/* A file that was written to while it was read is not remembered: its change time is another one. */
static void sum_up(const struct job *job, size_t nr, struct memory *memory,
		   struct verify_result *ret)
{
	*ret = (struct verify_result){.when = job->now};
	for (size_t i = 0; i < nr; i++) {
		const struct found *f = &job->found[i];

		ret->when = MIN(ret->when, f->when);
		if (f->remembered) {
			ret->remembered++;
			continue;
		}
		ret->done++;
		memory_add(memory, &f->st, &job->wanted[i].digest, f->when);
	}
}

/* The words about the lowest index, as parallel_for() returns its code. */
static void take_error(const struct worker *workers, unsigned int nr, struct cairn_error *err)
{
	const struct worker *first = NULL;

	for (unsigned int i = 0; i < nr; i++)
		if (workers[i].err.code && (!first || workers[i].failed < first->failed))
			first = &workers[i];
	if (first && err)
		*err = first->err;
}

static void workers_free(struct worker *workers, unsigned int nr)
{
	for (unsigned int i = 0; workers && i < nr; i++) {
		verity_fini(&workers[i].verity[CAIRN_SHA256]);
		verity_fini(&workers[i].verity[CAIRN_SHA512]);
		free(workers[i].piece);
	}
	free(workers);
}

static struct worker *workers_new(unsigned int nr)
{
	struct worker *workers = (struct worker *)calloc(nr, sizeof(*workers));
	bool failed = !workers;

	for (unsigned int i = 0; !failed && i < nr; i++) {
		workers[i].piece = (uint8_t *)io_buffer(PIECE);
		failed = !workers[i].piece;
	}
	if (!failed)
		return workers;
	workers_free(workers, nr);
	return NULL;
}

int objects_verify(const int *dirs, size_t nr_dirs, const struct wanted *wanted, size_t nr,
		   unsigned int jobs, struct memory *memory, struct verify_result *ret,
		   struct cairn_error *err)
{
	const unsigned int nr_workers = MAX(jobs, 1);
	cleanup_free struct found *found = (struct found *)calloc(MAX(nr, 1), sizeof(*found));
	struct worker *workers = workers_new(nr_workers);
	struct job job = {
		.dirs = dirs,
		.nr_dirs = nr_dirs,
		.wanted = wanted,
		.memory = memory,
		.found = found,
		.workers = workers,
		.now = time(NULL),
	};
	int r = -ENOMEM;

	if (found && workers)
		r = parallel_for(nr_workers, nr, verify_one, &job);
	if (r == 0)
		sum_up(&job, nr, memory, ret);
	else if (!found || !workers)
		error_errno(err, r, "verify");
	if (r < 0 && workers)
		take_error(workers, nr_workers, err);
	workers_free(workers, nr_workers);
	return r;
}
