/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What is decided before anything is mounted: that the options can be meant, that the image is one and
 * the right one, that the directories are there, whether fs-verity can be enforced, and how it will be
 * kept that what is read is right.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

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
	 CAIRN_MOUNT_NODEV | CAIRN_MOUNT_NOEXEC | CAIRN_MOUNT_NOATIME | CAIRN_MOUNT_COMPAT |       \
	 CAIRN_MOUNT_CHECK_IMAGE | CAIRN_MOUNT_VERIFY_OBJECTS)

static int check_options(const struct cairn_mount_options *o, bool alone, struct cairn_error *err)
{
	if (o->flags & ~(unsigned int)KNOWN_FLAGS)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "unknown mount flags 0x%x",
				 o->flags & ~(unsigned int)KNOWN_FLAGS);
	if (!o->nr_basedirs && !alone)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "no object directory given");
	if (!alone && !o->basedirs && !o->basedir_fds)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "no object directory given");
	if (o->require > CAIRN_ENFORCED)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "unknown state %d required",
				 (int)o->require);
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
static int check_digest(int measured, const struct cairn_digest *have,
			const struct cairn_digest *want, struct cairn_error *err)
{
	char want_hex[CAIRN_DIGEST_HEX_MAX], have_hex[CAIRN_DIGEST_HEX_MAX];

	if (measured == -ENODATA || measured == -EOPNOTSUPP)
		return error_set(err, -ENOTTY, CAIRN_ERROR_DIGEST,
				 measured == -ENODATA
					 ? "image: a digest is required, but fs-verity is "
					   "not enabled on the file"
					 : "image: a digest is required, but its file system "
					   "or this kernel has no fs-verity");
	if (measured == -EINVAL)
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				 "image: fs-verity has other parameters than a digest here means "
				 "(blocks of 4096 bytes, no salt, SHA-256 or SHA-512)");
	if (measured < 0)
		return error_errno(err, measured, "image: measure fs-verity");

	if (have->alg == want->alg &&
	    !memcmp(have->bytes, want->bytes, cairn_digest_size((enum cairn_alg)want->alg)))
		return 0;

	*hex_put(want_hex, want->bytes, cairn_digest_size((enum cairn_alg)want->alg)) = '\0';
	*hex_put(have_hex, have->bytes, cairn_digest_size((enum cairn_alg)have->alg)) = '\0';
	return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
			 "image: fs-verity digest is %s, expected %s", have_hex, want_hex);
}

static void add_check(struct mount_plan *p, int64_t when)
{
	p->facts.checked = p->facts.checked ? MIN(p->facts.checked, when) : when;
}

static int measure(struct mount_plan *p, struct cairn_error *err)
{
	struct cairn_digest have = {0};
	int r = verity_measure(p->image_fd, &have);

	if (r == 0) {
		p->facts.digest = have;
		p->facts.image = CAIRN_ENFORCED;
	} else if (p->user && p->options->digest) {
		/* The server compares it with its own copy of the bytes, which nobody can change. */
		p->facts.digest = *p->options->digest;
		p->facts.image = CAIRN_CHECKED;
		add_check(p, time(NULL));
		return 0;
	}
	return p->options->digest ? check_digest(r, &have, p->options->digest, err) : 0;
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
	p->facts.format = (int)MIN(version, (uint32_t)INT_MAX);
	return 0;
}

/* --- directories ----------------------------------------------------------------------------- */

char *plan_path_of(int fd)
{
	char link[32], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0 || path[0] != '/')
		return NULL;
	path[n] = '\0';
	return strdup(path);
}

static int dir_borrow(struct plan_dir *d, const char *what, int fd, struct cairn_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "%s (descriptor %d)", what, fd);
	if (!S_ISDIR(st.st_mode))
		return error_errno(err, -ENOTDIR, "%s (descriptor %d)", what, fd);
	d->fd = fd;
	d->borrowed = true;
	d->found = plan_path_of(fd); /* for kernels that take nothing else */
	d->path = d->found;
	return 0;
}

/* Not O_PATH: Linux 6.13 and 6.14 take only readable descriptors as layers. */
static int dir_open(struct plan_dir *d, const char *what, const char *path, struct cairn_error *err)
{
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0)
		return error_errno(err, -errno, "%s %s", what, path);
	d->path = path;
	return 0;
}

static void dir_fini(struct plan_dir *d)
{
	if (!d->borrowed)
		cleanup_fd_p(&d->fd);
	free(d->found);
}

