/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What is decided before anything is mounted: that the options can be meant, that the image is one and
 * the right one, that the directories are there, and whether fs-verity can be enforced.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/hex.h"
#include "mount/mount-internal.h"
#include "sys/io.h"
#include "sys/kernel_log.h"
#include "sys/verity.h"

/* image-format §1.1 */
#define HEADER_SIZE    32
#define HEADER_MAGIC   0xd078629au
#define HEADER_FLAGS   8
#define HEADER_VERSION 12
#define FLAG_HAS_ACL   1u

#define KNOWN_FLAGS                                                                                \
	(CAIRN_MOUNT_READ_ONLY | CAIRN_MOUNT_IMAGE_STATFS | CAIRN_MOUNT_NOSUID |                   \
	 CAIRN_MOUNT_NODEV | CAIRN_MOUNT_NOEXEC | CAIRN_MOUNT_NOATIME | CAIRN_MOUNT_COMPAT)

/* Objects looked at in a store, each in another of its 256 directories, before CAIRN_VERITY_TRY
 * believes that all of them have fs-verity. A store is usually all or nothing; one that was copied
 * over a file system without it in parts is found with few looks. */
#define SAMPLES 8

static int check_options(const struct cairn_mount_options *o, struct cairn_error *err)
{
	if (o->flags & ~(unsigned int)KNOWN_FLAGS)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "unknown mount flags 0x%x",
				 o->flags & ~(unsigned int)KNOWN_FLAGS);
	if (!o->nr_basedirs)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "no object directory given");
	if (!o->upperdir != !o->workdir)
		return error_set(
			err, -EINVAL, CAIRN_ERROR_USAGE,
			"an upper directory needs a work directory, and the other way round");
	if (o->idmap_fd < -1)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "idmap: bad descriptor %d",
				 o->idmap_fd);
	if (o->digest && !cairn_digest_size((enum cairn_alg)o->digest->alg))
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "unknown digest algorithm %u",
				 o->digest->alg);
	return 0;
}

/* Only the kernel's own measurement pins what is mounted: it is about the inode behind this very
 * descriptor, and goes on being true. A digest computed here could be of bytes that change later. */
static int check_digest(const struct mount_plan *p, struct cairn_error *err)
{
	const struct cairn_digest *want = p->options->digest;
	char want_hex[CAIRN_DIGEST_HEX_MAX], have_hex[CAIRN_DIGEST_HEX_MAX];
	struct cairn_digest have;
	int r = verity_measure(p->image_fd, &have);

	if (r == -ENODATA || r == -EOPNOTSUPP)
		return error_set(err, -ENOTTY, CAIRN_ERROR_DIGEST,
				 r == -ENODATA ? "image: a digest is required, but fs-verity is "
						 "not enabled on the file"
					       : "image: a digest is required, but its file system "
						 "or this kernel has no fs-verity");
	if (r == -EINVAL)
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				 "image: fs-verity has other parameters than a digest here means "
				 "(blocks of 4096 bytes, no salt, SHA-256 or SHA-512)");
	if (r < 0)
		return error_errno(err, r, "image: measure fs-verity");

	if (have.alg == want->alg &&
	    !memcmp(have.bytes, want->bytes, cairn_digest_size((enum cairn_alg)want->alg)))
		return 0;

	*hex_put(want_hex, want->bytes, cairn_digest_size((enum cairn_alg)want->alg)) = '\0';
	*hex_put(have_hex, have.bytes, cairn_digest_size((enum cairn_alg)have.alg)) = '\0';
	return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
			 "image: fs-verity digest is %s, expected %s", have_hex, want_hex);
}

static int read_header(struct mount_plan *p, struct cairn_error *err)
{
	uint8_t header[HEADER_SIZE];
	ssize_t n = pread_full(p->image_fd, header, sizeof(header), 0);
	uint32_t version;

	if (n < 0)
		return error_errno(err, (int)n, "image: read");
	if (n < HEADER_SIZE || get_le32(header) != HEADER_MAGIC)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "image: not a composefs image");

	/* A version 2 image holds ACLs or not, the header does not tell, and it has no stubs
	 * (image-format §A.2). */
	version = get_le32(header + HEADER_VERSION);
	p->acl = version >= 2 || (get_le32(header + HEADER_FLAGS) & FLAG_HAS_ACL);
	p->hides_objects = version < 2;
	return 0;
}

