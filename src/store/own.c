/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* STORE/cairn: the folder that is ours alone. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "store/store.h"
#include "sys/dir.h"
#include "sys/io.h"

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

int store_own_write(const struct cairn_store *s, const char *name, const void *data, size_t len)
{
	struct pending p cleanup_pending = PENDING_INIT;
	cleanup_fd int folder = store_own_dir(s, NULL, 0755);
	int r = folder < 0 ? folder : pending_open(folder, ".tmp-", 0644, &p);

	if (!r)
		r = write_all(p.fd, data, len);
	if (!r && fsync(p.fd) < 0)
		r = -errno;
	if (!r)
		r = pending_replace(&p, name);
	return !r && fsync(folder) < 0 ? -errno : r;
}
