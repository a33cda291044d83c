/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn/features.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cairn/fuse.h>

#include "api/api-internal.h"
#include "fuse/fuse.h"
#include "mount/mount.h"
#include "sys/io.h"

#define PASSTHROUGH_FLAG2 (1u << 5) /* FUSE_PASSTHROUGH, bit 37, of Linux 6.9 */

static const struct cairn_feature_words words[CAIRN_FEATURES] = {
	[CAIRN_FEATURE_MOUNT] =
		{"mount", "this process may mount", NULL,
		 "root may, and anyone in a user namespace: unshare -Urm, cairn run"},
	[CAIRN_FEATURE_EROFS] = {"erofs", "it may mount images through the kernel", "5.15",
				 "root of the machine may, and the kernel needs the module erofs"},
	[CAIRN_FEATURE_EROFS_FILE] =
		{"erofs-file", "images are mounted from the file", "6.12",
		 "else a loop device is taken; tmpfs and overlayfs as place of the "
		 "image always need one"},
	[CAIRN_FEATURE_LOOP] = {"loop", "loop devices", "5.8", "modprobe loop"},
	[CAIRN_FEATURE_DATA_ONLY] = {"data-only", "stores are data-only layers of overlayfs", "6.5",
				     "needed for verified contents and for images of version 2"},
	[CAIRN_FEATURE_DETACHED] =
		{"detached", "layers are handed over by descriptor", "6.15",
		 "else a private mount namespace is used, and df shows the image"},
	[CAIRN_FEATURE_IDMAP] = {"idmap", "owners of the image can be mapped", "5.19", NULL},
	[CAIRN_FEATURE_OVERLAY_VERITY] = {"overlay-verity", "overlayfs verifies contents", "6.6",
					  NULL},
	[CAIRN_FEATURE_VERITY] =
		{"verity", "the file systems of the stores have fs-verity", "5.4",
		 "ext4: tune2fs -O verity; btrfs and f2fs have it; the kernel needs "
		 "CONFIG_FS_VERITY"},
	[CAIRN_FEATURE_OBJECTS] = {"objects", "the objects have fs-verity", NULL,
				   "a store has it when it is filled where fs-verity is"},
	[CAIRN_FEATURE_USER_NAMESPACE] = {"user-namespaces", "users may make user namespaces", NULL,
					  "see user.max_user_namespaces and the words above"},
	[CAIRN_FEATURE_OVERLAY_USER] = {"overlay-user",
					"overlayfs reads contents in a user namespace", "6.16",
					"else they go through FUSE"},
	[CAIRN_FEATURE_OVERLAY_USER_VERITY] = {"overlay-user-verity", "… and verifies them", "6.16",
					       NULL},
	[CAIRN_FEATURE_FUSE] = {"fuse", "/dev/fuse can be opened", NULL,
				"modprobe fuse; chmod 666 /dev/fuse"},
	[CAIRN_FEATURE_FUSERMOUNT] = {"fusermount", "fusermount3 mounts for users", NULL,
				      "install fuse3"},
	[CAIRN_FEATURE_PASSTHROUGH] = {"passthrough", "FUSE may hand files to the kernel", "6.9",
				       "root of the machine may"},
};

const struct cairn_feature_words *cairn_feature_words(enum cairn_feature feature)
{
	return &words[feature];
}

/* --- an image to try with -------------------------------------------------------------------- */

static int put_image(void *arg, const void *data, unsigned long size)
{
	return write_all(*(int *)arg, data, size);
}

