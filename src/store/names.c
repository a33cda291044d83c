/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Making, moving and removing names.
 *
 *	new      symlinkat
 *	move     symlinkat under .symlink-… in the store's directory, renameat over the old one
 *	durable  fsync of the directory, and of each directory above it that was made
 */
#include "store/names-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/utf8.h"
#include "sys/dir.h"
#include "tree/tree.h"

#define DIRECTORY_MODE 0755
#define ATTEMPTS       16 /* for a temporary name; each has 2^60 choices */
#define RACES          64 /* with others that remove directories as empty */

static const char *const kind_names[] = {[STORE_IMAGES] = "images", [STORE_STREAMS] = "streams"};

const char *store_kind_name(enum store_kind kind)
{
	return kind_names[kind];
}

static int refused(struct cairn_error *err, const char *name, const char *why)
{
	char quoted[512];

	return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "'%s' cannot be a name: %s",
			 error_quote(name, strlen(name), quoted, sizeof(quoted)), why);
}

static bool is_plain(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	return true;
}

static bool is_dots(const char *name, size_t len)
{
	return len && len <= 2 && name[0] == '.' && name[len - 1] == '.';
}

int store_check_name(const char *name, struct cairn_error *err)
{
	struct cairn_digest digest;

	if (strlen(name) > STORE_REF_MAX)
		return refused(err, name, "longer than 1024 bytes");
	if (!is_plain(name, strlen(name)) || !utf8_valid(name, strlen(name)))
		return refused(err, name, "control characters, or no UTF-8");
	if (!cairn_digest_from_hex(name, &digest) || !strncmp(name, "ref:", 4) ||
	    !strncmp(name, "sha256:", 7) || !strncmp(name, "sha512:", 7))
		return refused(err, name, "it would be taken for something else");
	for (const char *p = name;; p++) {
		size_t len = strcspn(p, "/");

		if (!len)
			return refused(err, name, "an empty part");
		if (len > STORE_NAME_MAX)
			return refused(err, name, "a part longer than 255 bytes");
		if (is_dots(p, len))
			return refused(err, name, "a part that is . or ..");
		p += len;
		if (!*p)
			return 0;
	}
}

/* What may be looked up: anything that stays inside. */
static int check_path(const char *name, struct cairn_error *err)
{
	if (!*name || strlen(name) > STORE_REF_MAX)
		return refused(err, name, "empty, or longer than 1024 bytes");
	for (const char *p = name;; p++) {
		size_t len = strcspn(p, "/");

		if (!len || len > STORE_NAME_MAX || is_dots(p, len))
			return refused(err, name, "an empty part, . or .., or a part too long");
		p += len;
		if (!*p)
			return 0;
	}
}

int store_check_entry(const char *name, struct cairn_error *err)
{
	size_t len = strlen(name);

	if (!len || len > STORE_NAME_MAX || is_dots(name, len) || strchr(name, '/') ||
	    !strcmp(name, "refs"))
		return refused(err, name, "not a name of one part");
	return 0;
}

/* --- directories ----------------------------------------------------------------------------- */

/* Opens directory @name in @dirfd, making it, and durably if so wanted, if it is missing. */
static int make_directory(int dirfd, const char *name, bool durable)
{
	int fd = open_directory(dirfd, name);

	if (fd != -ENOENT)
		return fd;
	if (mkdirat(dirfd, name, DIRECTORY_MODE) < 0 && errno != EEXIST)
		return -errno;
	if (durable && fsync(dirfd) < 0)
		return -errno;
	return open_directory(dirfd, name);
}

int names_make_parents(const struct cairn_store *s, const char *path, bool durable,
		       const char **ret_last)
{
	int fd = dup(s->dirfd);

	if (fd < 0)
		return -errno;
	for (const char *slash; (slash = strchr(path, '/')); path = slash + 1) {
		char name[STORE_NAME_MAX + 1];
		int next;

		snprintf(name, sizeof(name), "%.*s", (int)(slash - path), path);
		next = make_directory(fd, name, durable);
		close(fd);
		if (next < 0)
			return next;
		fd = next;
	}
	*ret_last = path;
	return fd;
}

