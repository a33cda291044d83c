/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Files read as a whole. */
#include "sys/contents.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/parallel.h"
#include "sys/io.h"

/* There is a page even for no bytes. */
static size_t mapped(size_t size)
{
	return MAX(size, (size_t)1);
}

/* Whole large pages, so that they are cleared by the threads that read. */
#define PART ((size_t)4 << 20)

struct reading {
	int fd;
	const struct contents *c;
};

static int read_part(void *arg, unsigned int worker, size_t i)
{
	const struct reading *r = (const struct reading *)arg;
	size_t at = i * PART, size = MIN(r->c->size - at, PART);
	ssize_t n = pread_full(r->fd, (char *)r->c->data + at, size, (off_t)at);

	(void)worker;
	if (n < 0)
		return (int)n;
	return (size_t)n == size ? 0 : -ENODATA;
}

int contents_read(int fd, const char *noun, struct contents *ret, struct cairn_error *err)
{
	return contents_read_jobs(fd, noun, 1, ret, err);
}

int contents_read_jobs(int fd, const char *noun, unsigned int jobs, struct contents *ret,
		       struct cairn_error *err)
{
	struct reading reading = {fd, ret};
	struct stat st;
	void *data;
	int r;

	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "stat %s", noun);
	if (S_ISDIR(st.st_mode))
		return error_errno(err, -EISDIR, "read %s", noun);
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "%s is read from a regular file",
				 noun);
	data = mmap(NULL, mapped((size_t)st.st_size), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED)
		return error_errno(err, -errno, "read %s", noun);
	(void)madvise(data, (size_t)st.st_size, MADV_HUGEPAGE);
	*ret = (struct contents){data, (size_t)st.st_size};
	r = parallel_for(jobs, (ret->size + PART - 1) / PART, read_part, &reading);
	if (!r)
		return 0;
	contents_fini(ret);
	return r != -ENODATA ? error_errno(err, r, "read %s", noun)
			     : error_set(err, -EIO, CAIRN_ERROR_SYSTEM,
					 "%s became shorter while it was read", noun);
}

void contents_freeze(const struct contents *c)
{
	(void)mprotect(c->data, mapped(c->size), PROT_READ);
}

void contents_fini(struct contents *c)
{
	if (c->data)
		munmap(c->data, mapped(c->size));
	*c = (struct contents){0};
}
