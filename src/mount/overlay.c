/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The upper of the two mounts: overlayfs over the image, with the stores as data-only layers. The
 * ways to make it, and which kernel has each, are in the map at the top of mount.c.
 *
 * Invariant: a way that this kernel lacks is told from a mount that it refuses. Only the former goes
 * on to the next way, or an older one could accept what a newer one refused for a good reason.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "mount/mount-internal.h"
#include "sys/kernel_log.h"
#include "sys/mount_api.h"

#define OPTION_STRING_MAX 4096 /* with NUL: mount(2) reads a page */

/* What a way returns for "this kernel lacks me"; no kernel returns it to mount calls. */
#define LACKING (-ENOPKG)

/* The context with everything but the layers. */
static int open_context(const struct mount_plan *p, struct cairn_error *err)
{
	cleanup_fd int fs = fs_open("overlay", err);
	int r;

	if (fs < 0)
		return fs;
	if (overlay_is_old(fs))
		return error_set(err, LACKING, CAIRN_ERROR_UNSUPPORTED,
				 "this kernel takes no layers one by one");

	/* With userxattr a data-only layer is enough for redirects to be followed, and the two options
	 * are refused. */
	r = fs_set_string(fs, "source", p->source, err);
	if (r == 0 && p->user)
		r = fs_set_flag(fs, "userxattr", err);
	if (r == 0 && !p->user)
		r = fs_set_string(fs, "metacopy", "on", err);
	if (r == 0 && !p->user)
		r = fs_set_string(fs, "redirect_dir", "on", err);
	if (r == 0 && p->verity)
		r = fs_set_string(fs, "verity", "require", err);
	return r < 0 ? r : take_fd(&fs);
}

/* --- by descriptor --------------------------------------------------------------------------- */

/* With an upper directory the numbers are already those of its file system. Without the layer the
 * mount is as good, so what went wrong with it is not told. */
static int statfs_layer(const struct mount_plan *p, int image)
{
	if (p->upper.fd >= 0 || p->options->flags & (CAIRN_MOUNT_IMAGE_STATFS | CAIRN_MOUNT_COMPAT))
		return -1;
	return statfs_mount(p, image, NULL);
}

/* The layers that hold names. They are good mounts: when they are refused, it is because this kernel
 * does not take mounts that hang nowhere. */
static int set_names_by_fd(int fs, int statfs, int image)
{
	if (statfs >= 0) {
		/* Two file systems under one mount: xino makes their inode numbers unique and puts
		 * all of them on one device, as they are without this layer. */
		if (fs_set_string(fs, "xino", "on", NULL) < 0 ||
		    fs_set_fd(fs, "lowerdir+", statfs, NULL) < 0)
			return LACKING;
	}
	return fs_set_fd(fs, "lowerdir+", image, NULL) < 0 ? LACKING : 0;
}

static int set_dirs_by_fd(const struct mount_plan *p, int fs, struct cairn_error *err)
{
	int r;

	for (size_t i = 0; i < p->options->nr_basedirs; i++) {
		r = fs_set_fd(fs, "datadir+", p->bases[i].fd, err);
		if (r < 0) {
			error_prepend(err, "%s", p->bases[i].path);
			return r;
		}
	}
	if (p->upper.fd < 0)
		return 0;
	r = fs_set_fd(fs, "upperdir", p->upper.fd, err);
	return r < 0 ? r : fs_set_fd(fs, "workdir", p->work.fd, err);
}

static int mount_by_descriptor(const struct mount_plan *p, int image, struct cairn_error *err)
{
	cleanup_fd int statfs = -1; /* open until overlayfs has its own hold on the mount */
	cleanup_fd int fs = open_context(p, err);
	int r;

	if (fs < 0)
		return fs;

	statfs = statfs_layer(p, image);
	r = set_names_by_fd(fs, statfs, image);
	if (r == 0)
		r = set_dirs_by_fd(p, fs, err);
	if (r < 0)
		return r;

	/* 6.13 and 6.14 find out only now that a layer hangs nowhere. */
	r = fs_create(fs, err);
	if (r < 0)
		return r == -EINVAL ? LACKING : r;

	return fs_mount(fs, 0, err);
}