/* The directory of @path, if it is there. */
static int open_parents(const struct cairn_store *s, const char *path, const char **ret_last)
{
	const char *slash = strrchr(path, '/');
	cleanup_free char *dir = strndup(path, (size_t)(slash - path));

	*ret_last = slash + 1;
	return dir ? open_beneath(s->dirfd, dir, O_RDONLY | O_DIRECTORY) : -ENOMEM;
}

/* --- links ----------------------------------------------------------------------------------- */

static int read_link(int dirfd, const char *name, char target[STORE_TARGET_MAX])
{
	ssize_t n = readlinkat(dirfd, name, target, STORE_TARGET_MAX);

	if (n < 0)
		return -errno;
	if (n == STORE_TARGET_MAX)
		return -ENAMETOOLONG;
	target[n] = '\0';
	return 0;
}

/* Puts a link in the place of the one that is there. */
static int move_link(const struct cairn_store *s, int dirfd, const char *name, const char *target)
{
	char temporary[32];
	uint64_t random;
	int r = -EEXIST;

	for (int i = 0; r == -EEXIST && i < ATTEMPTS; i++) {
		if (getrandom(&random, sizeof(random), 0) < 0)
			return -errno;
		snprintf(temporary, sizeof(temporary), ".symlink-%012llx",
			 (unsigned long long)random >> 16);
		r = symlinkat(target, s->dirfd, temporary) < 0 ? -errno : 0;
	}
	if (!r && renameat(s->dirfd, temporary, dirfd, name) < 0) {
		r = -errno;
		(void)unlinkat(s->dirfd, temporary, 0);
	}
	return r;
}

static int try_link(const struct cairn_store *s, const char *path, const char *target, bool replace,
		    bool durable)
{
	char old[STORE_TARGET_MAX];
	const char *name = path;
	cleanup_fd int dirfd = names_make_parents(s, path, true, &name);
	int r;

	if (dirfd < 0)
		return dirfd;
	r = symlinkat(target, dirfd, name) < 0 ? -errno : 0;
	if (r == -EEXIST) {
		r = read_link(dirfd, name, old);
		if (r == -EINVAL)
			return -EISDIR; /* something else has the name */
		if (!r && strcmp(old, target))
			r = replace ? move_link(s, dirfd, name, target) : -EEXIST;
	}
	/* Also a link that is there may not be durable yet. */
	if (!r && durable && fsync(dirfd) < 0)
		r = -errno;
	return r;
}

int names_set_link(const struct cairn_store *s, const char *path, const char *target, bool replace,
		   bool durable)
{
	int r = -ENOENT;

	/* Somebody may remove a directory as empty between our making it and the link in it. */
	for (int i = 0; r == -ENOENT && i < RACES; i++)
		r = try_link(s, path, target, replace, durable);
	return r;
}

int names_failed(const struct cairn_store *s, const struct names_link *link, const char *name,
		 int code, struct cairn_error *err)
{
	if (code == -EEXIST)
		return error_set(err, code, CAIRN_ERROR_USAGE,
				 "%s: is the name of another image (--move gives it to this one)",
				 name);
	if (code == -EISDIR)
		return error_set(err, code, CAIRN_ERROR_USAGE, "%s: there are names below it",
				 name);
	if (code == -ENOTDIR)
		return error_set(err, code, CAIRN_ERROR_USAGE,
				 "%s: a part of it is a name already, or no directory", name);
	return error_errno(err, code, "make %s/%s", s->path, link->path);
}

static bool is_bare(const struct cairn_store *s, struct cairn_error *err)
{
	if (s->bare)
		(void)error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				"%s: a bare directory of objects has no names", s->path);
	return s->bare;
}

