/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 *	fcntl(F_OFD_SETLK)	a shared lock; others' F_SETLK and F_OFD_SETLK conflict with it alike (Linux 3.15)
 *	fcntl(F_OFD_GETLK)	who has it; of other open files of the kind it does not tell
 */
#include "oci/storage_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sys/dir.h"

#define PAUSE_MS 20

static int busy(int fd, const char *place, const char *path, unsigned int waited_ms,
		struct cairn_error *err)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	char holder[48] = "another process";

	if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0)
		snprintf(holder, sizeof(holder), "process %d", (int)lock.l_pid);
	return error_set(err, -EBUSY, CAIRN_ERROR_SYSTEM, "%s/%s: %s has had this lock for %u s",
			 place, path, holder, waited_ms / 1000);
}

int storage_lock(int dirfd, const char *place, const char *path, unsigned int patience_ms,
		 storage_wait_fn wait, void *arg, struct cairn_error *err)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};
	int fd cleanup_fd = open_beneath(dirfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return fd == -ENOENT || fd == -EACCES ? -ENOENT
						      : error_errno(err, fd, "%s/%s", place, path);
	for (unsigned int waited = 0;; waited += PAUSE_MS) {
		struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
		int r;

		if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
			return take_fd(&fd);
		if (errno != EAGAIN && errno != EACCES)
			return -ENOENT;
		if (waited >= patience_ms)
			return busy(fd, place, path, waited, err);
		r = wait ? wait(arg, err) : 0;
		if (r < 0)
			return r;
		(void)nanosleep(&pause, NULL);
	}
}
