/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What this kernel, these file systems and this user can do: every question that is asked before
 * something is mounted, and what `cairn features` prints.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "mount/mount-internal.h"
#include "sys/mount_api.h"
#include "sys/verity.h"

/* Objects looked at in a store, each in another of its 256 directories, before CAIRN_VERITY_TRY
 * believes that all of them have fs-verity. A store is usually all or nothing; one that was copied
 * over a file system without it in parts is found with few looks. */
#define SAMPLES 8

/* --- overlayfs ------------------------------------------------------------------------------- */

bool overlay_is_old(int fs)
{
	return fs_set_string(fs, "unsupported", "unsupported", NULL) == 0;
}

int overlay_takes_verity(struct cairn_error *err)
{
	cleanup_fd int fs = fs_open("overlay", err);

	if (fs < 0)
		return fs;
	return !overlay_is_old(fs) && fs_set_string(fs, "verity", "require", NULL) == 0;
}

/* --- stores ---------------------------------------------------------------------------------- */

/* Whether the file @name of @dir has fs-verity: 1 or 0; -1: it is no object. */
static int sample_file(int dir, const char *name)
{
	cleanup_fd int fd = -1;
	struct cairn_digest digest;
	struct stat st;

	if (name[0] == '.') /* nor are files that are still being written */
		return -1;
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	return verity_measure(fd, &digest) == 0;
}

/* The same of the first object in directory @name of @store. */
static int sample_directory(int store, const char *name)
{
	int fd = openat(store, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *e;
	int found = -1;
	DIR *dir;

	if (fd < 0)
		return -1;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -1;
	}
	while (found < 0 && (e = readdir(dir)))
		found = sample_file(fd, e->d_name);
	closedir(dir);
	return found;
}

bool objects_have_verity(int store)
{
	static const char digits[] = "0123456789abcdef";
	int found, seen = 0;

	for (int i = 0; i < 256 && seen < SAMPLES; i++) {
		/* 167 is odd, so every directory has its turn; neighbours come far apart. */
		int n = i * 167 % 256;
		char name[3] = {digits[n >> 4], digits[n & 15], '\0'};

		found = sample_directory(store, name);
		if (found == 0)
			return false;
		seen += found > 0;
	}
	return true;
}
