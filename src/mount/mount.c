/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * One mount, from the plan to the mount point. Everything is made detached; the last step, and the
 * only one that anybody can see, attaches the finished mount.
 *
 *	stage		call				since	where it is missing
 *	----------------------------------------------------------------------------------------
 *	plan		FS_IOC_MEASURE_VERITY		5.4	digest=: refused; verity: see plan.c
 *	image		fsopen erofs, source=fd path	6.12	loop device: LOOP_CONFIGURE, 5.8
 *			(chunk-based files in EROFS)	5.15	refused: no image can be mounted
 *			mount_setattr IDMAP on it	5.19	idmap: refused
 *	numbers		fsopen tmpfs as top layer	6.15	none: statfs shows the image's
 *	overlay		lowerdir+, datadir+ by SET_FD
 *			of mounts attached nowhere	6.15	(1) next
 *			lowerdir+, datadir+ by path	6.7	(2) next
 *			mount(2), lowerdir=A::B		6.5	(3) next
 *			mount(2), lowerdir=A:B		5.15	(4) never with verity
 *			verity=require			6.6	verity: refused; tried: without
 *			open_tree CLONE, after (3), (4)	5.2
 *	attach		mount_setattr, move_mount	5.12
 *
 * (2), (3) and (4) need the image at a path: they run in a mount namespace of their own (workshop.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>

#include "mount/mount-internal.h"
#include "sys/mount_api.h"

static unsigned long long mount_attrs(unsigned int flags)
{
	static const struct {
		unsigned int flag;
		unsigned long long attr;
	} table[] = {
		{CAIRN_MOUNT_READ_ONLY, MOUNT_ATTR_RDONLY}, {CAIRN_MOUNT_NOSUID, MOUNT_ATTR_NOSUID},
		{CAIRN_MOUNT_NODEV, MOUNT_ATTR_NODEV},      {CAIRN_MOUNT_NOEXEC, MOUNT_ATTR_NOEXEC},
		{CAIRN_MOUNT_NOATIME, MOUNT_ATTR_NOATIME},
	};
	unsigned long long attrs = 0;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (flags & table[i].flag)
			attrs |= table[i].attr;
	return attrs;
}

/* The bare EROFS, of the bytes that were looked at. */
static int open_image(struct mount_plan *p, struct cairn_error *err)
{
	cleanup_fd int image = -1;
	bool loop;
	int r;

	image = image_mount(p, &loop, err);
	if (image < 0)
		return image;

	r = plan_check_unchanged(p, err);
	if (r < 0)
		return r;
	p->facts.loop = loop;
	return take_fd(&image);
}

static int open_stack(struct mount_plan *p, unsigned int ways, struct cairn_error *err)
{
	unsigned long long attrs = mount_attrs(p->options->flags);
	cleanup_fd int overlay = -1;
	cleanup_fd int image = -1;
	unsigned int way = 0;
	int r;

	image = open_image(p, err);
	if (image < 0)
		return image;

	overlay = overlay_mount(p, image, ways, &way, err);
	if (overlay < 0)
		return overlay;

	if (attrs) {
		r = mount_set_attrs(overlay, attrs, err);
		if (r < 0)
			return r;
	}
	p->facts.detached = way == MOUNT_BY_DESCRIPTOR;
	return take_fd(&overlay);
}

int mount_open(int image_fd, const struct cairn_mount_options *options,
	       const struct mount_checker *checker, unsigned int ways,
	       struct cairn_mount_result *ret, struct cairn_error *err)
{
	struct mount_plan plan;
	int r;

	r = plan_init(&plan, image_fd, options, checker, PLAN_STACK, err);
	if (r == 0)
		r = open_stack(&plan, ways, err);
	if (r >= 0 && ret)
		*ret = plan.facts;
	plan_fini(&plan);
	return r;
}

int mount_open_image(int image_fd, const struct cairn_mount_options *options,
		     const struct mount_checker *checker, struct cairn_mount_result *ret,
		     struct cairn_error *err)
{
	unsigned long long attrs =
		mount_attrs(options->flags & ~(unsigned int)CAIRN_MOUNT_READ_ONLY);
	cleanup_fd int image = -1;
	struct mount_plan plan;
	int r;

	r = plan_init(&plan, image_fd, options, checker, PLAN_ALONE, err);
	if (r == 0)
		r = image = open_image(&plan, err);
	if (r >= 0 && attrs)
		r = mount_set_attrs(image, attrs, err);
	if (r >= 0 && ret)
		*ret = plan.facts;
	plan_fini(&plan);
	return r < 0 ? r : take_fd(&image);
}

int mount_open_user(int image_fd, const struct cairn_mount_options *options,
		    const struct mount_checker *checker, mount_names_fn names, void *arg,
		    struct cairn_mount_result *ret, struct cairn_error *err)
{
	/* What users mount has no power over others, as with fusermount3(1). */
	unsigned long long attrs =
		mount_attrs(options->flags) | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	cleanup_fd int overlay = -1;
	cleanup_fd int mnt = -1;
	struct mount_plan plan;
	int r;

	r = plan_init(&plan, image_fd, options, checker, PLAN_USER, err);
	if (r == 0)
		r = mnt = names(arg, &plan.facts, plan.source, err);
	if (r >= 0)
		r = overlay = overlay_mount_user(&plan, mnt, err);
	if (r >= 0)
		r = mount_set_attrs(overlay, attrs, err);
	plan.facts.detached = 1;
	if (r >= 0 && ret)
		*ret = plan.facts;
	plan_fini(&plan);
	return r < 0 ? r : take_fd(&overlay);
}

int mount_image(int image_fd, const char *target, const struct cairn_mount_options *options,
		const struct mount_checker *checker, unsigned int ways,
		struct cairn_mount_result *ret, struct cairn_error *err)
{
	cleanup_fd int dir = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int mnt = -1;

	if (dir < 0)
		return error_errno(err, -errno, "mount point %s", target);

	mnt = mount_open(image_fd, options, checker, ways, ret, err);
	return mnt < 0 ? mnt : mount_attach(mnt, dir, err);
}

int mount_layers(int image_fd, const struct cairn_mount_options *options,
		 const struct mount_checker *checker, cairn_layer_fn fn, void *arg,
		 struct cairn_mount_result *ret, struct cairn_error *err)
{
	struct mount_plan plan;
	int r;

	r = plan_init(&plan, image_fd, options, checker, PLAN_STACK, err);
	if (r == 0)
		r = layers_tell(&plan, fn, arg, err);
	if (r == 0 && ret)
		*ret = plan.facts;
	plan_fini(&plan);
	return r;
}

int mount_remove(const char *target, unsigned int flags, struct cairn_error *err)
{
	if (umount2(target, flags & CAIRN_UMOUNT_LAZY ? MNT_DETACH : 0) == 0)
		return 0;
	if (errno == EINVAL)
		return error_set(err, -EINVAL, CAIRN_ERROR_SYSTEM, "%s: not a mount point", target);
	if (errno == EBUSY)
		return error_set(err, -EBUSY, CAIRN_ERROR_SYSTEM,
				 "%s: in use (a lazy unmount waits for its users)", target);
	return error_errno(err, -errno, "unmount %s", target);
}
