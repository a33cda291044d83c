/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Which images are mounted, in whatever mount namespace of this machine we may look into. */
#include "api/mounted.h"

#include <cairn/mount.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "mount/mount.h"
#include "store/keyset.h"
#include "sys/io.h"

#define TABLE_MAX (256u << 20) /* bytes of a mount table: fs.mount-max of 2 KiB */

struct looking {
	int (*fn)(void *arg, const struct cairn_digest *id);
	void *arg;
};

static int tell_mounted(void *arg, const struct cairn_mounted *m)
{
	const struct looking *l = (const struct looking *)arg;

	return m->digest.alg ? l->fn(l->arg, &m->digest) : 0;
}

/* The table in /proc/@pid. One that cannot be read, or goes away, has nothing to tell us. */
static int look_into(const char *pid, const struct looking *l)
{
	cleanup_free char *text = NULL;
	size_t size = 65536, len = 0;
	cleanup_fd int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%.16s/mountinfo", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	for (;;) {
		char *more = fd < 0 ? NULL : (char *)realloc(text, size + 1);
		ssize_t n;

		if (!more)
			return 0;
		text = more;
		n = read_full(fd, text + len, size - len);
		if (n < 0)
			return 0;
		len += (size_t)n;
		if (len < size)
			break;
		size *= 2;
		if (size > TABLE_MAX)
			return 0;
	}
	text[len] = '\0';
	return mount_list_text(text, tell_mounted, (void *)(uintptr_t)l);
}

int mounted_images(int (*fn)(void *arg, const struct cairn_digest *id), void *arg)
{
	const struct looking l = {fn, arg};
	struct keyset seen = {0};
	DIR *proc = opendir("/proc");
	int r = look_into("self", &l);

	for (struct dirent *e; proc && !r && (e = readdir(proc));) {
		char path[64];
		struct stat st;

		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/ns/mnt", e->d_name);
		if (!stat(path, &st) && keyset_add(&seen, st.st_ino) > 0)
			r = look_into(e->d_name, &l);
	}
	if (proc)
		closedir(proc);
	keyset_fini(&seen);
	return r;
}
