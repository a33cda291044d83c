/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What the command sees: the image, with a layer for changes, /proc, /dev, /sys and the binds.
 *
 *	backend   image                             changes
 *	kernel    EROFS and overlayfs               upper layer of that overlay
 *	overlay   a server and overlayfs            upper layer of that overlay
 *	fuse      a server that verifies each read  an overlay of its own over that mount
 *
 * All of it is made in our mount namespace on a tmpfs at RUN_STAGE:
 *	root	what becomes the root		lower	the mount of the backend fuse
 *	keep	the directory of --upper, else	keep/upper, keep/work: the two directories of overlayfs
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "mounts.h"
#include "run.h"

#define ROOT  RUN_STAGE "/root"
#define LOWER RUN_STAGE "/lower"
#define KEEP  RUN_STAGE "/keep"
#define UPPER KEEP "/upper"
#define WORK  KEEP "/work"

static int failed(const char *what)
{
	talk("%s: %s", what, strerror(errno));
	return RUN_FAILED;
}

/* --- the stage ------------------------------------------------------------------------------- */

static int make_stage(const struct run *r)
{
	if (mount("tmpfs", RUN_STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0 ||
	    mkdir(ROOT, 0755) < 0 || mkdir(LOWER, 0755) < 0 || mkdir(KEEP, 0755) < 0)
		return failed("make a place for the mounts");
	if (r->upper && mount(r->upper, KEEP, NULL, MS_BIND, NULL) < 0)
		return failed(r->upper);
	if (!r->read_only && ((mkdir(UPPER, 0755) < 0 && errno != EEXIST) ||
			      (mkdir(WORK, 0755) < 0 && errno != EEXIST)))
		return failed(r->upper ? r->upper : "make the upper layer");
	return 0;
}

/* --- the image ------------------------------------------------------------------------------- */

static void log_fault(void *arg, const char *text)
{
	(void)arg;
	talk("%s", text);
}

static int attach(int mnt, const char *path)
{
	int target cleanup_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct cairn_error err = {0};
	int r;

	if (target < 0)
		return failed(path);
	r = cairn_mount_attach(mnt, target, &err);
	if (r < 0) {
		talk("%s", err.text);
		return RUN_FAILED;
	}
	return 0;
}

/* The verifying server's mount on LOWER. */
static int mount_lower(struct run *r, int image, const struct cairn_fuse_options *options,
		       struct cairn_mount_result *res, struct cairn_error *err)
{
	int dev cleanup_fd = -1;
	int mnt cleanup_fd = -1;
	int code;

	res->image = res->contents = res->state = CAIRN_CHECKED;
	if (r->request->mount.options.verity == CAIRN_VERITY_OFF)
		res->contents = res->state = CAIRN_UNVERIFIED;
	code = cairn_fuse_detached(options, &dev, &mnt, err);
	if (code == 0)
		code = cairn_fuse_start(dev, image, options, &r->server, err);
	if (code < 0)
		return code;
	return attach(mnt, r->read_only ? ROOT : LOWER) ? -EIO : 0;
}

/* Changes over the verified files: overlayfs reads them through the server. */
static int mount_upper(const struct run *r)
{
	static const char options[] = "lowerdir=" LOWER ",upperdir=" UPPER ",workdir=" WORK;
	char text[sizeof(options) + 16];

	snprintf(text, sizeof(text), "%s%s", options, r->user ? ",userxattr" : "");
	if (mount("overlay", ROOT, "overlay", r->user ? MS_NOSUID | MS_NODEV : 0, text) < 0)
		return failed("put a layer for changes over the image");
	return 0;
}

static int mount_image(struct run *r, int image, enum cairn_backend backend,
		       struct cairn_mount_result *res, struct cairn_error *err)
{
	struct cairn_mount_options *o = &r->request->mount.options;
	struct cairn_fuse_options fuse = {
		.flags = CAIRN_FUSE_WITH_PARENT |
			 (o->verity == CAIRN_VERITY_OFF ? CAIRN_FUSE_UNVERIFIED : 0) |
			 (o->flags & CAIRN_MOUNT_CHECK_IMAGE && backend == CAIRN_BACKEND_FUSE
				  ? CAIRN_FUSE_CHECK
				  : 0),
		.mount_flags = o->flags & ~(unsigned int)(CAIRN_MOUNT_CHECK_IMAGE |
							  CAIRN_MOUNT_VERIFY_OBJECTS),
		.stores = (const struct cairn_store *const *)r->request->stores.store,
		.nr_stores = r->request->stores.nr,
		.digest = o->digest,
		.log = log_fault,
	};
	struct cairn_fuse_options names;
	int mnt cleanup_fd = -1;

	/* As for all that users mount. */
	if (r->user)
		fuse.mount_flags |= CAIRN_MOUNT_NOSUID | CAIRN_MOUNT_NODEV;
	names = fuse;
	if (backend == CAIRN_BACKEND_FUSE)
		return mount_lower(r, image, &fuse, res, err);
	if (!r->read_only) {
		o->upperdir = UPPER;
		o->workdir = WORK;
	}
	names.flags &= CAIRN_FUSE_WITH_PARENT;
	mnt = backend == CAIRN_BACKEND_OVERLAY
		      ? cairn_overlay_open(image, o, &names, res, &r->server, err)
		      : cairn_mount_open(image, o, res, err);
	if (mnt < 0)
		return mnt;
	return attach(mnt, ROOT) ? -EIO : 0;
}

int run_mount_root(struct run *r)
{
	struct cairn_mount_result res = {0};
	struct cairn_error err = {0};
	enum cairn_backend backend;
	int status;

	/* In our namespace, where it is another question what may be mounted. */
	backend = mount_request_backend(r->request);
	if (r->request->mount.options.require == CAIRN_ENFORCED && backend == CAIRN_BACKEND_FUSE) {
		talk("%s: 'enforced' cannot be had here", r->image);
		return RUN_FAILED;
	}
	status = make_stage(r);
	if (status != 0)
		return status;
	status = mount_image(r, r->request->image.fd, backend, &res, &err);
	if (status < 0) {
		if (err.code)
			(void)talk_error(status, &err, r->image);
		return RUN_FAILED;
	}
	if (backend == CAIRN_BACKEND_FUSE && !r->read_only && mount_upper(r) != 0)
		return RUN_FAILED;
	if (r->verbose)
		talk("%s: %s, by the backend '%s'%s", r->image, state_word(res.state),
		     backend_word(backend), r->user ? " in a user namespace" : "");
	return 0;
}

/* --- what is in it --------------------------------------------------------------------------- */

/* Opens @path as the command will see it: links in the image, absolute ones too, stay in it. */
static int open_inside(int root, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};

	path += strspn(path, "/");
	return (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
}

/* Makes @path, the parent of which is there. Only its last name is looked up by a call that could follow
 * links out of the image, and those that make something do not follow it. */
static void make_name(int root, char *path, bool directory)
{
	char *slash = strrchr(path, '/');
	int parent cleanup_fd = -1;
	int fd;

	if (!slash || !slash[1])
		return;
	*slash = '\0';
	parent = open_inside(root, path);
	*slash = '/';
	if (parent < 0)
		return;
	if (directory) {
		(void)mkdirat(parent, slash + 1, 0755);
		return;
	}
	fd = openat(parent, slash + 1, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd >= 0)
		close(fd);
}

/* A place for a mount inside, as a descriptor (O_PATH): made where it is missing and can be. */
static int open_place(int root, const char *path, bool directory)
{
	int fd = open_inside(root, path);
	char *copy cleanup_free = NULL;

	if (fd >= 0 || errno != ENOENT || asprintf(&copy, "/%s", path) < 0)
		return fd;
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		make_name(root, copy, true);
		*slash = '/';
	}
	make_name(root, copy, directory);
	return open_inside(root, path);
}

