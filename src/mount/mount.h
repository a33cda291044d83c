/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Mounting an image through the kernel: EROFS below, overlayfs above (mount-semantics). */
#ifndef MOUNT_MOUNT_H
#define MOUNT_MOUNT_H

#include <cairn/features.h>

#include "base/error.h"

/* The ways of giving layers to overlayfs, newest first; the map in mount.c says what each needs. */
enum mount_way {
	MOUNT_BY_DESCRIPTOR = 1 << 0,
	MOUNT_BY_PATH = 1 << 1,
	MOUNT_BY_STRING = 1 << 2,
	MOUNT_BY_MERGING = 1 << 3,
	MOUNT_ANY_WAY = (1 << 4) - 1,
};

/* What was found out about the image, or about the contents, by reading it. */
struct mount_check {
	struct cairn_digest digest; /* of the image */
	int64_t when;               /* seconds since 1970; of several checks the oldest */
	uint64_t done, remembered;  /* how much was read now, and how much had been before */
};

/* What the caller does for this room, which does not know how. Both return 0 or a negative errno. */
struct mount_checker {
	/* @measured: what the kernel measured on the image, NULL: it has no fs-verity. */
	int (*image)(void *arg, int image_fd, const struct cairn_digest *measured,
		     struct mount_check *ret, struct cairn_error *err);
	/* Each object of the image in the first of the directories @base_fds[0..@nr) that has it. */
	int (*contents)(void *arg, int image_fd, const int *base_fds, size_t nr,
			struct mount_check *ret, struct cairn_error *err);
	void *arg;
};

/* cairn_mount() and the functions beside it, which see. @checker: may be NULL where no flag asks for
 * it. @ways: set of enum mount_way that may be used: all but in tests. */
int mount_image(int image_fd, const char *target, const struct cairn_mount_options *options,
		const struct mount_checker *checker, unsigned int ways,
		struct cairn_mount_result *ret, struct cairn_error *err);
int mount_open(int image_fd, const struct cairn_mount_options *options,
	       const struct mount_checker *checker, unsigned int ways,
	       struct cairn_mount_result *ret, struct cairn_error *err);
int mount_open_image(int image_fd, const struct cairn_mount_options *options,
		     const struct mount_checker *checker, struct cairn_mount_result *ret,
		     struct cairn_error *err);
/* The overlay over a mount that is served by a process of ours, for who may not mount EROFS. @names: makes
 * that mount (detached; its descriptor is this function's to close) for an image of which @facts are
 * known, digest and state above all. */
typedef int (*mount_names_fn)(void *arg, const struct cairn_mount_result *facts, const char *source,
			      struct cairn_error *err);
int mount_open_user(int image_fd, const struct cairn_mount_options *options,
		    const struct mount_checker *checker, mount_names_fn names, void *arg,
		    struct cairn_mount_result *ret, struct cairn_error *err);

int mount_layers(int image_fd, const struct cairn_mount_options *options,
		 const struct mount_checker *checker, cairn_layer_fn fn, void *arg,
		 struct cairn_mount_result *ret, struct cairn_error *err);
int mount_list(cairn_mounted_fn fn, void *arg, struct cairn_error *err);

/* The same of the table @text, as /proc/self/mountinfo has it; it is changed. */
int mount_list_text(char *text, cairn_mounted_fn fn, void *arg);

/* The part of cairn_features_probe() that is about mounts and stores. @image: a small one on the file
 * system of the first store, -1: none. @userns: a user namespace, -1: none. */
void features_probe(int image, int userns, const int *objects, size_t nr, struct cairn_features *f);

/* Whether this process may mount in its namespace; and EROFS: 0 or a negative errno, -EPERM: may not. */
bool may_mount(void);
int may_mount_erofs(struct cairn_error *err);

/* What a process in a new user namespace can do: adds it to @f, and gives the namespace. Returns a
 * descriptor, or -1 where none can be made. */
int features_probe_user(struct cairn_features *f);

/* cairn_backend_choose(). @fuse: it can be mounted by this process. */
enum cairn_backend backend_choose(const struct cairn_mount_options *options, bool fuse,
				  enum cairn_state *state);

/* cairn_umount(), which see. */
int mount_remove(const char *target, unsigned int flags, struct cairn_error *err);

#endif
