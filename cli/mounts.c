/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Notes about mounts: a file MAJOR:MINOR with three lines, the source of the mount as the kernel shows it
 * (a note about another file system that had the number before is thus known), format and path of the
 * image. It appears whole or not at all.
 */
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define NOTE_MAX (PATH_MAX + 512)

const char *state_word(enum cairn_state state)
{
	static const char *const words[] = {"unverified", "checked", "enforced"};

	return words[state];
}

const char *backend_word(enum cairn_backend backend)
{
	static const char *const words[] = {NULL, "kernel", "overlay", "fuse"};

	return words[backend];
}

/* Directory number @i where notes may be. Returns whether there is such a one. */
static bool place(unsigned int i, char *path, size_t size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (i == 0) {
		snprintf(path, size, "/run/cairn");
		return true;
	}
	return i == 1 && runtime && runtime[0] == '/' &&
	       (size_t)snprintf(path, size, "%s/cairn", runtime) < size;
}

/* The one that this user writes to, made if it is missing. Returns a descriptor or -1. */
static int open_own_place(bool make)
{
	char path[PATH_MAX];

	if (!place(geteuid() == 0 ? 0 : 1, path, sizeof(path)))
		return -1;
	if (make)
		(void)mkdir(path, 0755);
	return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* --- which mount ----------------------------------------------------------------------------- */

struct search {
	dev_t dev;
	char *source; /* on the heap; NULL: not found */
};

static int match(void *arg, const struct cairn_mounted *m)
{
	struct search *s = (struct search *)arg;

	if (makedev(m->dev_major, m->dev_minor) != s->dev)
		return 0;
	free(s->source);
	s->source = strdup(m->source);
	return 0;
}

static char *source_of(dev_t dev)
{
	struct search s = {.dev = dev};

	return cairn_mount_list(match, &s, NULL) < 0 ? NULL : s.source;
}

/* --- notes ----------------------------------------------------------------------------------- */

static void write_note(int dir, const char *name, const char *note, size_t len)
{
	char temporary[64];
	int fd;

	snprintf(temporary, sizeof(temporary), ".tmp-%d", (int)getpid());
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	if (write(fd, note, len) != (ssize_t)len || renameat(dir, temporary, dir, name) < 0)
		(void)unlinkat(dir, temporary, 0);
	close(fd);
}

void record_write(const char *target, const char *path, int format)
{
	int dir cleanup_fd = open_own_place(true);
	char real[PATH_MAX], note[NOTE_MAX], name[64];
	struct stat st;
	int len;

	if (dir < 0 || stat(target, &st) < 0 || !realpath(path, real))
		return;
	char *source cleanup_free = source_of(st.st_dev);

	if (!source)
		return;
	snprintf(name, sizeof(name), "%u:%u", major(st.st_dev), minor(st.st_dev));
	len = snprintf(note, sizeof(note), "%s\n%d\n%s\n", source, format, real);
	if (len > 0 && (size_t)len < sizeof(note))
		write_note(dir, name, note, (size_t)len);
}

static bool read_note(int fd, const struct cairn_mounted *m, char path[PATH_MAX], int *format)
{
	char note[NOTE_MAX];
	const ssize_t n = read(fd, note, sizeof(note) - 1);
	const size_t len = strlen(m->source);
	char *end;

	if (n < 2 || note[n - 1] != '\n')
		return false;
	note[n - 1] = '\0';
	if (strncmp(note, m->source, len) != 0 || note[len] != '\n')
		return false;
	*format = (int)strtol(note + len + 1, &end, 10);
	return *end == '\n' && (size_t)snprintf(path, PATH_MAX, "%s", end + 1) < PATH_MAX;
}

bool record_read(const struct cairn_mounted *m, char path[PATH_MAX], int *format)
{
	char dir[PATH_MAX], name[PATH_MAX + 64];

	for (unsigned int i = 0; place(i, dir, sizeof(dir)); i++) {
		snprintf(name, sizeof(name), "%s/%u:%u", dir, m->dev_major, m->dev_minor);
		int fd cleanup_fd = open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

		if (fd >= 0 && read_note(fd, m, path, format))
			return true;
	}
	return false;
}

uint64_t record_device(const char *target)
{
	struct stat st;

	return stat(target, &st) < 0 ? 0 : st.st_dev;
}

void record_drop(uint64_t dev)
{
	int dir cleanup_fd = open_own_place(false);
	char *source cleanup_free = NULL;
	char name[64];

	if (dir < 0 || !dev)
		return;
	source = source_of(dev);
	if (source) /* bound somewhere else */
		return;
	snprintf(name, sizeof(name), "%u:%u", major(dev), minor(dev));
	(void)unlinkat(dir, name, 0);
}
