/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Opening a store: which layout, which algorithm (repository §1 to §4). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hex.h"
#include "store/lease.h"
#include "store/store.h"
#include "sys/dir.h"
#include "sys/io.h"

/* A repository holds every byte of the trees in it, readable: who may look is told by its directory
 * alone (repository §1). A bare directory is made as mkcomposefs does (tools §1.3). */
#define REPOSITORY_MODE 0700
#define BARE_MODE       0755

enum layout { LAYOUT_EMPTY, LAYOUT_BARE, LAYOUT_OTHER };

/* Answers of the callbacks below that end a list early; no errno of a system call. */
#define STOP (-1000)

static bool is_hex(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (hex_digit(name[i]) < 0 || (name[i] >= 'A' && name[i] <= 'F'))
			return false;
	return true;
}

static int look_for_layout(void *arg, const char *name, size_t len, unsigned char type)
{
	enum layout *layout = (enum layout *)arg;

	(void)type;
	/* What a new file system and an interrupted mkcomposefs leave. */
	if (name[0] == '.' || !strcmp(name, "lost+found"))
		return 0;
	if (len == 2 && is_hex(name, len)) {
		*layout = LAYOUT_BARE;
		return STOP;
	}
	*layout = LAYOUT_OTHER;
	return 0;
}

/* --- algorithm ------------------------------------------------------------------------------- */

/* Which algorithm the names in one xx directory are of. */
static int look_at_name(void *arg, const char *name, size_t len, unsigned char type)
{
	enum cairn_alg *alg = (enum cairn_alg *)arg;

	(void)type;
	if (!is_hex(name, len))
		return 0;
	if (len == 62)
		*alg = CAIRN_SHA256;
	else if (len == 126)
		*alg = CAIRN_SHA512;
	else
		return 0;
	return STOP;
}

struct alg_search {
	int objects;
	enum cairn_alg alg;
	_Alignas(8) char buffer[8192];
};

static int look_into_prefix(void *arg, const char *name, size_t len, unsigned char type)
{
	struct alg_search *search = (struct alg_search *)arg;
	cleanup_fd int fd = -1;
	int r;

	if (len != 2 || !is_hex(name, len) || (type != DT_DIR && type != DT_UNKNOWN))
		return 0;
	fd = open_directory(search->objects, name);
	if (fd < 0)
		return fd == -ENOTDIR ? 0 : fd;
	r = dir_list(fd, search->buffer, sizeof(search->buffer), look_at_name, &search->alg);
	return r;
}

static int alg_of_names(struct cairn_store *s)
{
	struct alg_search search = {.objects = s->objects};
	_Alignas(8) char buffer[8192];
	int r;

	r = dir_list(s->objects, buffer, sizeof(buffer), look_into_prefix, &search);
	if (r < 0 && r != STOP)
		return r;
	(void)lseek(s->objects, 0, SEEK_SET);
	s->empty = !search.alg;
	if (!s->empty && !s->alg_fixed) {
		s->alg = search.alg;
		s->alg_fixed = true;
	}
	return 0;
}

/* --- layout ---------------------------------------------------------------------------------- */

