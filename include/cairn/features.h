/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What this kernel, these file systems and this user can do, and which way of mounting follows from it.
 * Everything is tried; nothing is concluded from version numbers.
 */
#ifndef CAIRN_FEATURES_H
#define CAIRN_FEATURES_H

#include <cairn/mount.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cairn_backend {
	CAIRN_BACKEND_AUTO = 0,
	CAIRN_BACKEND_KERNEL = 1, /* EROFS and overlayfs: cairn_mount() */
	CAIRN_BACKEND_OVERLAY =
		2, /* a server for the names, overlayfs for contents: cairn_overlay_open() */
	CAIRN_BACKEND_FUSE = 3, /* a server for all: cairn_fuse_mount() */
};

enum cairn_feature {
	CAIRN_FEATURE_MOUNT = 0,  /* this process may mount in its namespace */
	CAIRN_FEATURE_EROFS,      /* … also EROFS, for which it must be root of the machine */
	CAIRN_FEATURE_EROFS_FILE, /* EROFS from a file of the store's file system, without loop */
	CAIRN_FEATURE_LOOP,       /* loop devices */
	CAIRN_FEATURE_DATA_ONLY,  /* data-only layers in overlayfs */
	CAIRN_FEATURE_DETACHED,   /* layers by descriptor, of mounts that hang nowhere */
	CAIRN_FEATURE_IDMAP,      /* idmapped EROFS */
	CAIRN_FEATURE_OVERLAY_VERITY,      /* verity=require in overlayfs */
	CAIRN_FEATURE_VERITY,              /* fs-verity on the file system of every store */
	CAIRN_FEATURE_OBJECTS,             /* … and the objects have it */
	CAIRN_FEATURE_USER_NAMESPACE,      /* ordinary users may make one */
	CAIRN_FEATURE_OVERLAY_USER,        /* data-only layers with userxattr in it */
	CAIRN_FEATURE_OVERLAY_USER_VERITY, /* … and verity=require with them */
	CAIRN_FEATURE_FUSE,                /* /dev/fuse can be opened */
	CAIRN_FEATURE_FUSERMOUNT,          /* fusermount3(1) is there */
	CAIRN_FEATURE_PASSTHROUGH,         /* FUSE may hand files to the kernel */
	CAIRN_FEATURES,
};

enum cairn_answer { CAIRN_NO = 0, CAIRN_YES = 1, CAIRN_UNKNOWN = 2 };

struct cairn_features {
	struct {
		enum cairn_answer have;
		char detail[160]; /* why not, or a number; "" */
	} of[CAIRN_FEATURES];

	/* What a mount with these stores, that asks for nothing, would be. */
	enum cairn_backend use;
	enum cairn_state state;
};

/* Word for @feature, what it is, since which Linux it can be, and what to do where it is missing; all
 * static, the last two may be NULL. */
struct cairn_feature_words {
	const char *name;
	const char *what;
	const char *since;
	const char *hint;
};

CAIRN_API const struct cairn_feature_words *cairn_feature_words(enum cairn_feature feature);

/* Tries everything, with the object directories @objects[0..@nr) (none: what depends on them is unknown).
 * Makes mounts that hang nowhere and are gone when it returns, a nameless file in the first directory
 * where that can be written to, and a child process in a user namespace of its own. Takes
 * some ten milliseconds. Returns 0 or a negative errno. */
CAIRN_API int cairn_features_probe(const char *const *objects, size_t nr,
				   struct cairn_features *ret, struct cairn_error *err);

/* The answer to one question that needs no store: MOUNT, EROFS, FUSE, FUSERMOUNT; UNKNOWN for the others. */
CAIRN_API enum cairn_answer cairn_feature_ask(enum cairn_feature feature);

/* The backend for a mount with @options: the one that keeps the promise best here, and of those
 * that do so alike the fastest. Asks only what it needs to know, which takes some 0.1 ms. @state (may be
 * NULL): what the mount will be at most; that of the image may be weaker. */
CAIRN_API enum cairn_backend cairn_backend_choose(const struct cairn_mount_options *options,
						  enum cairn_state *state);

#ifdef __cplusplus
}
#endif

#endif
