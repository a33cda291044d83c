/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What this kernel, these file systems and this user can do: every question that is asked before
 * something is mounted, and what `cairn features` prints.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "mount/mount-internal.h"
#include "sys/mount_api.h"
#include "sys/verity.h"

/* Objects looked at in a store, each in another of its 256 directories, before CAIRN_VERITY_TRY
 * believes that all of them have fs-verity. A store is usually all or nothing; one that was copied
 * over a file system without it in parts is found with few looks. */
#define SAMPLES 8

/* --- overlayfs ------------------------------------------------------------------------------- */

bool overlay_is_old(int fs)
{
	return fs_set_string(fs, "unsupported", "unsupported", NULL) == 0;
}

int overlay_takes_verity(struct cairn_error *err)
{
	cleanup_fd int fs = fs_open("overlay", err);

	if (fs < 0)
		return fs;
	return !overlay_is_old(fs) && fs_set_string(fs, "verity", "require", NULL) == 0;
}

/* An empty directory that hangs nowhere. */
static int make_directory(struct cairn_error *err)
{
	cleanup_fd int fs = fs_open("tmpfs", err);
	int r;

	if (fs < 0)
		return fs;
	r = fs_create(fs, err);
	return r < 0 ? r : fs_mount(fs, 0, err);
}

int overlay_takes_user(bool verity, struct cairn_error *err)
{
	cleanup_fd int fs = fs_open("overlay", err);
	cleanup_fd int names = -1;
	cleanup_fd int data = -1;

	if (fs < 0)
		return fs;
	if (overlay_is_old(fs))
		return 0;
	names = make_directory(err);
	if (names < 0)
		return names;
	data = make_directory(err);
	if (data < 0)
		return data;
	/* Older kernels refuse the combination when the super block is made, or a descriptor before. */
	return fs_set_flag(fs, "userxattr", NULL) == 0 &&
	       (!verity || fs_set_string(fs, "verity", "require", NULL) == 0) &&
	       fs_set_fd(fs, "lowerdir+", names, NULL) == 0 &&
	       fs_set_fd(fs, "datadir+", data, NULL) == 0 && fs_create(fs, NULL) == 0;
}

/* --- stores ---------------------------------------------------------------------------------- */

/* Whether the file @name of @dir has fs-verity: 1 or 0; -1: it is no object. */
static int sample_file(int dir, const char *name)
{
	cleanup_fd int fd = -1;
	struct cairn_digest digest;
	struct stat st;

	if (name[0] == '.') /* nor are files that are still being written */
		return -1;
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	return verity_measure(fd, &digest) == 0;
}

/* The same of the first object in directory @name of @store. */
static int sample_directory(int store, const char *name)
{
	int fd = openat(store, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *e;
	int found = -1;
	DIR *dir;

	if (fd < 0)
		return -1;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -1;
	}
	while (found < 0 && (e = readdir(dir)))
		found = sample_file(fd, e->d_name);
	closedir(dir);
	return found;
}

bool objects_have_verity(int store)
{
	static const char digits[] = "0123456789abcdef";
	int found, seen = 0;

	for (int i = 0; i < 256 && seen < SAMPLES; i++) {
		/* 167 is odd, so every directory has its turn; neighbours come far apart. */
		int n = i * 167 % 256;
		char name[3] = {digits[n >> 4], digits[n & 15], '\0'};

		found = sample_directory(store, name);
		if (found == 0)
			return false;
		seen += found > 0;
	}
	return true;
}

/* --- this process ---------------------------------------------------------------------------- */

bool may_mount(void)
{
	cleanup_fd int fs = fs_open("tmpfs", NULL);

	return fs >= 0;
}

/* Without a source EROFS refuses, but before that it is asked whether we may mount it at all. */
int may_mount_erofs(struct cairn_error *err)
{
	cleanup_fd int fs = fs_open("erofs", err);
	int r;

	if (fs < 0)
		return fs;
	r = fs_create(fs, err);
	return r == -EPERM ? r : 0;
}

/* --- all of it ------------------------------------------------------------------------------- */

static void set(struct cairn_features *f, enum cairn_feature feature, bool have)
{
	f->of[feature].have = have ? CAIRN_YES : CAIRN_NO;
}

/* The failure's own words: "why not". */
static void set_why(struct cairn_features *f, enum cairn_feature feature, int r,
		    const struct cairn_error *err)
{
	set(f, feature, r >= 0);
	if (r < 0)
		snprintf(f->of[feature].detail, sizeof(f->of[feature].detail), "%.159s", err->text);
}

static void probe_stores(const int *objects, size_t nr, struct cairn_features *f)
{
	if (!nr)
		return;
	set(f, CAIRN_FEATURE_VERITY, true);
	set(f, CAIRN_FEATURE_OBJECTS, true);
	for (size_t i = 0; i < nr; i++) {
		if (!verity_supported(objects[i]))
			set(f, CAIRN_FEATURE_VERITY, false);
		if (!verity_supported(objects[i]) || !objects_have_verity(objects[i]))
			set(f, CAIRN_FEATURE_OBJECTS, false);
	}
}

