/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Files read as a whole. */
#include "sys/contents.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "sys/io.h"

/* There is a page even for no bytes. */
static size_t mapped(size_t size)
{
	return MAX(size, (size_t)1);
}

int contents_read(int fd, const char *noun, struct contents *ret, struct cairn_error *err)
{
	struct stat st;
	ssize_t n;
	void *data;

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
	n = pread_full(fd, data, ret->size, 0);
	if (n >= 0 && (size_t)n == ret->size)
		return 0;
	contents_fini(ret);
	return n < 0 ? error_errno(err, (int)n, "read %s", noun)
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
