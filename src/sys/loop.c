/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Loop devices.
 *
 *	LOOP_CTL_GET_FREE	3.1	names a free device, without reserving it
 *	LOOP_CONFIGURE		5.8	binds and configures at once; EBUSY: somebody else was faster
 *	LO_FLAGS_DIRECT_IO	4.4	refused or ignored where the backing file cannot: then buffered
 */
#include "sys/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>

#define BLOCK_SIZE 4096

/* Between GET_FREE and CONFIGURE any number of others may take the device. Each round somebody wins,
 * so this many lost in a row means something else than a race. */
#define TRIES     64
#define WAIT_NSEC 1000000 /* after a lost round, times its number */

static void wait_a_little(unsigned int round)
{
	struct timespec t = {.tv_nsec = (long)(round % 20) * WAIT_NSEC};

	(void)nanosleep(&t, NULL);
}

static int configure(int loop, int fd, const char *name)
{
	struct loop_config config = {
		.fd = (uint32_t)fd,
		.block_size = BLOCK_SIZE,
		.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO,
	};

	if (name)
		snprintf((char *)config.info.lo_file_name, sizeof(config.info.lo_file_name), "%s",
			 name);
	if (ioctl(loop, LOOP_CONFIGURE, &config) == 0)
		return 0;
	if (errno != EINVAL)
		return -errno;

	config.info.lo_flags &= ~(uint32_t)LO_FLAGS_DIRECT_IO;
	return ioctl(loop, LOOP_CONFIGURE, &config) < 0 ? -errno : 0;
}

int loop_attach(int fd, const char *name, char ret_path[LOOP_PATH_MAX], struct cairn_error *err)
{
	cleanup_fd int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int r = -EBUSY;

	if (control < 0)
		return error_errno(err, -errno, "open /dev/loop-control");

	for (unsigned int round = 0; round < TRIES && r == -EBUSY; round++) {
		cleanup_fd int loop = -1;
		char path[LOOP_PATH_MAX];
		int number;

		wait_a_little(round);
		number = ioctl(control, LOOP_CTL_GET_FREE);
		if (number < 0)
			return error_errno(err, -errno, "find a free loop device");
		snprintf(path, sizeof(path), "/dev/loop%d", number);
		loop = open(path, O_RDONLY | O_CLOEXEC);
		if (loop < 0)
			return error_errno(err, -errno, "open %s", path);
		r = configure(loop, fd, name);
		if (r == 0) {
			snprintf(ret_path, LOOP_PATH_MAX, "%s", path);
			return take_fd(&loop);
		}
	}
	return error_errno(err, r, "configure a loop device");
}