int overlay_mount_user(const struct mount_plan *p, int names, struct cairn_error *err)
{
	cleanup_fd int fs = -1;
	int r;

	kernel_log_skip(p->log);
	fs = open_context(p, err);
	if (fs < 0)
		r = fs;
	else
		r = fs_set_fd(fs, "lowerdir+", names, err);
	if (r == 0)
		r = set_dirs_by_fd(p, fs, err);
	if (r == 0)
		r = fs_create(fs, err);
	if (r == 0)
		r = fs_mount(fs, 0, err);
	if (r < 0) {
		error_prepend(err, "overlayfs");
		plan_add_kernel_words(p, "overlayfs", err);
	}
	return r;
}

/* --- by path --------------------------------------------------------------------------------- */

/* A layer's path as a parameter, or where it is too long for one a short way to the same place. */
static int set_path(int fs, const char *key, const char *path, struct cairn_error *err)
{
	cleanup_fd int fd = -1;
	char link[32];

	if (strlen(path) < FS_VALUE_MAX)
		return fs_set_string(fs, key, path, err);

	/* Opened again: descriptors of the plan lead into the caller's namespace, not this one. */
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, -errno, "%s", path);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return fs_set_string(fs, key, link, err);
}

/* The kernel takes backslashes out of these two parameters, other than out of the layers'. */
static int set_escaped_path(int fs, const char *key, const char *path, struct cairn_error *err)
{
	cleanup_buf struct buf b = BUF_INIT(OPTION_STRING_MAX);
	int r = option_put_path(&b, path);

	if (r == 0)
		r = buf_put(&b, "", 1);
	if (r < 0)
		return error_errno(err, r, "%s %s", key, path);

	/* The way that is taken instead of a long path has nothing in it to be escaped. */
	return set_path(fs, key, b.len <= FS_VALUE_MAX ? b.data : path, err);
}

static int mount_by_path(const struct mount_plan *p, struct cairn_error *err)
{
	cleanup_fd int fs = open_context(p, err);
	int r;

	if (fs < 0)
		return fs;

	r = fs_set_string(fs, "lowerdir+", WORKSHOP_DIR, err);
	if (r < 0)
		return r == -EINVAL ? LACKING : r;

	for (size_t i = 0; i < p->options->nr_basedirs && r == 0; i++)
		r = set_path(fs, "datadir+", p->bases[i].path, err);
	if (p->upper.path && r == 0)
		r = set_escaped_path(fs, "upperdir", p->upper.path, err);
	if (p->work.path && r == 0)
		r = set_escaped_path(fs, "workdir", p->work.path, err);
	if (r == 0)
		r = fs_create(fs, err);
	return r < 0 ? r : fs_mount(fs, 0, err);
}

/* --- by option string ------------------------------------------------------------------------ */

static int mount_string(const struct mount_plan *p, const char *separator, struct cairn_error *err)
{
	cleanup_buf struct buf b = BUF_INIT(OPTION_STRING_MAX);
	int r = option_string(&b, p, WORKSHOP_DIR, separator);

	if (r == -EFBIG)
		return error_set(err, -ENAMETOOLONG, CAIRN_ERROR_UNSUPPORTED,
				 "the directories' paths are longer together than the %d bytes "
				 "that this kernel takes",
				 OPTION_STRING_MAX);
	if (r < 0)
		return error_errno(err, r, "option string");

	/* On top of the image, which the path led to until now: in here nobody minds. */
	if (mount(p->source, WORKSHOP_DIR, "overlay", 0, b.data) < 0)
		return error_errno(err, -errno, "mount");
	return mount_clone(WORKSHOP_DIR, err);
}

static int mount_by_string(const struct mount_plan *p, struct cairn_error *err)
{
	int r = mount_string(p, "::", err);
	cleanup_fd int fs = -1;

	if (r != -EINVAL)
		return r;

	/* Data-only layers came with the options that are checked: there it refuses something else. */
	fs = fs_open("overlay", NULL);
	return fs >= 0 && overlay_is_old(fs) ? LACKING : r;
}

