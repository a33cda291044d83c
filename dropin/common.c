/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What the drop-in programs share: how they fail and how they write. */
#include "common.h"

#include <err.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void die_code(int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	errno = -code;
	verr(EXIT_FAILURE, fmt, ap);
}

int write_to_fd(void *arg, const void *data, unsigned long size)
{
	int fd = *(const int *)arg;
	const char *p = data;

	while (size > 0) {
		ssize_t n = write(fd, p, size);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += n;
		size -= (unsigned long)n;
	}
	return 0;
}

void finish_stdout(void)
{
	if (fflush(stdout) || ferror(stdout))
		err(EXIT_FAILURE, "write to standard output");
}
