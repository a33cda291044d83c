/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Reading objects: found without leaving the store, handed out only when verified. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "digest/verity.h"
#include "store/store.h"
#include "sys/dir.h"
#include "sys/io.h"
#include "sys/verity.h"

#define PIECE ((size_t)1 << 20) /* bytes that are verified and handed out at a time */

static int open_own(const struct cairn_store *s, const char *object_path, struct cairn_error *err)
{
	const char *path = object_path + strspn(object_path, "/");
	cleanup_fd int fd = -1;
	struct stat st;

	fd = s->objects < 0 ? -ENOENT
			    : open_beneath(s->objects, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return error_errno(err, fd, "open object %s", path);
	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "open object %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "object %s: not a regular file",
				 path);
	return take_fd(&fd);
}

int store_open_object(const struct cairn_store *s, const char *object_path, struct cairn_error *err)
{
	int fd = open_own(s, object_path, err);

	for (unsigned int i = 0; fd == -ENOENT && i < s->nr_parents; i++)
		fd = open_own(s->parents[i], object_path, err);
	return fd;
}

int store_find_object(const struct cairn_store *s, const char *object_path,
		      const struct cairn_store **ret, struct stat *st)
{
	for (unsigned int i = 0; i <= s->nr_parents; i++) {
		const struct cairn_store *at = i ? s->parents[i - 1] : s;

		if (at->objects < 0 ||
		    fstatat(at->objects, object_path + strspn(object_path, "/"), st,
			    AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st->st_mode))
			continue;
		if (ret)
			*ret = at;
		return 0;
	}
	return -ENOENT;
}

int store_digest_fd(int fd, enum cairn_alg alg, struct cairn_digest *ret)
{
	cleanup_verity struct verity v = {0};
	struct cairn_digest digests[VERITY_ALGS_MAX];
	cleanup_free uint8_t *data = (uint8_t *)malloc(PIECE);
	off_t offset = 0;
	ssize_t n;
	int r = data ? verity_init(&v, CAIRN_ALG_BIT(alg)) : -ENOMEM;

	if (r < 0)
		return r;
	do {
		n = pread_full(fd, data, PIECE, offset);
		if (n < 0)
			return (int)n;
		verity_update(&v, data, (size_t)n);
		offset += n;
	} while (n == (ssize_t)PIECE);
	(void)verity_final(&v, digests);
	*ret = digests[0];
	return 0;
}

/* An object that is being read. */
struct reading {
	int fd;
	const char *path;
	const struct cairn_digest *digest;
	uint64_t size;
	uint8_t *piece;               /* PIECE bytes */
	struct cairn_digest *digests; /* of each piece, as found by the first pass */
	struct cairn_error *err;
};

static int bad_digest(const struct reading *rd)
{
	return error_set(rd->err, -EILSEQ, CAIRN_ERROR_DIGEST,
			 "object %s: its content does not have its digest", rd->path);
}

/* Reads piece number @i. Returns its bytes; fewer than there should be are a changed file. */
static ssize_t read_piece(const struct reading *rd, uint64_t i)
{
	uint64_t offset = i * PIECE;
	size_t want = (size_t)MIN((uint64_t)PIECE, rd->size - offset);
	ssize_t n = pread_full(rd->fd, rd->piece, want, (off_t)offset);

	if (n < 0)
		return error_errno(rd->err, (int)n, "read object %s", rd->path);
	return (size_t)n == want ? n : bad_digest(rd);
}

static int digest_piece(const struct reading *rd, size_t size, struct cairn_digest *ret)
{
	struct cairn_digest digests[VERITY_ALGS_MAX];
	int r = verity_digest_data(rd->piece, size, CAIRN_ALG_BIT(rd->digest->alg), digests);

	if (r < 0)
		return error_errno(rd->err, r, "read object %s", rd->path);
	*ret = digests[0];
	return 0;
}

/* First pass: the digest of all, and of each piece. */
static int verify_all(const struct reading *rd, uint64_t nr)
{
	cleanup_verity struct verity v = {0};
	struct cairn_digest digests[VERITY_ALGS_MAX];
	int r;

	r = verity_init(&v, CAIRN_ALG_BIT(rd->digest->alg));
	if (r < 0)
		return error_errno(rd->err, r, "read object %s", rd->path);
	for (uint64_t i = 0; i < nr; i++) {
		ssize_t n = read_piece(rd, i);

		if (n < 0)
			return (int)n;
		verity_update(&v, rd->piece, (size_t)n);
		r = nr > 1 ? digest_piece(rd, (size_t)n, &rd->digests[i]) : 0;
		if (r < 0)
			return r;
	}
	(void)verity_final(&v, digests);
	return memcmp(&digests[0], rd->digest, sizeof(digests[0])) ? bad_digest(rd) : 0;
}

/* Second pass: hands out what is still the same. @verified: the kernel sees to that. A single piece is
 * still in memory. */
static int hand_out(const struct reading *rd, uint64_t nr, bool verified, cairn_write_fn write,
		    void *arg)
{
	for (uint64_t i = 0; i < nr; i++) {
		ssize_t n = verified || nr > 1 ? read_piece(rd, i) : (ssize_t)rd->size;
		struct cairn_digest digest;
		int r;

		if (n < 0)
			return (int)n;
		if (!verified && nr > 1) {
			r = digest_piece(rd, (size_t)n, &digest);
			if (r < 0)
				return r;
			if (memcmp(&digest, &rd->digests[i], sizeof(digest)))
				return bad_digest(rd);
		}
		r = write(arg, rd->piece, (unsigned long)n);
		if (r < 0)
			return r;
	}
	return 0;
}

int store_read_object(const struct cairn_store *s, const char *object_path,
		      const struct cairn_digest *digest, cairn_write_fn write, void *arg,
		      struct cairn_error *err)
{
	cleanup_fd int fd = store_open_object(s, object_path, err);
	cleanup_free uint8_t *piece = NULL;
	cleanup_free struct cairn_digest *digests = NULL;
	struct reading rd = {.fd = fd, .path = object_path, .digest = digest, .err = err};
	struct cairn_digest measured;
	bool verified;
	struct stat st;
	uint64_t nr;
	int r;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "read object %s", object_path);
	rd.size = (uint64_t)st.st_size;
	nr = (rd.size + PIECE - 1) / PIECE;

	rd.piece = piece = (uint8_t *)malloc(PIECE);
	rd.digests = digests = (struct cairn_digest *)calloc(nr + 1, sizeof(*digests));
	if (!piece || !digests)
		return error_errno(err, -ENOMEM, "read object %s", object_path);

	verified = !verity_measure(fd, &measured) && !memcmp(&measured, digest, sizeof(measured));
	if (!verified) {
		r = verify_all(&rd, nr);
		if (r < 0)
			return r;
	}
	return hand_out(&rd, nr, verified, write, arg);
}
