/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Reading and writing whole ranges. */
#include "sys/io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE      ((size_t)4096)
#define HUGE_PAGE ((size_t)2 << 20)

#define BATCH_MIN ((size_t)256 << 10)
#define BATCH_MAX ((size_t)1 << 20)

static int write_loop(int fd, const char *p, size_t size, off_t offset, bool positioned)
{
	while (size) {
		ssize_t n = positioned ? pwrite(fd, p, size, offset) : write(fd, p, size);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (n == 0)
			return -EIO;
		p += n;
		offset += n;
		size -= (size_t)n;
	}
	return 0;
}

int write_all(int fd, const void *data, size_t size)
{
	return write_loop(fd, (const char *)data, size, 0, false);
}

int pwrite_all(int fd, const void *data, size_t size, off_t offset)
{
	return write_loop(fd, (const char *)data, size, offset, true);
}

static ssize_t read_loop(int fd, char *p, size_t size, off_t offset, bool positioned)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = positioned ? pread(fd, p + done, size - done, offset + (off_t)done)
				       : read(fd, p + done, size - done);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t read_full(int fd, void *data, size_t size)
{
	return read_loop(fd, (char *)data, size, 0, false);
}

ssize_t pread_full(int fd, void *data, size_t size, off_t offset)
{
	return read_loop(fd, (char *)data, size, offset, true);
}

void *io_buffer(size_t size)
{
	const size_t page = size >= HUGE_PAGE ? HUGE_PAGE : PAGE;
	void *p = aligned_alloc(page, ROUND_UP(size, page));

	if (p && page == HUGE_PAGE)
		(void)madvise(p, size, MADV_HUGEPAGE);
	return p;
}

int io_write_back(int fd, off_t offset, size_t size)
{
	return sync_file_range(fd, offset, (off_t)size, SYNC_FILE_RANGE_WRITE) < 0 ? -errno : 0;
}

size_t io_batch_size(void)
{
	long cache = sysconf(_SC_LEVEL2_CACHE_SIZE);

	return MIN(MAX(cache > 0 ? (size_t)cache / 2 : 0, BATCH_MIN), BATCH_MAX);
}

static bool is_special(const struct stat *st)
{
	return !S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode);
}

int io_open_special(int dirfd, const char *path)
{
	struct stat st;
	int fd;

	if (fstatat(dirfd, path, &st, 0) < 0 || !is_special(&st))
		return -ENOENT;
	fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && is_special(&st))
		return fd;
	close(fd);
	return -ENOENT;
}