/* Makes one directory and its name in the one above durable. */
static int make_one(char *path, mode_t mode)
{
	char *slash = strrchr(path, '/');
	cleanup_fd int parent = -1;

	if (mkdir(path, mode) < 0)
		return errno == EEXIST ? 0 : -errno;
	if (slash && slash > path) {
		*slash = '\0';
		parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		*slash = '/';
	} else {
		parent = open(slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return parent < 0 || fsync(parent) < 0 ? -errno : 0;
}

int store_make_directory(const char *path, bool bare)
{
	cleanup_free char *copy = strdup(path);
	size_t len = copy ? strlen(copy) : 0;
	int r;

	if (!copy)
		return -ENOMEM;
	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	for (char *p = copy + 1; *copy && *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		r = make_one(copy, BARE_MODE);
		*p = '/';
		if (r < 0)
			return r;
	}
	return make_one(copy, bare ? BARE_MODE : REPOSITORY_MODE);
}

static bool is_repository(const struct cairn_store *s)
{
	struct stat st;

	return (!fstatat(s->dirfd, "objects", &st, AT_SYMLINK_NOFOLLOW) && S_ISDIR(st.st_mode)) ||
	       (!fstatat(s->dirfd, "meta.json", &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode));
}

/* Finds out whether the directory itself has the objects, and whether anything is there. */
static int find_layout(struct cairn_store *s, const char *path, struct cairn_error *err)
{
	enum layout layout = LAYOUT_EMPTY;
	_Alignas(8) char buffer[8192];
	int r;

	if (is_repository(s))
		return 0;
	r = dir_list(s->dirfd, buffer, sizeof(buffer), look_for_layout, &layout);
	if (r < 0 && r != STOP)
		return error_errno(err, r, "list %s", path);
	(void)lseek(s->dirfd, 0, SEEK_SET);
	/* What is there now, somebody may have made since the first look. */
	if (layout == LAYOUT_OTHER && is_repository(s))
		return 0;
	if (layout == LAYOUT_OTHER)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "%s: neither a repository nor a directory of objects", path);
	s->bare = layout == LAYOUT_BARE;
	s->fresh = layout == LAYOUT_EMPTY;
	return 0;
}

static int open_layout(struct cairn_store *s, const char *path, struct cairn_error *err)
{
	int r = s->bare ? 0 : find_layout(s, path, err);

	if (r < 0)
		return r;
	s->path = strdup(path);
	if (!s->path || asprintf(&s->objects_path, s->bare ? "%s" : "%s/objects", path) < 0) {
		s->objects_path = NULL;
		return error_errno(err, -ENOMEM, "open %s", path);
	}
	s->objects = open_directory(s->dirfd, s->bare ? "." : "objects");
	if (s->objects < 0 && s->objects != -ENOENT)
		return error_errno(err, s->objects, "open %s", s->objects_path);

	r = s->bare ? 0 : store_read_meta(s, err);
	if (r < 0)
		return r;
	if (s->objects < 0)
		return 0;
	r = alg_of_names(s);
	return r < 0 ? error_errno(err, r, "list %s", s->objects_path) : 0;
}

int store_open(const char *path, unsigned int flags, struct cairn_store **ret,
	       struct cairn_error *err)
{
	cleanup(store) struct cairn_store *s = (struct cairn_store *)calloc(1, sizeof(*s));
	int r;

	if (!s)
		return error_errno(err, -ENOMEM, "open %s", path);
	s->alg = CAIRN_SHA256;
	s->read_only = flags & CAIRN_STORE_READ_ONLY;
	s->bare = flags & CAIRN_STORE_BARE;
	s->objects = s->lock = -1;
	s->early = EARLY_INIT;
	s->empty = true;
	s->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dirfd < 0 && errno == ENOENT && flags & CAIRN_STORE_CREATE) {
		r = store_make_directory(path, s->bare);
		if (r < 0)
			return error_errno(err, r, "make directory %s", path);
		s->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (s->dirfd < 0)
		return error_errno(err, -errno, "open %s", path);

	r = open_layout(s, path, err);
	if (!r && !(flags & CAIRN_STORE_NO_PARENTS))
		r = store_open_parents(s, err);
	if (r < 0)
		return r;
	*ret = take_ptr(s);
	return 0;
}

void store_close(struct cairn_store *s)
{
	if (!s)
		return;
	early_end(&s->early);
	lease_end(s->lease);
	if (s->lock >= 0)
		close(s->lock);
	while (s->nr_parents)
		store_close(s->parents[--s->nr_parents]);
	if (s->dirfd >= 0)
		close(s->dirfd);
	if (s->objects >= 0)
		close(s->objects);
	free(s->path);
	free(s->objects_path);
	free(s);
}

int store_open_part(const struct cairn_store *s, unsigned int i)
{
	const uint8_t byte = (uint8_t)i;
	char name[3];

	*hex_put(name, &byte, 1) = '\0';
	return s->objects < 0 ? -ENOENT : open_directory(s->objects, name);
}