/* overlayfs takes no directory twice, and says so as "too many levels of symbolic links". */
static int check_twice(const struct mount_plan *p, struct cairn_error *err)
{
	struct stat a, b;

	for (size_t i = 1; i < p->options->nr_basedirs; i++) {
		if (fstat(p->bases[i].fd, &a) < 0)
			return error_errno(err, -errno, "stat %s", p->bases[i].path);
		for (size_t j = 0; j < i; j++)
			if (fstat(p->bases[j].fd, &b) == 0 && a.st_dev == b.st_dev &&
			    a.st_ino == b.st_ino)
				return error_set(err, -ELOOP, CAIRN_ERROR_USAGE,
						 "object directory %s is given twice",
						 p->bases[i].path);
	}
	return 0;
}

static int open_bases(struct mount_plan *p, struct cairn_error *err)
{
	const struct cairn_mount_options *o = p->options;
	int r = 0;

	p->bases = (struct plan_dir *)calloc(o->nr_basedirs, sizeof(*p->bases));
	if (!p->bases)
		return error_errno(err, -ENOMEM, "mount");
	for (size_t i = 0; i < o->nr_basedirs; i++)
		p->bases[i].fd = -1;

	for (size_t i = 0; i < o->nr_basedirs && r == 0; i++)
		r = o->basedir_fds
			    ? dir_borrow(&p->bases[i], "object directory", o->basedir_fds[i], err)
			    : dir_open(&p->bases[i], "object directory", o->basedirs[i], err);
	return r < 0 ? r : check_twice(p, err);
}

static int open_dirs(struct mount_plan *p, struct cairn_error *err)
{
	const struct cairn_mount_options *o = p->options;
	int r = open_bases(p, err);

	if (r == 0 && o->upper_fds) {
		r = dir_borrow(&p->upper, "upper directory", o->upper_fds[0], err);
		if (r == 0)
			r = dir_borrow(&p->work, "work directory", o->upper_fds[1], err);
	} else if (r == 0 && o->upperdir) {
		r = dir_open(&p->upper, "upper directory", o->upperdir, err);
		if (r == 0)
			r = dir_open(&p->work, "work directory", o->workdir, err);
	}
	return r;
}

/* --- fs-verity ------------------------------------------------------------------------------- */

/*
 * That overlayfs takes verity=require says nothing: it does so in a kernel without fs-verity too, and
 * then no file can be opened. So the stores are asked, except where a caller wants the reference's
 * behaviour (CAIRN_MOUNT_COMPAT).
 */
static int decide_verity(struct mount_plan *p, struct cairn_error *err)
{
	const struct cairn_mount_options *o = p->options;
	bool require = o->verity == CAIRN_VERITY_REQUIRE || o->require == CAIRN_ENFORCED;
	int r;

	if (o->verity == CAIRN_VERITY_OFF && !require)
		return 0;

	r = p->user ? overlay_takes_user(true, err) : overlay_takes_verity(err);
	if (r < 0)
		return r;
	if (!r && require)
		return error_set(err, -EOPNOTSUPP, CAIRN_ERROR_UNSUPPORTED,
				 "verity is required, but overlayfs of this kernel cannot enforce "
				 "it%s (Linux %s can)",
				 p->user ? " for users" : "", p->user ? "6.16" : "6.6");
	if (!r)
		return 0;

	for (size_t i = 0; i < o->nr_basedirs && !(o->flags & CAIRN_MOUNT_COMPAT); i++) {
		if (!verity_supported(p->bases[i].fd)) {
			if (!require)
				return 0;
			return error_set(err, -EOPNOTSUPP, CAIRN_ERROR_UNSUPPORTED,
					 "verity is required, but the file system of %s, or this "
					 "kernel, has no fs-verity",
					 p->bases[i].path);
		}
		if (!require && !objects_have_verity(p->bases[i].fd))
			return 0;
	}
	p->verity = true;
	return 0;
}

/* --- state ----------------------------------------------------------------------------------- */

static int have_checked(struct mount_plan *p, const struct mount_checker *checker,
			struct cairn_error *err)
{
	const struct cairn_mount_options *o = p->options;
	struct cairn_mount_result *f = &p->facts;
	struct mount_check check = {0};
	int r;

