/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Mounting an image through the kernel: EROFS for the names, overlayfs for the contents
 * (mount-semantics).
 *
 * For container engines and initramfs programs there are the parts: the image alone or the whole stack
 * as a mount that hangs nowhere yet, everything by descriptor, and the stack as data.
 */
#ifndef CAIRN_MOUNT_H
#define CAIRN_MOUNT_H

#include <cairn/digest.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How it is kept that what is read is what the digest says. The weakest first. */
enum cairn_state {
	CAIRN_UNVERIFIED = 0,
	/* Verified by cairn: at every read, or once, and not again while device, inode, size and change
	 * time of the file are the same. */
	CAIRN_CHECKED = 1,
	CAIRN_ENFORCED = 2, /* the kernel refuses bytes that do not match */
};

enum cairn_verity {
	CAIRN_VERITY_OFF = 0,
	CAIRN_VERITY_TRY = 1,     /* where the kernel and every store can, else without */
	CAIRN_VERITY_REQUIRE = 2, /* refuse to mount where it cannot be enforced */
};

enum cairn_mount_flags {
	CAIRN_MOUNT_READ_ONLY = 1 << 0,
	/* Show the numbers of the image in statfs(2) instead of the store's. */
	CAIRN_MOUNT_IMAGE_STATFS = 1 << 1,
	CAIRN_MOUNT_NOSUID = 1 << 2,
	CAIRN_MOUNT_NODEV = 1 << 3,
	CAIRN_MOUNT_NOEXEC = 1 << 4,
	CAIRN_MOUNT_NOATIME = 1 << 5,
	/* As mount.composefs: accept what the reference accepts (a kernel without fs-verity under
	 * CAIRN_VERITY_TRY fails at open, not at mount). */
	CAIRN_MOUNT_COMPAT = 1 << 6,
	/* Check an image that no digest pins, as by cairn_image_check(), unless that is remembered. */
	CAIRN_MOUNT_CHECK_IMAGE = 1 << 7,
	/* Where the kernel will not verify the contents, verify all of them now, unless that is
	 * remembered. */
	CAIRN_MOUNT_VERIFY_OBJECTS = 1 << 8,
};

struct cairn_mount_options {
	unsigned int flags; /* enum cairn_mount_flags */
	enum cairn_verity verity;
	const char *const *basedirs;       /* object directories in order of priority */
	size_t nr_basedirs;                /* 1 or more */
	const struct cairn_digest *digest; /* NULL, or what the kernel must measure on the image */
	const char *upperdir;              /* both or neither */
	const char *workdir;
	int idmap_fd;           /* a user namespace that maps the image's owners; -1: none */
	const char *image_name; /* shown for a loop device; may be NULL */

	/* Descriptors in the place of paths. Before Linux 6.15 the directories must have paths all the
	 * same, which are then found out. */
	const int *basedir_fds; /* NULL, or nr_basedirs of them; basedirs may then be NULL */
	const int *upper_fds;   /* NULL, or two: of the upper and of the work directory */

	enum cairn_state require; /* refuse to mount with a weaker one */
	const char *memory; /* directory where to remember what was checked, made when it is needed;
			       only one that nobody else can write to is used; NULL: none */
	unsigned int jobs;  /* threads for CAIRN_MOUNT_VERIFY_OBJECTS; 0: one */
};

/* What the mount became. */
struct cairn_mount_result {
	int loop;     /* 1: through a loop device, 0: from the file */
	int verity;   /* 1: overlayfs enforces fs-verity */
	int detached; /* 1: layers were handed over by descriptor, nothing was attached to a path */

	enum cairn_state state; /* the weaker one of the next two */
	enum cairn_state image;
	enum cairn_state contents;
	struct cairn_digest digest; /* fs-verity digest of the image; alg 0: not known */
	int format;                 /* enum cairn_format */
	int64_t checked; /* seconds since 1970 of the oldest check that the state rests on; 0: none */
	int image_remembered;        /* 1: the image had been checked before */
	uint64_t objects_verified;   /* read and hashed now */
	uint64_t objects_remembered; /* had been before */
};

/* Mounts the image open at @image_fd on directory @target. Nothing stays behind on failure.
 * Returns 0. -EINVAL: not an image, or options that contradict each other. -ENOTTY: a digest was
 * given and the image has no fs-verity; -EILSEQ: it has another one, or an object has (all kind
 * DIGEST); -ESTALE (kind DIGEST): the image changed while it was being checked.
 * -EOPNOTSUPP (kind UNSUPPORTED): verity or a state is required and cannot be had here. Otherwise the
 * kernel's errno, with its own words in @err.
 * Before Linux 6.15 a thread does part of the work; it has ended when this returns. */
