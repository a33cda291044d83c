/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* STORE/cairn: the folder that is ours alone. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "store/store.h"
#include "sys/dir.h"

#define OWN "cairn"

int store_own_dir(const struct cairn_store *s, const char *sub, unsigned int mode)
{
	cleanup_fd int own = -1;

	if (s->bare)
		return -ENOENT;
	own = open_directory(s->dirfd, OWN);
	if (own == -ENOENT && mode) {
		if (mkdirat(s->dirfd, OWN, 0755) < 0 && errno != EEXIST)
			return -errno;
		own = open_directory(s->dirfd, OWN);
	}
	if (own < 0 || !sub)
		return take_fd(&own);
	if (mode && mkdirat(own, sub, mode) < 0 && errno != EEXIST)
		return -errno;
	return open_directory(own, sub);
}
