/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What the files of this room tell each other.
 *
 * Invariants of a plan:
 *  1. Everything in it was decided before the first mount is made, and nothing changes it after.
 *  2. Every directory that the caller named is open: what was looked at is what is mounted, where the
 *     kernel takes descriptors.
 */
#ifndef MOUNT_MOUNT_INTERNAL_H
#define MOUNT_MOUNT_INTERNAL_H

#include <sys/stat.h>

#include "base/buf.h"
#include "mount/mount.h"

/* Bytes of what the mount table shows as source, with NUL. See source.c. */
#define SOURCE_MAX 200

/* A directory that is a layer. */
struct plan_dir {
	const char *path; /* as given, or found out for a descriptor; NULL: it has none */
	char *found;      /* that path, where it was found out, on the heap */
	int fd;           /* -1: there is no such layer */
	bool borrowed;    /* the descriptor is the caller's */
};

struct mount_plan {
	const struct cairn_mount_options *options;
	int image_fd;
	struct plan_dir
		*bases; /* options->nr_basedirs of them, priority order; NULL: the image alone */
	struct plan_dir upper;
	struct plan_dir work;
	int log;            /* the log of the kernel, -1: not to be read */
	bool acl;           /* the image may hold ACLs */
	bool hides_objects; /* the image has stubs over the names in an object directory */
	bool verity;        /* overlayfs gets verity=require */
	bool user;          /* names come from a server of ours, attributes are user.overlay.* */
	struct stat before; /* the image, before anything in it was read */
	char source[SOURCE_MAX];

	/* What the mount will be: state, digest, format and checks. */
	struct cairn_mount_result facts;
};

/* --- plan.c ---------------------------------------------------------------------------------- */

enum plan_kind {
	PLAN_STACK, /* EROFS and overlayfs */
	PLAN_ALONE, /* EROFS without contents */
	PLAN_USER,  /* a server of ours and overlayfs */
};

/* Checks the options and the image, opens the directories, measures, probes the stores, and has
 * checked what is to be checked. @checker: may be NULL.
 * @p: to be finished with plan_fini() also after a failure. Returns 0 or the errors of
 * cairn_mount(). */
int plan_init(struct mount_plan *p, int image_fd, const struct cairn_mount_options *options,
	      const struct mount_checker *checker, enum plan_kind kind, struct cairn_error *err);
void plan_fini(struct mount_plan *p);

/* The absolute path of a descriptor, on the heap; NULL: it has none, or there is no memory. */
char *plan_path_of(int fd);

/* That the image is still the one that was looked at. To be called when the kernel has it. Returns 0
 * or -ESTALE. */
int plan_check_unchanged(const struct mount_plan *p, struct cairn_error *err);

/* Adds what the kernel logged about file system @type since the last kernel_log_skip(). */
void plan_add_kernel_words(const struct mount_plan *p, const char *type, struct cairn_error *err);

/* --- source.c: the source of a mount tells digest and state ------------------------------------ */

/* Makes p->source. */
void source_make(struct mount_plan *p);

/* Reads a source. @verity: overlayfs enforces fs-verity on the contents. Returns whether it is one of a
 * composefs mount. */
bool source_parse(const char *source, bool verity, struct cairn_mounted *ret);

/* --- features.c ------------------------------------------------------------------------------ */

/* Whether the context @fs of overlayfs takes any option unseen, as before Linux 6.5. */
bool overlay_is_old(int fs);

/* Whether overlayfs of this kernel knows verity=require. Returns 1, 0 or a negative errno. */
int overlay_takes_verity(struct cairn_error *err);

/* Whether it takes data-only layers with userxattr from who may mount here, and verity=require with
 * them (@verity), tried with empty directories. Returns 1, 0 or a negative errno. */
int overlay_takes_user(bool verity, struct cairn_error *err);

/* Whether the objects in the object directory open at @store have fs-verity, as far as a few of them
 * tell. An empty store has no object without it. */
bool objects_have_verity(int store);

/* --- image.c --------------------------------------------------------------------------------- */

/* A detached, read-only, idmapped where wanted, EROFS mount of the image. Returns its descriptor.
 * @ret_loop: whether it took a loop device. */
int image_mount(const struct mount_plan *p, bool *ret_loop, struct cairn_error *err);

/* --- statfs.c -------------------------------------------------------------------------------- */

/* An empty, read-only, detached file system that looks like the root of the image mounted at @image
 * and has the numbers of the first store (docs/design/df.md). Returns its descriptor. */
int statfs_mount(const struct mount_plan *p, int image, struct cairn_error *err);

/* --- overlay.c ------------------------------------------------------------------------------- */

/* A detached overlay over the EROFS mount @image. Returns its descriptor.
 * @ret_way: the enum mount_way that made it. */
int overlay_mount(const struct mount_plan *p, int image, unsigned int ways, unsigned int *ret_way,
		  struct cairn_error *err);

/* The same with userxattr over the mount @names, which has user.overlay.* attributes. */
int overlay_mount_user(const struct mount_plan *p, int names, struct cairn_error *err);

/* --- layers.c -------------------------------------------------------------------------------- */

/* cairn_mount_layers() of a plan. */
int layers_tell(const struct mount_plan *p, cairn_layer_fn fn, void *arg, struct cairn_error *err);

/* --- workshop.c ------------------------------------------------------------------------------ */

/* Directory in the workshop where mounts may be attached, any number on top of each other. */
#define WORKSHOP_DIR "/proc/fs"

/* Runs @fn in a mount namespace of its own: what it attaches at WORKSHOP_DIR nobody else sees, and it
 * is gone when @fn returns or the process dies. Descriptors, the current directory and memory are
 * the caller's. Returns what @fn returned, or a negative errno. */
int workshop_run(int (*fn)(void *arg), void *arg, struct cairn_error *err);

/* --- option_string.c ------------------------------------------------------------------------- */

/* Appends @path to an option string of overlayfs so that it comes out of the kernel's two parsers,
 * which split at commas and at colons, as it went in. Returns 0, -ENOMEM or -EFBIG. */
int option_put_path(struct buf *b, const char *path);

/* The whole string for mount(2): EROFS at @lower, data-only base directories behind @separator
 * ("::", or ":" for ordinary ones), upper and work directory, verity. Returns 0; -EFBIG: longer than
 * the one page that the kernel reads; -ENOMEM. */
int option_string(struct buf *b, const struct mount_plan *p, const char *lower,
		  const char *separator);

#endif
