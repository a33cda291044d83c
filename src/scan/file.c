/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * One name that is not a directory: its facts.
 *
 *	regular files	openat, read, fstat, flistxattr, close; on file systems that are not ordinary,
 *			and for files that changed lately, openat, fstat, flistxattr, read, fstat, close
 *	others		fstatat, listxattrat, readlinkat
 *	with a cache	fstatat; the rest only of what it does not know
 *
 * An open file is asked by its descriptor: each of these calls by name would walk the path again. On a
 * small file, a call is a tenth of all the time.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

#include "scan/scan-internal.h"
#include "sys/dir.h"
#include "sys/xattrs.h"

#define XATTR_NAMES_FIRST 256   /* bytes; the kernel allocates what is asked for */
#define XATTR_NAMES_MAX   65536 /* bytes of all names of a file: the kernel's limit */
#define XATTR_VALUES_MAX  (XATTR_VALUE_MAX + XATTR_TOTAL_MAX + 1)
#define XATTR_VALUE_FIRST 512
#define XATTR_INPUTS_MAX  (XATTR_NAMES_MAX / 2)

/* The on-disk encoding (image-format §7.5). */
static uint32_t device_number(dev_t dev)
{
	uint32_t ma = major(dev);
	uint32_t mi = minor(dev);

	return (mi & 0xff) | (ma & 0xfff) << 8 | (mi & ~0xffu) << 12;
}

void node_set_facts(struct worker *w, struct node *n, const struct stat *st)
{
	n->mode = (uint16_t)st->st_mode;
	n->uid = st->st_uid;
	n->gid = st->st_gid;
	n->nlink = 1;
	n->size = (uint64_t)st->st_size;
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		n->device.rdev = device_number(st->st_rdev);
	if (w->scan->flags & CAIRN_SCAN_USE_EPOCH)
		return;
	n->mtime = st->st_mtim.tv_sec;
	n->mtime_nsec = (uint32_t)st->st_mtim.tv_nsec;
}

/* --- xattrs ---------------------------------------------------------------------------------- */

static int make_xattr_space(struct worker *w)
{
	if (w->xattr_names)
		return 0;
	w->xattr_names = (char *)malloc(XATTR_NAMES_MAX);
	w->xattr_values = (char *)malloc(XATTR_VALUES_MAX);
	w->xattr_inputs = (struct xattr_input *)malloc(XATTR_INPUTS_MAX * sizeof(*w->xattr_inputs));
	if (!w->xattr_names || !w->xattr_values || !w->xattr_inputs)
		return scan_out_of_memory(w);
	return 0;
}

static ssize_t read_value(const struct xattr_place *place, const char *attribute, char *value,
			  size_t size)
{
	ssize_t n = xattr_get_value(place, attribute, value, MIN(size, (size_t)XATTR_VALUE_FIRST));

	if (n != -ERANGE || size <= XATTR_VALUE_FIRST)
		return n;
	return xattr_get_value(place, attribute, value, size);
}

/* Reads the values of the @len bytes of names. Returns how many attributes there are, or a negative
 * errno. */
static ssize_t read_values(struct worker *w, const struct xattr_place *place, size_t len)
{
	size_t used = 0;
	size_t nr = 0;

	for (size_t at = 0; at < len;) {
		const char *name = w->xattr_names + at;
		size_t name_len = strlen(name);
		ssize_t n;

		at += name_len + 1;
		if (w->scan->flags & CAIRN_SCAN_USER_XATTRS && strncmp(name, "user.", 5))
			continue;
		n = read_value(place, name, w->xattr_values + used, XATTR_VALUES_MAX - used);
		/* Gone since, or only listed. */
		if (n == -ENODATA || n == -EOPNOTSUPP)
			continue;
		if (n < 0)
			return n;
		w->xattr_inputs[nr++] = (struct xattr_input){
			.name = name,
			.value = w->xattr_values + used,
			.name_len = (uint32_t)name_len,
			.value_len = (uint32_t)n,
		};
		used += (size_t)n;
	}
	return (ssize_t)nr;
}