	if (checker && !o->digest && (o->flags & CAIRN_MOUNT_CHECK_IMAGE)) {
		r = checker->image(checker->arg, p->image_fd, f->digest.alg ? &f->digest : NULL,
				   &check, err);
		if (r < 0)
			return r;
		f->image_remembered = check.remembered > 0;
		if (f->image < CAIRN_CHECKED) {
			f->image = CAIRN_CHECKED;
			f->digest = check.digest;
			add_check(p, check.when);
		}
	}
	if (p->verity)
		f->contents = CAIRN_ENFORCED;
	if (checker && p->bases && !p->verity && (o->flags & CAIRN_MOUNT_VERIFY_OBJECTS)) {
		cleanup_free int *fds = (int *)calloc(o->nr_basedirs, sizeof(int));

		if (!fds)
			return error_errno(err, -ENOMEM, "mount");
		for (size_t i = 0; i < o->nr_basedirs; i++)
			fds[i] = p->bases[i].fd;
		check = (struct mount_check){0};
		r = checker->contents(checker->arg, p->image_fd, fds, o->nr_basedirs, &check, err);
		if (r < 0)
			return r;
		f->contents = CAIRN_CHECKED;
		f->objects_verified = check.done;
		f->objects_remembered = check.remembered;
		add_check(p, check.when);
	}
	f->state = p->bases ? MIN(f->image, f->contents) : f->image;
	f->verity = p->verity;
	return 0;
}

/* What can be told without reading anything is refused before it is read. */
static int check_required(const struct mount_plan *p, struct cairn_error *err)
{
	const struct cairn_mount_options *o = p->options;

	if (o->require == CAIRN_ENFORCED && p->facts.image < CAIRN_ENFORCED)
		return error_set(
			err, -EOPNOTSUPP, CAIRN_ERROR_UNSUPPORTED,
			"'enforced' is required, but the image has no fs-verity "
			"(`fsverity enable` gives it to a file, on a file system and kernel "
			"that have it)");
	if (o->require == CAIRN_CHECKED && p->facts.image < CAIRN_CHECKED && !o->digest &&
	    !(o->flags & CAIRN_MOUNT_CHECK_IMAGE))
		return error_set(err, -EOPNOTSUPP, CAIRN_ERROR_UNSUPPORTED,
				 "'checked' is required, but the image is not to be checked");
	if (o->require == CAIRN_CHECKED && p->bases && !p->verity &&
	    !(o->flags & CAIRN_MOUNT_VERIFY_OBJECTS))
		return error_set(err, -EOPNOTSUPP, CAIRN_ERROR_UNSUPPORTED,
				 "'checked' is required, but the kernel does not verify the "
				 "contents, and they are not to be verified now");
	return 0;
}

int plan_check_unchanged(const struct mount_plan *p, struct cairn_error *err)
{
	const struct stat *a = &p->before;
	struct stat b;

	/* What the kernel measured cannot change, and what nobody looked at may. */
	if (p->facts.image != CAIRN_CHECKED)
		return 0;
	if (fstat(p->image_fd, &b) < 0)
		return error_errno(err, -errno, "image: stat");
	if (a->st_size == b.st_size && a->st_ctim.tv_sec == b.st_ctim.tv_sec &&
	    a->st_ctim.tv_nsec == b.st_ctim.tv_nsec)
		return 0;
	return error_set(err, -ESTALE, CAIRN_ERROR_DIGEST,
			 "image: it changed between the check and the mount");
}

/* --------------------------------------------------------------------------------------------- */

int plan_init(struct mount_plan *p, int image_fd, const struct cairn_mount_options *options,
	      const struct mount_checker *checker, enum plan_kind kind, struct cairn_error *err)
{
	const bool alone = kind == PLAN_ALONE;
	int r;

	*p = (struct mount_plan){
		.options = options,
		.image_fd = image_fd,
		.upper.fd = -1,
		.work.fd = -1,
		.user = kind == PLAN_USER,
		.log = kernel_log_open(),
	};

	r = check_options(options, alone, err);
	if (r == 0 && fstat(image_fd, &p->before) < 0)
		r = error_errno(err, -errno, "image: stat");
	if (r == 0)
		r = measure(p, err);
	if (r == 0)
		r = read_header(p, err);
	if (r == 0 && !alone)
		r = open_dirs(p, err);
	if (r == 0 && !alone)
		r = decide_verity(p, err);
	if (r == 0)
		r = check_required(p, err);
	if (r == 0)
		r = have_checked(p, checker, err);
	if (r == 0)
		source_make(p);
	return r;
}

void plan_fini(struct mount_plan *p)
{
	for (size_t i = 0; p->bases && i < p->options->nr_basedirs; i++)
		dir_fini(&p->bases[i]);
	free(p->bases);
	dir_fini(&p->upper);
	dir_fini(&p->work);
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