/* --- entries --------------------------------------------------------------------------------- */

int names_entry_link(const struct cairn_store *s, enum store_kind kind, const char *name,
		     const struct cairn_digest *id, struct names_link *ret, struct cairn_error *err)
{
	int r = is_bare(s, err) ? -EINVAL : store_check_entry(name, err);

	if (r < 0)
		return r;
	snprintf(ret->path, sizeof(ret->path), "%s/%s", kind_names[kind], name);
	strcpy(ret->target, "../objects/");
	object_path(ret->target + strlen(ret->target), id->bytes,
		    cairn_digest_size((enum cairn_alg)id->alg));
	return 0;
}

int store_set_entry(struct cairn_store *s, enum store_kind kind, const char *name,
		    const struct cairn_digest *id, struct cairn_error *err)
{
	struct names_link link;
	int r = names_entry_link(s, kind, name, id, &link, err);

	if (r < 0)
		return r;
	r = names_set_link(s, link.path, link.target, true, true);
	return r < 0 ? names_failed(s, &link, name, r, err) : 0;
}

/* The id in the text of an entry's link. */
static const char *parse_entry(const char *target, struct cairn_digest *ret)
{
	static const char start[] = "../objects/";
	char hex[CAIRN_DIGEST_HEX_MAX + 2];
	const char *p = target + strlen(start);

	if (strncmp(target, start, strlen(start)) || strlen(p) < 3 || p[2] != '/' ||
	    strlen(p) >= sizeof(hex))
		return "its link is not ../objects/XX/YYYY…";
	memcpy(hex, p, 2);
	strcpy(hex + 2, p + 3);
	if (strspn(hex, "0123456789abcdef") != strlen(hex) || cairn_digest_from_hex(hex, ret) < 0)
		return "its link does not end in an object's name";
	return NULL;
}

static int malformed(struct cairn_error *err, const struct cairn_store *s, const char *path,
		     const char *why)
{
	return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s/%s: %s", s->path, path, why);
}

int store_entry(const struct cairn_store *s, enum store_kind kind, const char *name,
		struct cairn_digest *ret, struct cairn_error *err)
{
	char path[STORE_NAME_MAX + 16], target[STORE_TARGET_MAX];
	struct cairn_digest digest = {0};
	const char *last, *problem;
	cleanup_fd int dirfd = -1;
	int r = store_check_entry(name, err);

	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/%s", kind_names[kind], name);
	dirfd = open_parents(s, path, &last);
	r = dirfd < 0 ? dirfd : read_link(dirfd, last, target);
	if (r == -EINVAL)
		return malformed(err, s, path, "not a symbolic link");
	if (r < 0)
		return error_errno(err, r, "%s/%s", s->path, path);
	problem = parse_entry(target, &digest);
	if (problem)
		return malformed(err, s, path, problem);
	*ret = digest;
	return 0;
}

int store_drop_entry(struct cairn_store *s, enum store_kind kind, const char *name,
		     struct cairn_error *err)
{
	char path[STORE_NAME_MAX + 16];
	const char *last;
	cleanup_fd int dirfd = -1;
	int r = store_check_entry(name, err);

	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/%s", kind_names[kind], name);
	dirfd = open_parents(s, path, &last);
	if (dirfd < 0 || unlinkat(dirfd, last, 0) < 0 || fsync(dirfd) < 0)
		return error_errno(err, dirfd < 0 ? dirfd : -errno, "remove %s/%s", s->path, path);
	return 0;
}

/* --- references ------------------------------------------------------------------------------ */

static unsigned int count_slashes(const char *name)
{
	unsigned int nr = 0;

	for (; *name; name++)
		nr += *name == '/';
	return nr;
}