/* The image of an empty directory, in a nameless file in @dir. Returns a descriptor or -1. */
static int make_image(int dir)
{
	static const char dump[] = "/ 0 40755 2 0 0 0 0.0 - - -\n";
	cleanup_fd int text = memfd_create("dump", MFD_CLOEXEC);
	cleanup_fd int fd = openat(dir, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	struct cairn_image_options o = {
		.format = CAIRN_FORMAT_V1, .write = put_image, .write_arg = &fd};
	struct cairn_tree *tree = NULL;
	int r;

	if (text < 0 || fd < 0 || write_all(text, dump, strlen(dump)) < 0 ||
	    lseek(text, 0, SEEK_SET) < 0 || cairn_tree_from_dump(text, 0, 1, &tree, NULL) < 0)
		return -1;
	r = cairn_image_write(tree, &o, NULL, NULL);
	cairn_tree_free(tree);
	return r < 0 ? -1 : take_fd(&fd);
}

/* --- FUSE ------------------------------------------------------------------------------------ */

static bool can_open_fuse(char *why, size_t size)
{
	cleanup_fd int dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (dev < 0 && why)
		snprintf(why, size, "/dev/fuse: %s", strerror(errno));
	return dev >= 0;
}

static bool has_fusermount(void)
{
	return access("/usr/bin/fusermount3", X_OK) == 0 || access("/bin/fusermount3", X_OK) == 0 ||
	       access("/usr/local/bin/fusermount3", X_OK) == 0;
}

/* The kernel offers it in its first request. That a process may use it is another question, which it
 * answers as it answers who may mount EROFS. */
static bool fuse_can_pass(const struct cairn_features *f)
{
	const struct cairn_fuse_options o = {0};
	union {
		struct {
			struct fuse_in_header head;
			struct fuse_init_in init;
		} request;
		char space[16384]; /* the kernel's minimum */
	} in = {0};
	cleanup_fd int dev = -1;
	cleanup_fd int mnt = -1;
	struct pollfd poll_dev;

	if (f->of[CAIRN_FEATURE_EROFS].have != CAIRN_YES || fuse_detached(&o, &dev, &mnt, NULL) < 0)
		return false;
	poll_dev = (struct pollfd){.fd = dev, .events = POLLIN};
	if (poll(&poll_dev, 1, 1000) != 1 ||
	    read(dev, &in, sizeof(in)) < (ssize_t)sizeof(in.request))
		return false;
	return in.request.head.opcode == FUSE_INIT && (in.request.init.flags2 & PASSTHROUGH_FLAG2);
}

static void probe_fuse(struct cairn_features *f)
{
	f->of[CAIRN_FEATURE_FUSE].have = can_open_fuse(f->of[CAIRN_FEATURE_FUSE].detail,
						       sizeof(f->of[CAIRN_FEATURE_FUSE].detail))
						 ? CAIRN_YES
						 : CAIRN_NO;
	f->of[CAIRN_FEATURE_FUSERMOUNT].have = has_fusermount() ? CAIRN_YES : CAIRN_NO;
	f->of[CAIRN_FEATURE_PASSTHROUGH].have = fuse_can_pass(f) ? CAIRN_YES : CAIRN_NO;
}

/* --------------------------------------------------------------------------------------------- */

int cairn_features_probe(const char *const *objects, size_t nr, struct cairn_features *ret,
			 struct cairn_error *err)
{
	const struct cairn_mount_options o = {
		.verity = CAIRN_VERITY_TRY, .basedirs = objects, .nr_basedirs = nr, .idmap_fd = -1};
	cleanup_free int *fds = (int *)calloc(nr + 1, sizeof(int));
	cleanup_fd int userns = -1;
	cleanup_fd int image = -1;
	struct cairn_features f = {0};
	size_t opened = 0;
	int r = 0;

	if (!fds)
		return error_errno(err, -ENOMEM, "features");
	for (size_t i = 0; i < CAIRN_FEATURES; i++)
		f.of[i].have = CAIRN_UNKNOWN;
	for (; opened < nr && r == 0; opened++) {
		fds[opened] = open(objects[opened], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fds[opened] < 0)
			r = error_errno(err, -errno, "%s", objects[opened]);
	}
	if (r == 0) {
		image = nr ? make_image(fds[0]) : -1;
		userns = features_probe_user(&f);
		features_probe(image, userns, fds, nr, &f);
		probe_fuse(&f);
		f.use = cairn_backend_choose(&o, &f.state);
		*ret = f;
	}
	while (opened)
		if (fds[--opened] >= 0)
			close(fds[opened]);
	return r;
}

enum cairn_answer cairn_feature_ask(enum cairn_feature feature)
{
	switch (feature) {
	case CAIRN_FEATURE_MOUNT:
		return may_mount() ? CAIRN_YES : CAIRN_NO;
	case CAIRN_FEATURE_EROFS:
		return may_mount_erofs(NULL) == 0 ? CAIRN_YES : CAIRN_NO;
	case CAIRN_FEATURE_FUSE:
		return can_open_fuse(NULL, 0) ? CAIRN_YES : CAIRN_NO;
	case CAIRN_FEATURE_FUSERMOUNT:
		return has_fusermount() ? CAIRN_YES : CAIRN_NO;
	default:
		return CAIRN_UNKNOWN;
	}
}

enum cairn_backend cairn_backend_choose(const struct cairn_mount_options *options,
					enum cairn_state *state)
{
	enum cairn_state unused;

	return backend_choose(options, can_open_fuse(NULL, 0) || has_fusermount(),
			      state ? state : &unused);
}