static bool is_directory(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Attaches the detached mount @mnt at @path inside. */
static bool put(int root, int mnt, const char *path, bool directory)
{
	int place cleanup_fd = open_place(root, path, directory);

	return place >= 0 && mnt >= 0 &&
	       move_mount(mnt, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) ==
		       0;
}

/* A copy of what the machine has at @path, with what is mounted below. */
static int clone_mount(const char *path, bool read_only)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	int mnt = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (mnt >= 0 && read_only &&
	    mount_setattr(mnt, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0) {
		close(mnt);
		return -1;
	}
	return mnt;
}

static int new_mount(const char *type, const char *const *options)
{
	int fs cleanup_fd = fsopen(type, FSOPEN_CLOEXEC);

	if (fs < 0)
		return -1;
	for (; options[0]; options += 2)
		if (fsconfig(fs, FSCONFIG_SET_STRING, options[0], options[1], 0) < 0)
			return -1;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
}

/* The devices that programs take for granted, those of the machine; terminals of our own. */
static bool make_dev(int root)
{
	static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};
	static const char *const links[][2] = {{"/proc/self/fd", "fd"},
					       {"/proc/self/fd/0", "stdin"},
					       {"/proc/self/fd/1", "stdout"},
					       {"/proc/self/fd/2", "stderr"},
					       {"pts/ptmx", "ptmx"}};
	static const char *const dev_options[] = {"mode", "0755", NULL};
	static const char *const pts_options[] = {"ptmxmode", "0666", "mode", "0620", NULL};
	static const char *const shm_options[] = {"mode", "1777", NULL};
	int dev cleanup_fd = new_mount("tmpfs", dev_options);
	int pts cleanup_fd = new_mount("devpts", pts_options);
	int shm cleanup_fd = new_mount("tmpfs", shm_options);
	int inside cleanup_fd = -1;
	char path[32];

	if (!put(root, dev, "/dev", true))
		return false;
	inside = open_place(root, "/dev", true);
	if (inside < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		snprintf(path, sizeof(path), "/dev/%s", nodes[i]);
		int node cleanup_fd = clone_mount(path, false);

		if (node >= 0 && !put(inside, node, nodes[i], false))
			return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		(void)!symlinkat(links[i][0], inside, links[i][1]);
	(void)put(inside, pts, "pts", true);
	(void)put(inside, shm, "shm", true);
	return true;
}

static int make_binds(const struct run *r, int root)
{
	for (unsigned int i = 0; i < r->nr_binds; i++) {
		const struct run_bind *b = &r->binds[i];
		int mnt cleanup_fd = clone_mount(b->from, b->read_only);

		if (mnt < 0)
			return failed(b->from);
		if (put(root, mnt, b->to, is_directory(mnt)))
			continue;
		talk("--bind %s: nothing can be put there in the image: %s", b->to,
		     strerror(errno));
		return RUN_FAILED;
	}
	return 0;
}

static void lacking(const struct run *r, const char *path)
{
	if (r->verbose)
		talk("%s: without %s, which the image has not or this machine does not give",
		     r->image, path);
}

int run_enter_root(struct run *r)
{
	int root cleanup_fd = open(ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int sys cleanup_fd = -1;
	int proc cleanup_fd = -1;

	if (root < 0)
		return failed(ROOT);
	/* Where parts of the machine's /proc are hidden from us, a new one may not show them: then it is
	 * the old one, with the machine's processes. */
	proc = r->proc >= 0 ? take_fd(&r->proc) : clone_mount("/proc", false);
	if (!put(root, proc, "/proc", true))
		lacking(r, "/proc");
	if (!make_dev(root))
		lacking(r, "/dev");
	sys = clone_mount("/sys", true);
	if (!put(root, sys, "/sys", true))
		lacking(r, "/sys");
	if (make_binds(r, root) != 0)
		return RUN_FAILED;

	/* The old root comes to lie on top of the new one, and is taken off. */
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return failed("change the root");
	return 0;
}