int names_ref_link(const struct cairn_store *s, enum store_kind kind, const char *name,
		   const char *target, struct names_link *ret, struct cairn_error *err)
{
	size_t len = 0;
	int r = is_bare(s, err) ? -EINVAL : store_check_name(name, err);

	if (!r)
		r = store_check_entry(target, err);
	if (r < 0)
		return r;
	snprintf(ret->path, sizeof(ret->path), "%s/refs/%s", kind_names[kind], name);
	for (unsigned int i = 0; i <= count_slashes(name); i++)
		len += (size_t)snprintf(ret->target + len, sizeof(ret->target) - len, "../");
	snprintf(ret->target + len, sizeof(ret->target) - len, "%s", target);
	return 0;
}

int store_set_ref(struct cairn_store *s, enum store_kind kind, const char *name, const char *target,
		  bool replace, struct cairn_error *err)
{
	struct names_link link;
	int r = names_ref_link(s, kind, name, target, &link, err);

	if (r < 0)
		return r;
	r = names_set_link(s, link.path, link.target, replace, true);
	return r < 0 ? names_failed(s, &link, name, r, err) : 0;
}

/* The entry in the text of the link of a reference with @nr slashes in its name. */
static const char *parse_ref(const char *target, unsigned int nr, char *ret)
{
	for (unsigned int i = 0; i <= nr; i++, target += 3)
		if (strncmp(target, "../", 3))
			return "its link has not one ../ for each part of its name";
	if (store_check_entry(target, NULL) < 0)
		return "its link does not end in one name";
	strcpy(ret, target);
	return NULL;
}

int store_ref(const struct cairn_store *s, enum store_kind kind, const char *name, char *ret,
	      struct cairn_error *err)
{
	char path[STORE_REF_MAX + 32], target[STORE_TARGET_MAX];
	const char *last, *problem;
	cleanup_fd int dirfd = -1;
	int r = check_path(name, err);

	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/refs/%s", kind_names[kind], name);
	dirfd = open_parents(s, path, &last);
	r = dirfd < 0 ? dirfd : read_link(dirfd, last, target);
	if (r == -ELOOP || r == -ENOTDIR)
		r = -ENOENT; /* it would be below a name, or below somebody's link */
	if (r == -EINVAL)
		return malformed(err, s, path, "not a symbolic link");
	if (r < 0)
		return error_errno(err, r, "%s/%s", s->path, path);
	problem = parse_ref(target, count_slashes(name), ret);
	return problem ? malformed(err, s, path, problem) : 0;
}

/* Removes the directories above @path up to refs/ that are empty. */
static void drop_empty(const struct cairn_store *s, char *path)
{
	char *slash;

	while ((slash = strrchr(path, '/'))) {
		const char *last;
		cleanup_fd int dirfd = -1;

		*slash = '\0';
		if (strlen(path) < 6 || !strcmp(path + strlen(path) - 5, "/refs"))
			return;
		dirfd = open_parents(s, path, &last);
		if (dirfd < 0 || unlinkat(dirfd, last, AT_REMOVEDIR) < 0)
			return;
	}
}

int store_drop_ref(struct cairn_store *s, enum store_kind kind, const char *name,
		   struct cairn_error *err)
{
	char path[STORE_REF_MAX + 32];
	const char *last;
	cleanup_fd int dirfd = -1;
	int r = check_path(name, err);

	if (r < 0)
		return r;
	if (s->read_only)
		return error_errno(err, -EROFS, "%s", s->path);
	snprintf(path, sizeof(path), "%s/refs/%s", kind_names[kind], name);
	dirfd = open_parents(s, path, &last);
	if (dirfd < 0 || unlinkat(dirfd, last, 0) < 0 || fsync(dirfd) < 0) {
		r = dirfd < 0 ? dirfd : -errno;
		if (r == -ENOENT || r == -EISDIR || r == -ENOTDIR || r == -ELOOP)
			return error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM, "%s: no such name in %s",
					 name, s->path);
		return error_errno(err, r, "remove %s/%s", s->path, path);
	}
	drop_empty(s, path);
	return 0;
}