CAIRN_API int cairn_mount(int image_fd, const char *target,
			  const struct cairn_mount_options *options, struct cairn_mount_result *ret,
			  struct cairn_error *err);

/* --- the parts ------------------------------------------------------------------------------- */

/* The same mount, that hangs nowhere. Returns its descriptor: a directory to look into at once with
 * openat(2), or to attach with cairn_mount_attach() or move_mount(2), or to hand to another process.
 * When it is closed without having been attached, the mount is gone. */
CAIRN_API int cairn_mount_open(int image_fd, const struct cairn_mount_options *options,
			       struct cairn_mount_result *ret, struct cairn_error *err);

/* Only the EROFS of the image, idmapped where that is asked for: all names, and the contents that are
 * in the image, but files of zeros where there are objects. For engines that make the overlay
 * themselves. No base directory is needed. Returns a descriptor as above. */
CAIRN_API int cairn_mount_open_image(int image_fd, const struct cairn_mount_options *options,
				     struct cairn_mount_result *ret, struct cairn_error *err);

/* Attaches a mount of the two functions above on top of the directory open at @target_fd (O_PATH is
 * enough). Returns 0 or a negative errno. */
CAIRN_API int cairn_mount_attach(int mount_fd, int target_fd, struct cairn_error *err);

/* --- as data --------------------------------------------------------------------------------- */

enum cairn_layer_kind {
	CAIRN_LAYER_IMAGE = 1, /* EROFS from @source */
	CAIRN_LAYER_DATA = 2,  /* directory @source, a data-only layer */
	CAIRN_LAYER_UPPER = 3,
	CAIRN_LAYER_WORK = 4,
	CAIRN_LAYER_STACK = 5, /* the overlay over all of these */
};

/* One of the things to be mounted or named. */
struct cairn_layer {
	enum cairn_layer_kind kind;
	const char *type;           /* file system to be mounted; NULL: nothing to be done */
	const char *source;         /* path, or what is shown as such; may be NULL */
	const char *const *options; /* nr_options words KEY or KEY=VALUE, not escaped */
	size_t nr_options;
	const struct cairn_digest *digest; /* of the image, where it is known; else NULL */
};

typedef int (*cairn_layer_fn)(void *arg, const struct cairn_layer *layer);

/* Tells @fn what cairn_mount() would mount, in the order in which it is to be done: the image, the data
 * layers in order of priority, upper and work directory, the stack. Options of the stack name the
 * layers by the words <image>, and by path. All is checked and refused as by cairn_mount(), and
 * nothing is mounted. Returns 0, what @fn returned, or as cairn_mount(). */
CAIRN_API int cairn_mount_layers(int image_fd, const struct cairn_mount_options *options,
				 cairn_layer_fn fn, void *arg, struct cairn_mount_result *ret,
				 struct cairn_error *err);

/* --- mounts that are there ------------------------------------------------------------------- */

/* A mount of a composefs image in this mount namespace, as the kernel's own table tells it. */
struct cairn_mounted {
	const char *target;        /* relative to the root of this process */
	const char *source;        /* "composefs", mostly with a digest */
	const char *type;          /* overlay, fuse.cairn … */
	const char *backend;       /* kernel, overlay, fuse */
	const char *const *stores; /* object directories, where the kernel shows them */
	size_t nr_stores;
	struct cairn_digest digest; /* of the image; alg 0: not known */
	enum cairn_state state;
	int64_t checked;        /* seconds since 1970 of the check; 0: none, or at every read */
	int writable;           /* has an upper directory */
	unsigned int dev_major; /* of the file system: one for all mounts of it */
	unsigned int dev_minor;
};

/* Returns 0 to go on, a negative errno to stop. What is pointed to lives until it returns. */
typedef int (*cairn_mounted_fn)(void *arg, const struct cairn_mounted *mounted);

/* Calls @fn for each of them in the order of the table. Returns 0, a negative errno, or what @fn
 * returned. */
CAIRN_API int cairn_mount_list(cairn_mounted_fn fn, void *arg, struct cairn_error *err);

enum cairn_umount_flags { CAIRN_UMOUNT_LAZY = 1 << 0 };

/* Unmounts @target. Returns 0 or a negative errno. */
CAIRN_API int cairn_umount(const char *target, unsigned int flags, struct cairn_error *err);

#ifdef __cplusplus
}
#endif

#endif