static void probe_ways(struct mount_plan *p, int userns, struct cairn_features *f)
{
	struct cairn_error err = {0};
	cleanup_fd int image = -1;
	unsigned int way;
	bool loop = false;
	int r;

	r = image = image_mount(p, &loop, &err);
	set_why(f, CAIRN_FEATURE_EROFS_FILE, loop && r >= 0 ? -ENOTBLK : r, &err);
	if (loop)
		set(f, CAIRN_FEATURE_LOOP, r >= 0);
	if (r < 0)
		return;

	for (way = MOUNT_BY_DESCRIPTOR; way <= MOUNT_BY_STRING; way <<= 1) {
		unsigned int got;
		cleanup_fd int mnt = overlay_mount(p, image, way, &got, &err);

		if (way == MOUNT_BY_DESCRIPTOR)
			set(f, CAIRN_FEATURE_DETACHED, mnt >= 0);
		set_why(f, CAIRN_FEATURE_DATA_ONLY, mnt, &err);
		if (mnt >= 0)
			break;
	}
	if (userns >= 0)
		set_why(f, CAIRN_FEATURE_IDMAP, mount_idmap(image, userns, &err), &err);
}

/* @image: a small one on the file system of the first of @objects. @userns: a user namespace; -1: none. */
static void probe_mounts(int image, int userns, const int *objects, size_t nr,
			 struct cairn_features *f)
{
	struct cairn_mount_options o = {.idmap_fd = -1, .basedir_fds = objects, .nr_basedirs = nr};
	struct cairn_error err = {0};
	struct mount_plan plan;

	if (image < 0 || !nr || f->of[CAIRN_FEATURE_EROFS].have != CAIRN_YES)
		return;
	if (plan_init(&plan, image, &o, NULL, PLAN_STACK, &err) == 0)
		probe_ways(&plan, userns, f);
	plan_fini(&plan);
}

/* Where it is not needed nobody tries it. */
static void probe_loop(struct cairn_features *f)
{
	if (f->of[CAIRN_FEATURE_LOOP].have == CAIRN_UNKNOWN &&
	    access("/dev/loop-control", R_OK) == 0)
		set(f, CAIRN_FEATURE_LOOP, true);
	else if (f->of[CAIRN_FEATURE_LOOP].have == CAIRN_UNKNOWN)
		set(f, CAIRN_FEATURE_LOOP, false);
}

void features_probe(int image, int userns, const int *objects, size_t nr, struct cairn_features *f)
{
	struct cairn_error err = {0};
	int r;

	set(f, CAIRN_FEATURE_MOUNT, may_mount());
	set_why(f, CAIRN_FEATURE_EROFS, may_mount_erofs(&err), &err);
	if (f->of[CAIRN_FEATURE_MOUNT].have == CAIRN_YES) {
		r = overlay_takes_verity(&err);
		set_why(f, CAIRN_FEATURE_OVERLAY_VERITY, r, &err);
		if (r == 0)
			set(f, CAIRN_FEATURE_OVERLAY_VERITY, false);
	}
	probe_stores(objects, nr, f);
	probe_mounts(image, userns, objects, nr, f);
	probe_loop(f);
}

/* --- choosing -------------------------------------------------------------------------------- */

static bool stores_have_verity(const struct cairn_mount_options *o)
{
	for (size_t i = 0; i < o->nr_basedirs; i++) {
		cleanup_fd int fd = -1;
		int dir = o->basedir_fds ? o->basedir_fds[i] : -1;

		if (dir < 0)
			dir = fd = open(o->basedirs[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0 || !verity_supported(dir) || !objects_have_verity(dir))
			return false;
	}
	return true;
}

/* A table would be shorter if the questions were cheap; so each is asked when the answer matters. */
enum cairn_backend backend_choose(const struct cairn_mount_options *o, bool fuse,
				  enum cairn_state *state)
{
	const bool upper = o->upperdir || o->upper_fds;
	const bool erofs = may_mount_erofs(NULL) == 0;
	const bool verity = o->verity != CAIRN_VERITY_OFF && stores_have_verity(o);
	const bool needs_kernel = upper || o->idmap_fd >= 0 || o->flags & CAIRN_MOUNT_COMPAT;
	bool user;

	*state = verity ? CAIRN_ENFORCED : CAIRN_UNVERIFIED;
	if (erofs && ((verity && overlay_takes_verity(NULL) > 0) || o->verity == CAIRN_VERITY_OFF))
		return CAIRN_BACKEND_KERNEL;

	user = !erofs && may_mount() && o->idmap_fd < 0 && fuse &&
	       overlay_takes_user(verity, NULL) > 0;
	if (user && (verity || o->verity == CAIRN_VERITY_OFF))
		return CAIRN_BACKEND_OVERLAY;

	/* From here on the kernel verifies nothing. A server of ours does, at every read; who asked for
	 * the kernel's own word gets its refusal. */
	*state = o->flags & CAIRN_MOUNT_VERIFY_OBJECTS ? CAIRN_CHECKED : CAIRN_UNVERIFIED;
	if (erofs && (needs_kernel || !fuse || o->verity == CAIRN_VERITY_REQUIRE))
		return CAIRN_BACKEND_KERNEL;
	if (user && (upper || o->verity == CAIRN_VERITY_REQUIRE)) {
		*state = CAIRN_CHECKED; /* it is verified when it is mounted */
		return CAIRN_BACKEND_OVERLAY;
	}
	if (needs_kernel || !fuse)
		return CAIRN_BACKEND_KERNEL;
	*state = o->verity == CAIRN_VERITY_OFF ? CAIRN_UNVERIFIED : CAIRN_CHECKED;
	return CAIRN_BACKEND_FUSE;
}
