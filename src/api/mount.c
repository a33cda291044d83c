/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * cairn/mount.h. The room that mounts knows neither trees nor stores; what it wants checked by reading is
 * checked here, and remembered.
 */
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>

#include <cairn/fuse.h>

#include "api/api-internal.h"
#include "fuse/fuse.h"
#include "mount/mount.h"
#include "store/memory.h"
#include "store/verify.h"
#include "sys/mount_api.h"

/* --- the image ------------------------------------------------------------------------------- */

static int check_image(void *arg, int image_fd, const struct cairn_digest *measured,
		       struct mount_check *ret, struct cairn_error *err)
{
	const struct cairn_mount_options *o = (const struct cairn_mount_options *)arg;
	struct memory *memory cleanup(memory) = memory_open(o->memory);
	struct cairn_image_result image;
	struct stat before;
	int r;

	if (fstat(image_fd, &before) < 0)
		return error_errno(err, -errno, "image: stat");
	ret->when = memory_find_image(memory, &before, measured, &ret->digest);
	ret->remembered = ret->when != 0;
	if (ret->remembered)
		return 0;

	ret->when = time(NULL);
	r = cairn_image_check(image_fd, 1, &image, err);
	if (r < 0) {
		/* Not a mistake of ours or of a tool's, here: these bytes are not to be trusted. */
		if (err && err->kind == CAIRN_ERROR_FORMAT)
			err->kind = CAIRN_ERROR_DIGEST;
		return r;
	}
	ret->digest = image.digest;
	ret->done = 1;
	memory_add_image(memory, &before, measured, &ret->digest, ret->when);
	memory_save(memory);
	return 0;
}

/* --- the contents ---------------------------------------------------------------------------- */

/* All objects of an image, as they come. The paths are the tree's. */
struct list {
	struct wanted *wanted;
	size_t nr, room;
};

static int add_entry(void *arg, const struct cairn_entry *entry)
{
	struct list *l = (struct list *)arg;

	if (!S_ISREG(entry->mode) || entry->content || !entry->payload || entry->hardlink)
		return 0;
	if (l->nr == l->room) {
		const size_t room = l->room ? 2 * l->room : 1024;
		struct wanted *wanted = (struct wanted *)realloc(l->wanted, room * sizeof(*wanted));

		if (!wanted)
			return -ENOMEM;
		l->wanted = wanted;
		l->room = room;
	}
	l->wanted[l->nr] = (struct wanted){
		.digest = entry->digest, .size = entry->size, .path = strdup(entry->payload)};
	return l->wanted[l->nr++].path ? 0 : -ENOMEM;
}

static void list_fini(struct list *l)
{
	for (size_t i = 0; i < l->nr; i++)
		free((char *)l->wanted[i].path);
	free(l->wanted);
}

#define cleanup_list __attribute__((__cleanup__(list_fini)))

static int compare_wanted(const void *a, const void *b)
{
	const struct wanted *x = (const struct wanted *)a, *y = (const struct wanted *)b;
	int c = strcmp(x->path, y->path);

	if (c == 0)
		c = memcmp(&x->digest, &y->digest, sizeof(x->digest));
	return c ? c : (x->size > y->size) - (x->size < y->size);
}

/* Each once, but those of which different things are said. */
static void list_settle(struct list *l)
{
	size_t n = 0;

	if (l->nr)
		qsort(l->wanted, l->nr, sizeof(*l->wanted), compare_wanted);
	for (size_t i = 0; i < l->nr; i++) {
		if (n && compare_wanted(&l->wanted[n - 1], &l->wanted[i]) == 0)
			free((char *)l->wanted[i].path);
		else
			l->wanted[n++] = l->wanted[i];
	}
	l->nr = n;
}

static int check_contents(void *arg, int image_fd, const int *base_fds, size_t nr,
			  struct mount_check *ret, struct cairn_error *err)
{
	const struct cairn_mount_options *o = (const struct cairn_mount_options *)arg;
	struct memory *memory cleanup(memory) = memory_open(o->memory);
	struct verify_result result = {0};
	struct list list cleanup_list = {0};
	struct cairn_tree *tree = NULL;
	int r;

	r = cairn_tree_from_image(image_fd, 0, 1, NULL, &tree, err);
	if (r < 0)
		return r;
	r = cairn_tree_walk(tree, NULL, add_entry, &list, err);
	cairn_tree_free(tree);
	if (r < 0)
		return error_errno(err, r, "list the objects of the image");
	list_settle(&list);

