/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What `cairn mount` and `cairn run` are asked for, made into what the library takes. */
#ifndef CLI_MOUNT_REQUEST_H
#define CLI_MOUNT_REQUEST_H

#include <limits.h>

#include "image.h"
#include "mount_options.h"
#include "stores.h"

/* The options of both commands. */
struct mount_wishes {
	struct opt_list lists, stores;
	unsigned int backend; /* enum cairn_backend */
	unsigned int require; /* enum cairn_state */
	unsigned int jobs;
	struct opt_list certs;
	bool no_check, verify, require_seal;
};

#define MOUNT_WISH_OPTS(type, field)                                                               \
	OPT_DIRS(type, field.stores, 's', "store", "DIR",                                          \
		 "store with the contents, may be given several times"),                           \
		OPT_TEXTS(type, field.lists, 'o', "options", "OPTIONS",                            \
			  "mount options, see below"),                                             \
		OPT_CHOICE(type, field.backend, 0, "backend", "HOW", "kernel|overlay|fuse",        \
			   "how it is mounted; default: what keeps the promise best"),             \
		OPT_CHOICE(type, field.require, 0, "require", "STATE", "checked|enforced",         \
			   "refuse to mount when it would be weaker"),                             \
		OPT_BOOL(type, field.verify, 0, "verify", 1,                                       \
			 "verify all contents now, where the kernel will not"),                    \
		OPT_BOOL(type, field.require_seal, 0, "require-seal", 1,                           \
			 "only what was sealed when it was pulled"),                               \
		OPT_TEXTS(type, field.certs, 0, "seal-cert", "FILE",                               \
			  "and the seal be signed with this certificate"),                         \
		OPT_BOOL(type, field.no_check, 0, "no-check", 1,                                   \
			 "do not check an image that no digest pins"),                             \
		OPT_COUNT(type, field.jobs, 'j', "jobs", 1024, "threads for verifying")

struct mount_request {
	const struct mount_wishes *wishes;
	struct mount_args
		mount; /* its options are complete, but for the idmap and the image's name */
	struct image_found image;
	struct store_list stores;
	const char *basedirs[8 * OPT_LIST_MAX]; /* of the stores, their parents, and basedir= */
	char memory[PATH_MAX];
	bool check; /* the image, for no digest pins it */
};

/* Reads the wishes, the strings of which are changed, opens the image @name and the stores. Returns EXIT_DONE or another
 * exit status after telling why. @r: to be closed in any case. */
int mount_request_open(struct mount_request *r, struct mount_wishes *wishes, const char *name);
void mount_request_close(struct mount_request *r);

#define MOUNT_REQUEST_INIT                                                                         \
	{                                                                                          \
		.image.fd = -1                                                                     \
	}
#define cleanup_request __attribute__((__cleanup__(mount_request_close)))

/* The backend that is asked for, or best in the namespace where this is called; settles the options that
 * depend on it. */
enum cairn_backend mount_request_backend(struct mount_request *r);

#endif
