/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Mounting an image through the kernel: EROFS for the names, overlayfs for the contents
 * (mount-semantics).
 */
#ifndef CAIRN_MOUNT_H
#define CAIRN_MOUNT_H

#include <cairn/digest.h>

#ifdef __cplusplus
extern "C" {
#endif

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
};

/* What the mount became, for a line to the user. */
struct cairn_mount_result {
	int loop;     /* 1: through a loop device, 0: from the file */
	int verity;   /* 1: overlayfs enforces fs-verity */
	int detached; /* 1: layers were handed over by descriptor, nothing was attached to a path */
};

/* Mounts the image open at @image_fd on directory @target. Nothing stays behind on failure.
 * Returns 0. -EINVAL: not an image, or options that contradict each other. -ENOTTY: a digest was
 * given and the image has no fs-verity; -EILSEQ: it has another one (both kind DIGEST).
 * -EOPNOTSUPP (kind UNSUPPORTED): verity is required and cannot be had here. Otherwise the kernel's
 * errno, with its own words in @err.
 * Before Linux 6.15 a thread does part of the work; it has ended when this returns. */
CAIRN_API int cairn_mount(int image_fd, const char *target,
			  const struct cairn_mount_options *options, struct cairn_mount_result *ret,
			  struct cairn_error *err);

enum cairn_umount_flags { CAIRN_UMOUNT_LAZY = 1 << 0 };

/* Unmounts @target. Returns 0 or a negative errno. */
CAIRN_API int cairn_umount(const char *target, unsigned int flags, struct cairn_error *err);

#ifdef __cplusplus
}
#endif

#endif