	r = objects_verify(base_fds, nr, list.wanted, list.nr, o->jobs, memory, &result, err);
	if (r < 0)
		return r;
	memory_save(memory);
	ret->when = result.when;
	ret->done = result.done;
	ret->remembered = result.remembered;
	return 0;
}

/* --------------------------------------------------------------------------------------------- */

static struct mount_checker checker_of(const struct cairn_mount_options *options)
{
	return (struct mount_checker){
		.image = check_image, .contents = check_contents, .arg = (void *)options};
}

int cairn_mount(int image_fd, const char *target, const struct cairn_mount_options *options,
		struct cairn_mount_result *ret, struct cairn_error *err)
{
	const struct mount_checker checker = checker_of(options);

	return mount_image(image_fd, target, options, &checker, MOUNT_ANY_WAY, ret, err);
}

int cairn_mount_open(int image_fd, const struct cairn_mount_options *options,
		     struct cairn_mount_result *ret, struct cairn_error *err)
{
	const struct mount_checker checker = checker_of(options);

	return mount_open(image_fd, options, &checker, MOUNT_ANY_WAY, ret, err);
}

int cairn_mount_open_image(int image_fd, const struct cairn_mount_options *options,
			   struct cairn_mount_result *ret, struct cairn_error *err)
{
	const struct mount_checker checker = checker_of(options);

	return mount_open_image(image_fd, options, &checker, ret, err);
}

/* --- names by a server ----------------------------------------------------------------------- */

struct serving {
	int image_fd;
	const struct cairn_fuse_options *options; /* may be NULL */
	unsigned int mount_flags;
	pid_t pid; /* result; 0: not started */
};

static int serve_names(void *arg, const struct cairn_mount_result *facts, const char *source,
		       struct cairn_error *err)
{
	struct serving *s = (struct serving *)arg;
	struct cairn_fuse_options o = {0};
	cleanup_fd int dev = -1;
	cleanup_fd int mnt = -1;
	int r;

	if (s->options)
		o = *s->options;
	o.flags |= CAIRN_FUSE_METADATA;
	o.mount_flags = s->mount_flags & CAIRN_MOUNT_IMAGE_STATFS;
	o.digest = facts->digest.alg ? &facts->digest : NULL;
	o.name = source;
	r = fuse_detached(&o, &dev, &mnt, err);
	if (r == 0)
		r = fuse_start(dev, s->image_fd, &o, &s->pid, err);
	return r < 0 ? r : take_fd(&mnt);
}

int cairn_overlay_open(int image_fd, const struct cairn_mount_options *options,
		       const struct cairn_fuse_options *fuse, struct cairn_mount_result *ret,
		       pid_t *ret_pid, struct cairn_error *err)
{
	const struct mount_checker checker = checker_of(options);
	struct serving serving = {
		.image_fd = image_fd, .options = fuse, .mount_flags = options->flags};
	int mnt;

	if (options->idmap_fd >= 0)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "a mount of the overlay backend cannot be idmapped");
	mnt = mount_open_user(image_fd, options, &checker, serve_names, &serving, ret, err);
	if (mnt >= 0)
		*ret_pid = serving.pid;
	else if (serving.pid) /* its mount is gone, so it ends */
		(void)waitpid(serving.pid, NULL, 0);
	return mnt;
}

/* --------------------------------------------------------------------------------------------- */

int cairn_mount_attach(int mount_fd, int target_fd, struct cairn_error *err)
{
	return mount_attach(mount_fd, target_fd, err);
}

int cairn_mount_layers(int image_fd, const struct cairn_mount_options *options, cairn_layer_fn fn,
		       void *arg, struct cairn_mount_result *ret, struct cairn_error *err)
{
	const struct mount_checker checker = checker_of(options);

	return mount_layers(image_fd, options, &checker, fn, arg, ret, err);
}

int cairn_mount_list(cairn_mounted_fn fn, void *arg, struct cairn_error *err)
{
	return mount_list(fn, arg, err);
}

int cairn_umount(const char *target, unsigned int flags, struct cairn_error *err)
{
	struct statfs fs;
	int r;

	if (flags & ~(unsigned int)CAIRN_UMOUNT_LAZY)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "unknown unmount flags 0x%x",
				 flags & ~(unsigned int)CAIRN_UMOUNT_LAZY);
	r = mount_remove(target, flags, err);
	/* Who may not unmount may have mounted by the helper, which lets everyone undo what is his. */
	if (r == -EPERM && !statfs(target, &fs) && fs.f_type == FUSE_SUPER_MAGIC)
		return fuse_unmount(target, flags & CAIRN_UMOUNT_LAZY, err);
	return r;
}