static int open_dir(const char *what, const char *path, int flags, struct cairn_error *err)
{
	int fd = open(path, flags | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(err, -errno, "%s %s", what, path);
	return fd;
}

/* overlayfs takes no directory twice, and says so as "too many levels of symbolic links". */
static int check_twice(const struct mount_plan *p, struct cairn_error *err)
{
	struct stat a, b;

	for (size_t i = 1; i < p->options->nr_basedirs; i++) {
		if (fstat(p->base_fds[i], &a) < 0)
			return error_errno(err, -errno, "stat %s", p->options->basedirs[i]);
		for (size_t j = 0; j < i; j++)
			if (fstat(p->base_fds[j], &b) == 0 && a.st_dev == b.st_dev &&
			    a.st_ino == b.st_ino)
				return error_set(err, -ELOOP, CAIRN_ERROR_USAGE,
						 "object directory %s is given twice",
						 p->options->basedirs[i]);
	}
	return 0;
}

static int open_dirs(struct mount_plan *p, const char *target, struct cairn_error *err)
{
	const struct cairn_mount_options *o = p->options;

	p->target_fd = open_dir("mount point", target, O_PATH, err);
	if (p->target_fd < 0)
		return p->target_fd;

	p->base_fds = (int *)malloc(o->nr_basedirs * sizeof(int));
	if (!p->base_fds)
		return error_errno(err, -ENOMEM, "mount");
	for (size_t i = 0; i < o->nr_basedirs; i++)
		p->base_fds[i] = -1;

	/* Not O_PATH: Linux 6.13 and 6.14 take only readable descriptors as layers. */
	for (size_t i = 0; i < o->nr_basedirs; i++) {
		p->base_fds[i] = open_dir("object directory", o->basedirs[i], O_RDONLY, err);
		if (p->base_fds[i] < 0)
			return p->base_fds[i];
	}
	if (o->upperdir) {
		p->upper_fd = open_dir("upper directory", o->upperdir, O_RDONLY, err);
		if (p->upper_fd < 0)
			return p->upper_fd;
		p->work_fd = open_dir("work directory", o->workdir, O_RDONLY, err);
		if (p->work_fd < 0)
			return p->work_fd;
	}
	return check_twice(p, err);
}

/* --- fs-verity ------------------------------------------------------------------------------- */

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

/* Whether the objects of the store open at @fd have fs-verity, as far as a few of them tell. An empty
 * store has no object without it. */
static bool objects_have_verity(int store)
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

/*
 * That overlayfs takes verity=require says nothing: it does so in a kernel without fs-verity too, and
 * then no file can be opened. So the stores are asked, except where a caller wants the reference's
 * behaviour (CAIRN_MOUNT_COMPAT).
 */
static int decide_verity(struct mount_plan *p, struct cairn_error *err)
{
	const struct cairn_mount_options *o = p->options;
	bool require = o->verity == CAIRN_VERITY_REQUIRE;
	int r;

	if (o->verity == CAIRN_VERITY_OFF)
		return 0;

	r = overlay_takes_verity(err);
	if (r < 0)
		return r;
	if (!r && require)
		return error_set(err, -EOPNOTSUPP, CAIRN_ERROR_UNSUPPORTED,
				 "verity is required, but overlayfs of this kernel cannot enforce "
				 "it (Linux 6.6 can)");
	if (!r)
		return 0;

	for (size_t i = 0; i < o->nr_basedirs && !(o->flags & CAIRN_MOUNT_COMPAT); i++) {
		if (!verity_supported(p->base_fds[i])) {
			if (!require)
				return 0;
			return error_set(err, -EOPNOTSUPP, CAIRN_ERROR_UNSUPPORTED,
					 "verity is required, but the file system of %s, or this "
					 "kernel, has no fs-verity",
					 o->basedirs[i]);
		}
		if (!require && !objects_have_verity(p->base_fds[i]))
			return 0;
	}
	p->verity = true;
	return 0;
}

/* --------------------------------------------------------------------------------------------- */

int plan_init(struct mount_plan *p, int image_fd, const char *target,
	      const struct cairn_mount_options *options, struct cairn_error *err)
{
	int r;

	*p = (struct mount_plan){
		.options = options,
		.image_fd = image_fd,
		.target_fd = -1,
		.upper_fd = -1,
		.work_fd = -1,
		.log = kernel_log_open(),
	};

	r = check_options(options, err);
	if (r < 0)
		return r;

	if (options->digest) {
		r = check_digest(p, err);
		if (r < 0)
			return r;
	}

	r = read_header(p, err);
	if (r < 0)
		return r;

	r = open_dirs(p, target, err);
	if (r < 0)
		return r;

	return decide_verity(p, err);
}

void plan_fini(struct mount_plan *p)
{
	for (size_t i = 0; p->base_fds && i < p->options->nr_basedirs; i++)
		cleanup_fd_p(&p->base_fds[i]);
	free(p->base_fds);
	cleanup_fd_p(&p->target_fd);
	cleanup_fd_p(&p->upper_fd);
	cleanup_fd_p(&p->work_fd);
	cleanup_fd_p(&p->log);
}

void plan_add_kernel_words(const struct mount_plan *p, const char *type, struct cairn_error *err)
{
	char words[CAIRN_ERROR_TEXT_MAX];
	size_t len;

	if (!err)
		return;
	kernel_log_words(p->log, type, words, sizeof(words));
	if (!words[0])
		return;
	len = strlen(err->text);
	snprintf(err->text + len, sizeof(err->text) - len, " (%s)", words);
}