int node_read_xattrs(struct worker *w, struct node *n, int fd, const char *name)
{
	const struct xattr_place place = {.fd = fd, .name = name};
	ssize_t len;
	ssize_t nr;
	int r;

	if (w->scan->flags & CAIRN_SCAN_SKIP_XATTRS)
		return 0;
	/* Asked for the size alone the kernel allocates nothing, and most files have none. Where one
	 * has some, the next probably has, too. */
	len = xattr_list_names(&place, w->xattr_names, w->had_xattrs ? XATTR_NAMES_FIRST : 0);
	if (!len || len == -EOPNOTSUPP) {
		w->had_xattrs = false;
		return 0;
	}
	r = make_xattr_space(w);
	if (r < 0)
		return r;
	if (!w->had_xattrs || len == -ERANGE)
		len = xattr_list_names(&place, w->xattr_names, XATTR_NAMES_MAX);
	if (len < 0)
		return scan_fail_errno(w, n, (int)len, "list xattrs of");
	w->had_xattrs = true;
	nr = read_values(w, &place, (size_t)len);
	if (nr < 0)
		return scan_fail_errno(w, n, (int)nr, "read xattrs of");

	r = tree_xattrs(w->shard, w->xattr_inputs, (size_t)nr, &n->xattrs);
	if (r == -ENOMEM)
		return scan_out_of_memory(w);
	if (r < 0)
		return scan_fail(w, n, r, CAIRN_ERROR_UNSUPPORTED,
				 "has more extended attributes than an image can hold");
	return 0;
}

/* --- entries --------------------------------------------------------------------------------- */

static int changed(struct worker *w, const struct node *n)
{
	return scan_fail(w, n, -EAGAIN, CAIRN_ERROR_SYSTEM, "changed while it was read");
}

int claim_name(struct worker *w, struct node *n, const struct stat *st)
{
	int r;

	if (st->st_nlink < 2 || w->scan->flags & CAIRN_SCAN_SPLIT_HARDLINKS)
		return 0;
	r = links_claim(w->scan->links, n, st);
	if (r == -ENOMEM)
		return scan_out_of_memory(w);
	if (r == -ESTALE) {
		r = changed(w, n);
		return r < 0 ? r : 1;
	}
	return !r;
}

static int gather_file(struct worker *w, int dirfd, struct node *n)
{
	cleanup_fd int fd = -1;
	size_t ahead = 0;
	struct stat st;
	int r;

	fd = open_quietly(dirfd, n->name, &w->no_atime_refused);
	/* A link, or a socket or device, took the place of the file. */
	if (fd == -ELOOP || fd == -ENXIO)
		return changed(w, n);
	if (fd < 0)
		return scan_fail_errno(w, n, fd, "open");
	if (w->ordinary) {
		r = content_read_ahead(w, fd, &ahead);
		if (r < 0)
			return r;
	}
	if (fstat(fd, &st) < 0)
		return scan_fail_errno(w, n, -errno, "stat");
	if (!S_ISREG(st.st_mode))
		return changed(w, n);

	r = claim_name(w, n, &st);
	if (r)
		return r < 0 ? r : 0;
	node_set_facts(w, n, &st);
	r = node_read_xattrs(w, n, fd, NULL);
	if (r < 0)
		return r;
	w->files++;
	if (w->place) {
		r = cache_note(w, n, &st);
		if (r < 0)
			return r;
	}
	return content_read(w, n, fd, &st, ahead);
}

static int gather_target(struct worker *w, int dirfd, struct node *n)
{
	char target[TREE_PATH_MAX + 1];
	ssize_t len = readlinkat(dirfd, n->name, target, sizeof(target));

	if (len < 0 && errno == EINVAL)
		return changed(w, n);
	if (len < 0)
		return scan_fail_errno(w, n, -errno, "read link");
	if (len == 0 || len > TREE_PATH_MAX)
		return scan_fail(w, n, -ENAMETOOLONG, CAIRN_ERROR_UNSUPPORTED,
				 "the target of a symbolic link has 1 to 4095 bytes");
	n->size = (uint64_t)len;
	n->symlink.target = arena_dup(&w->shard->arena, target, (size_t)len);
	return n->symlink.target ? 0 : scan_out_of_memory(w);
}

int gather_entry(struct worker *w, int dirfd, struct node *n)
{
	struct stat st;
	int r;

	if (S_ISREG(n->mode) && !w->place)
		return gather_file(w, dirfd, n);

	if (fstatat(dirfd, n->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return scan_fail_errno(w, n, -errno, "stat");
	if ((st.st_mode & S_IFMT) != n->mode)
		return changed(w, n);
	if (w->place) {
		r = cached_entry(w, n, &st);
		if (r)
			return r < 0 ? r : 0;
		if (S_ISREG(n->mode))
			return gather_file(w, dirfd, n);
	}
	r = claim_name(w, n, &st);
	if (r)
		return r < 0 ? r : 0;
	node_set_facts(w, n, &st);
	r = node_read_xattrs(w, n, dirfd, n->name);
	if (!r && w->place)
		r = cache_note(w, n, &st);
	if (r < 0)
		return r;
	if (S_ISLNK(st.st_mode))
		return gather_target(w, dirfd, n);
	return 0;
}
