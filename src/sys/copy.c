/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Ways for a file's content to get into another.
 *
 *	ioctl FICLONE	4.5	btrfs, xfs, bcachefs, overlayfs and nfs on them
 *	pwrite
 */
#include "sys/copy.h"

#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sys/io.h"

#define HOLE_UNIT 4096 /* bytes; smaller holes save nothing */

int copy_clone(int from, int to)
{
	if (!ioctl(to, FICLONE, from))
		return 0;
	switch (errno) {
	case ENOTTY:
	case ENOSYS:
	case EXDEV:
		return -EOPNOTSUPP;
	case ETXTBSY: /* a swap file */
	case EPERM:
		return -EINVAL;
	default:
		return -errno;
	}
}

static bool is_zero(const char *data, size_t size)
{
	return !data[0] && !memcmp(data, data + 1, size - 1);
}

/* Bytes at the start of @data that are alike: all to be written, or all a hole. */
static size_t run_length(const char *data, size_t size, bool *ret_hole)
{
	size_t len = MIN(size, (size_t)HOLE_UNIT);

	*ret_hole = is_zero(data, len);
	while (len < size && is_zero(data + len, MIN(size - len, (size_t)HOLE_UNIT)) == *ret_hole)
		len += MIN(size - len, (size_t)HOLE_UNIT);
	return len;
}

int copy_append(int fd, const void *data, size_t size, bool sparse, uint64_t *offset)
{
	const char *p = (const char *)data;
	int r;

	while (size) {
		bool hole = false;
		size_t len = sparse ? run_length(p, size, &hole) : size;

		if (!hole) {
			r = pwrite_all(fd, p, len, (off_t)*offset);
			if (r < 0)
				return r;
		}
		*offset += len;
		p += len;
		size -= len;
	}
	return 0;
}

int copy_end(int fd, uint64_t offset)
{
	return ftruncate(fd, (off_t)offset) < 0 ? -errno : 0;
}
