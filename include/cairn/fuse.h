/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Serving an image from user space through /dev/fuse: names, attributes and contents, each block of which
 * is verified before anybody sees it (docs/design/fuse.md).
 *
 *	cairn_fuse_mount()     image on a directory: all in one
 * or, for who makes something else of it:
 *	cairn_fuse_detached()  a FUSE mount that hangs nowhere, and the descriptor that it is served by
 *	cairn_fuse_start()     a child process that serves it
 *	cairn_fuse_serve()     the same in the calling process
 *
 * The server takes its privileges away before it looks at the first byte of the image.
 */
#ifndef CAIRN_FUSE_H
#define CAIRN_FUSE_H

#include <sys/types.h>

#include <cairn/mount.h>
#include <cairn/store.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cairn_fuse_flags {
	/* Serve what overlayfs, mounted with `userxattr` over data-only layers, needs of its lower
	 * layer: names, attributes, contents that are in the image, and user.overlay.* attributes
	 * that say where the others are. These cannot be read then (EIO). */
	CAIRN_FUSE_METADATA = 1 << 0,
	/* Prove before serving that the image is well formed and canonical (cairn_image_check()). */
	CAIRN_FUSE_CHECK = 1 << 1,
	/* Hand out contents as they are. Else what cannot be verified cannot be read (EIO). */
	CAIRN_FUSE_UNVERIFIED = 1 << 2,
	/* A server that was started ends when the thread that started it ends. */
	CAIRN_FUSE_WITH_PARENT = 1 << 3,
};

/* Gets one line for each fault that was found while serving, without a newline: which object, which file,
 * which block. Called in the server's process, never by two threads at once, and not often: each
 * fault is told once, and a thousand at most. */
typedef void (*cairn_fuse_log_fn)(void *arg, const char *text);

struct cairn_fuse_options {
	unsigned int flags;       /* enum cairn_fuse_flags */
	unsigned int mount_flags; /* of enum cairn_mount_flags: NOSUID, NODEV, NOEXEC, NOATIME,
				     IMAGE_STATFS; the mount is always READ_ONLY, and through
				     fusermount3(1) always NOSUID and NODEV */
	const struct cairn_store *const *stores; /* in order of priority; may be none */
	size_t nr_stores;
	const struct cairn_digest *digest; /* NULL, or what the image must have; computed by the
					      server of the very bytes that it serves */
	unsigned int jobs;                 /* threads that serve; 0: as it suits the machine */
	const char *name;                  /* source in the mount table; NULL: "cairn" */
	cairn_fuse_log_fn log;             /* may be NULL */
	void *log_arg;
};

/* Mounts the image open at @image_fd on directory @target, served by a child process, whose number is
 * in *@ret_pid; it is the caller's to wait for. When this returns, the mount answers. As root by the
 * mount calls, in a user namespace that may mount as well; else through fusermount3(1).
 * The child ends by itself with exit status 0 when the mount is gone. Who wants to end it unmounts.
 * Returns 0. -EINVAL (kind FORMAT): not an image; -EILSEQ (kind DIGEST): it has another digest;
 * -EOPNOTSUPP (kind UNSUPPORTED): there is no FUSE here; or another negative errno. Nothing stays
 * behind on failure. */
CAIRN_API int cairn_fuse_mount(int image_fd, const char *target,
			       const struct cairn_fuse_options *options, pid_t *ret_pid,
			       struct cairn_error *err);

/* Opens /dev/fuse (*@ret_dev) and makes a mount of it that is attached nowhere (*@ret_mnt), both
 * close-on-exec, the caller's to close. Whatever looks into the mount before it is served waits.
 * Needs CAP_SYS_ADMIN in its user namespace. Returns 0 or a negative errno. */
CAIRN_API int cairn_fuse_detached(const struct cairn_fuse_options *options, int *ret_dev,
				  int *ret_mnt, struct cairn_error *err);

/* Starts a child process that serves the image at @image_fd through @dev_fd, a mounted /dev/fuse, which
 * the caller then closes. Returns when it is ready to answer, or has failed and was waited for.
 * Returns as cairn_fuse_mount(). */
CAIRN_API int cairn_fuse_start(int dev_fd, int image_fd, const struct cairn_fuse_options *options,
			       pid_t *ret_pid, struct cairn_error *err);

/* Serves in the calling process, which loses its privileges for good: it can open nothing but objects of
 * the stores from then on. Calls @ready(@arg) (may be NULL) once, before the first answer. Returns 0
 * when the mount is gone, or as cairn_fuse_mount(). */
CAIRN_API int cairn_fuse_serve(int dev_fd, int image_fd, const struct cairn_fuse_options *options,
			       void (*ready)(void *arg), void *arg, struct cairn_error *err);

/* --- with overlayfs -------------------------------------------------------------------------- */

/* The mount of cairn_mount_open() for who may mount, but not EROFS: in a user namespace of his own. A child
 * process serves names and attributes (CAIRN_FUSE_METADATA), and overlayfs reads the contents itself,
 * at the speed of the store's file system; it verifies them where @options ask for that and it can
 * (Linux 6.16). @options: without idmap_fd; a digest that the kernel cannot measure is compared by the
 * server with the bytes that it serves. @fuse: flags (but METADATA and CHECK), jobs, log; NULL: none.
 * *@ret_pid: the server, which ends when the mount is gone; the caller's to wait for.
 * Returns a descriptor as cairn_mount_open(), or as cairn_fuse_mount() and cairn_mount(). */
CAIRN_API int cairn_overlay_open(int image_fd, const struct cairn_mount_options *options,
				 const struct cairn_fuse_options *fuse,
				 struct cairn_mount_result *ret, pid_t *ret_pid,
				 struct cairn_error *err);

#ifdef __cplusplus
}
#endif

#endif