/*
 * The stores as ordinary lower layers, for kernels without data-only ones. Their names are merged with
 * the image's, directory by directory; only the stubs in the image's root hide the 256 that objects
 * need. Without verity that loses little: who can add a name to the store can change the files as well.
 * But with verity the promise is that all that can be seen comes from the image, and a file beside the
 * 256 directories would break it. (A kernel that needs this way has no verity option anyhow.)
 */
static int mount_by_merging(const struct mount_plan *p, struct cairn_error *err)
{
	if (p->verity)
		return error_set(err, -EOPNOTSUPP, CAIRN_ERROR_UNSUPPORTED,
				 "verity needs data-only layers, which this kernel refuses");
	if (!p->hides_objects)
		return error_set(err, -EOPNOTSUPP, CAIRN_ERROR_UNSUPPORTED,
				 "a version 2 image needs data-only layers (Linux 6.5)");
	return mount_string(p, ":", err);
}

/* --- all of them ----------------------------------------------------------------------------- */

/* That the path that was found out for the caller's descriptor leads to the same directory, in here. */
static int check_path(const struct plan_dir *d, struct cairn_error *err)
{
	struct stat a, b;

	if (!d->borrowed)
		return 0;
	if (d->path && stat(d->path, &a) == 0 && fstat(d->fd, &b) == 0 && a.st_dev == b.st_dev &&
	    a.st_ino == b.st_ino)
		return 0;
	return error_set(err, -EOPNOTSUPP, CAIRN_ERROR_UNSUPPORTED,
			 "descriptor %d has no path, and this kernel takes layers by path only "
			 "(Linux 6.15 does not)",
			 d->fd);
}

static int check_paths(const struct mount_plan *p, struct cairn_error *err)
{
	int r = 0;

	for (size_t i = 0; i < p->options->nr_basedirs && r == 0; i++)
		r = check_path(&p->bases[i], err);
	if (r == 0)
		r = check_path(&p->upper, err);
	return r < 0 ? r : check_path(&p->work, err);
}

struct job {
	const struct mount_plan *plan;
	int image;
	unsigned int ways;
	unsigned int way; /* result: the one tried last */
	struct cairn_error *err;
};

static const struct {
	unsigned int way;
	int (*mount)(const struct mount_plan *p, struct cairn_error *err);
} workshop_ways[] = {
	{MOUNT_BY_PATH, mount_by_path},
	{MOUNT_BY_STRING, mount_by_string},
	{MOUNT_BY_MERGING, mount_by_merging},
};

static int in_workshop(void *arg)
{
	struct job *job = (struct job *)arg;
	cleanup_fd int dir = open(WORKSHOP_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir < 0)
		return error_errno(job->err, -errno, "open %s", WORKSHOP_DIR);
	r = check_paths(job->plan, job->err);
	if (r == 0)
		r = mount_attach(job->image, dir, job->err);
	if (r < 0)
		return r;

	r = LACKING;
	for (size_t i = 0; i < ARRAY_SIZE(workshop_ways) && r == LACKING; i++) {
		if (!(job->ways & workshop_ways[i].way))
			continue;
		job->way = workshop_ways[i].way;
		kernel_log_skip(job->plan->log);
		r = workshop_ways[i].mount(job->plan, job->err);
	}
	return r;
}

int overlay_mount(const struct mount_plan *p, int image, unsigned int ways, unsigned int *ret_way,
		  struct cairn_error *err)
{
	struct job job = {.plan = p, .image = image, .ways = ways, .err = err};
	int r = LACKING;

	if (ways & MOUNT_BY_DESCRIPTOR) {
		job.way = MOUNT_BY_DESCRIPTOR;
		r = mount_by_descriptor(p, image, err);
	}
	if (r == LACKING && (ways & ~(unsigned int)MOUNT_BY_DESCRIPTOR))
		r = workshop_run(in_workshop, &job, err);
	if (r == LACKING) {
		r = -EINVAL;
		if (err)
			err->code = r;
	}
	if (r < 0) {
		error_prepend(err, "overlayfs");
		plan_add_kernel_words(p, "overlayfs", err);
		return r;
	}
	*ret_way = job.way;
	return r;
}
