/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Files of the store's own folder that may be deleted at any time: STORE/cairn/cache/NAME.
 *
 *  1. A file is replaced as a whole. Two writers: the later one's stays.
 *  2. Only what this user has written, and nobody else can write, is read.
 *  3. There are at most CACHE_FILES_MAX; the one that was used least lately goes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "store/store.h"
#include "sys/dir.h"
#include "sys/io.h"
#include "sys/place.h"

#define CACHE_FOLDER      "cache"
#define CACHE_FOLDER_MODE 0700 /* contents of small files are in there */
#define CACHE_FILES_MAX   64

static int open_folder(const struct cairn_store *s, bool create)
{
	return store_own_dir(s, CACHE_FOLDER, create ? CACHE_FOLDER_MODE : 0);
}

static bool is_ours(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_uid == geteuid() && !(st->st_mode & 022);
}

int store_cache_read(const struct cairn_store *s, const char *name, size_t max, void **ret,
		     size_t *ret_size)
{
	cleanup_fd int folder = open_folder(s, false);
	cleanup_fd int fd = -1;
	cleanup_free void *data = NULL;
	struct stat st;
	ssize_t n;

	if (folder < 0)
		return folder;
	fd = open_beneath(folder, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!is_ours(&st))
		return -EPERM;
	if (st.st_size <= 0 || (uint64_t)st.st_size > max)
		return -EFBIG;
	data = io_buffer((size_t)st.st_size);
	if (!data)
		return -ENOMEM;
	n = pread_full(fd, data, (size_t)st.st_size, 0);
	if (n != st.st_size)
		return n < 0 ? (int)n : -EIO;
	/* It was used now (invariant 3). */
	(void)futimens(fd, NULL);
	*ret = take_ptr(data);
	*ret_size = (size_t)n;
	return 0;
}

struct oldest {
	int folder;
	unsigned int nr;
	struct timespec time;
	char name[256];
};

static int note_oldest(void *arg, const char *name, size_t len, unsigned char type)
{
	struct oldest *o = (struct oldest *)arg;
	struct stat st;

	(void)type;
	if (len >= sizeof(o->name) || fstatat(o->folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    S_ISDIR(st.st_mode))
		return 0;
	if (!o->nr++ || st.st_mtim.tv_sec < o->time.tv_sec ||
	    (st.st_mtim.tv_sec == o->time.tv_sec && st.st_mtim.tv_nsec < o->time.tv_nsec)) {
		o->time = st.st_mtim;
		memcpy(o->name, name, len + 1);
	}
	return 0;
}

static void remove_oldest(int folder)
{
	struct oldest o = {.folder = folder};
	_Alignas(8) char buffer[8192];

	if (!dir_list(folder, buffer, sizeof(buffer), note_oldest, &o) && o.nr > CACHE_FILES_MAX)
		(void)unlinkat(folder, o.name, 0);
}

int store_cache_write(const struct cairn_store *s, const char *name, const void *data, size_t size)
{
	cleanup_pending struct pending p = PENDING_INIT;
	cleanup_fd int folder = open_folder(s, true);
	int r;

	if (folder < 0)
		return folder;
	r = pending_open(folder, ".tmp-", 0600, &p);
	if (!r)
		r = write_all(p.fd, data, size);
	if (!r)
		r = pending_replace(&p, name);
	if (!r)
		remove_oldest(folder);
	return r;
}

void store_cache_remove(const struct cairn_store *s, const char *name)
{
	cleanup_fd int folder = open_folder(s, false);

	if (folder >= 0)
		(void)unlinkat(folder, name, 0);
}

/* The later of *@ret and the ctime of @s' directory. Returns whether there is one, or a negative errno. */
static int later_stamp(const struct cairn_store *s, const char name[3], struct timespec *ret)
{
	struct stat st;

	if (s->objects < 0)
		return 0;
	/* A server's times are its own. */
	if (!place_is_ordinary(s->objects))
		return -EOPNOTSUPP;
	if (fstatat(s->objects, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (st.st_ctim.tv_sec > ret->tv_sec ||
	    (st.st_ctim.tv_sec == ret->tv_sec && st.st_ctim.tv_nsec > ret->tv_nsec))
		*ret = st.st_ctim;
	return 1;
}

int store_stamp(const struct cairn_store *s, uint8_t first, struct timespec *ret)
{
	static const char digits[] = "0123456789abcdef";
	const char name[3] = {digits[first >> 4], digits[first & 15], '\0'};
	struct timespec stamp = {0};
	int found = later_stamp(s, name, &stamp);

	/* Whatever happens in one of them happens later than all that has happened. */
	for (unsigned int i = 0; found >= 0 && i < s->nr_parents; i++) {
		int r = later_stamp(s->parents[i], name, &stamp);

		found = r < 0 ? r : found | r;
	}
	if (found <= 0)
		return found < 0 ? found : -ENOENT;
	*ret = stamp;
	return 0;
}
