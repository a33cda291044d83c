/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A memory is a directory with a file `objects` and a file `images`: a header, then records of one size in
 * the order of their keys. A key is the beginning of a SHA-256 of all that a file is known by.
 *
 *	header	8 magic, 8 number of records, 16 beginning of the SHA-256 of the records
 *	object	16 key, 8 seconds since 1970
 *	image	16 key, 8 seconds since 1970, 4 algorithm, 64 digest, 4 zero
 *
 * All numbers are little-endian.
 */
#include "store/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/bytes.h"
#include "digest/sha2.h"
#include "sys/io.h"
#include "sys/pending.h"

#define MAGIC       "CAIRNMEM"
#define HEADER_SIZE 32
#define KEY_SIZE    16
#define KEY_INPUT   192 /* bytes of what a key is made of, zeros behind; a multiple of 64 */
#define OBJECT_SIZE 24
#define IMAGE_SIZE  96
#define RECORDS_MAX (1u << 22) /* 100 MB of objects; more are forgotten */
#define PREFIX      ".tmp-memory-"

/* Records of one kind. */
struct records {
	const char *name;
	size_t size; /* bytes of one */
	size_t nr, room;
	size_t nr_sorted; /* those that were read; the others were added */
	uint8_t *data;
};

struct memory {
	int dirfd; /* -1: there is none yet */
	char *path;
	struct records objects, images;
};

/* --- keys ------------------------------------------------------------------------------------ */

static void hash(const uint8_t *data, size_t size, uint8_t out[32])
{
	struct sha2_length length;
	const struct sha2_msg msg = {.data = data, .len = size, .out = out};

	sha2_length_init(&length, CAIRN_SHA256, size);
	sha2_hash(sha2_get(CAIRN_SHA256), &length, &msg, 1);
}

static void make_key(char kind, const struct stat *st, const struct cairn_digest *digest,
		     uint8_t key[KEY_SIZE])
{
	uint8_t in[KEY_INPUT] = {0}, out[32];

	in[0] = (uint8_t)kind;
	if (st) {
		put_le64(in + 8, st->st_dev);
		put_le64(in + 16, st->st_ino);
		put_le64(in + 24, (uint64_t)st->st_size);
		put_le64(in + 32, (uint64_t)st->st_ctim.tv_sec);
		put_le64(in + 40, (uint64_t)st->st_ctim.tv_nsec);
	}
	if (digest) {
		put_le32(in + 48, digest->alg);
		memcpy(in + 64, digest->bytes, CAIRN_DIGEST_MAX);
	}
	hash(in, sizeof(in), out);
	memcpy(key, out, KEY_SIZE);
}

static const uint8_t *find(const struct records *r, const uint8_t *key)
{
	size_t low = 0, high = r->nr_sorted;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const uint8_t *at = r->data + middle * r->size;
		const int c = memcmp(key, at, KEY_SIZE);

		if (c == 0)
			return at;
		if (c < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Room for a record, zeroed; NULL: it is forgotten. */
static uint8_t *add(struct records *r)
{
	if (r->nr == r->room) {
		const size_t room = r->room ? 2 * r->room : 64;
		uint8_t *data;

		if (room > 2 * (size_t)RECORDS_MAX)
			return NULL;
		data = (uint8_t *)realloc(r->data, room * r->size);
		if (!data)
			return NULL;
		r->data = data;
		r->room = room;
	}
	memset(r->data + r->nr * r->size, 0, r->size);
	return r->data + r->nr++ * r->size;
}

/* --- files ----------------------------------------------------------------------------------- */

/* Only who may mount here may write to it. */
static bool is_private(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_uid == geteuid() || st.st_uid == 0) &&
	       !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static bool is_sorted(const struct records *r)
{
	for (size_t i = 1; i < r->nr; i++)
		if (memcmp(r->data + (i - 1) * r->size, r->data + i * r->size, KEY_SIZE) >= 0)
			return false;
	return true;
}

static bool read_records(const struct memory *m, struct records *r)
{
	cleanup_fd int fd = openat(m->dirfd, r->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	uint8_t header[HEADER_SIZE], sum[32];
	uint64_t nr;

	if (fd < 0 || !is_private(fd) || read_full(fd, header, HEADER_SIZE) != HEADER_SIZE ||
	    memcmp(header, MAGIC, 8) != 0)
		return false;
	nr = get_le64(header + 8);
	if (nr == 0 || nr > RECORDS_MAX)
		return false;

	/* Room to pad the bytes to a whole number of blocks for the sum. */
	r->room = (size_t)nr + 64 / OBJECT_SIZE + 1;
	r->data = (uint8_t *)calloc(r->room, r->size);
	if (!r->data || read_full(fd, r->data, nr * r->size) != (ssize_t)(nr * r->size))
		return false;
	hash(r->data, ROUND_UP(nr * r->size, 64), sum);
	if (memcmp(sum, header + 16, 16) != 0)
		return false;
	r->nr = r->nr_sorted = (size_t)nr;
	return is_sorted(r);
}

static void load(const struct memory *m, struct records *r)
{
	if (read_records(m, r))
		return;
	free(r->data);
	*r = (struct records){.name = r->name, .size = r->size};
}

struct memory *memory_open(const char *path)
{
	struct memory *m = path ? (struct memory *)calloc(1, sizeof(*m)) : NULL;

	if (!m)
		return NULL;
	m->objects = (struct records){.name = "objects", .size = OBJECT_SIZE};
	m->images = (struct records){.name = "images", .size = IMAGE_SIZE};
	m->path = strdup(path);
	m->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (!m->path || (m->dirfd >= 0 && !is_private(m->dirfd))) {
		memory_close(m);
		return NULL;
	}
	if (m->dirfd >= 0) {
		load(m, &m->objects);
		load(m, &m->images);
	}
	return m;
}

void memory_close(struct memory *m)
{
	if (!m)
		return;
	cleanup_fd_p(&m->dirfd);
	free(m->path);
	free(m->objects.data);
	free(m->images.data);
	free(m);
}

/* The newer of two records with the same key comes first. */
static int compare(const void *a, const void *b)
{
	const int c = memcmp(a, b, KEY_SIZE);
	const uint64_t x = get_le64((const uint8_t *)a + KEY_SIZE);
	const uint64_t y = get_le64((const uint8_t *)b + KEY_SIZE);

	return c ? c : (x < y) - (x > y);
}

static void sort(struct records *r)
{
	size_t n = 0;

	qsort(r->data, r->nr, r->size, compare);
	for (size_t i = 0; i < r->nr; i++) {
		uint8_t *at = r->data + i * r->size;

		if (n == 0 || memcmp(at, at - r->size, KEY_SIZE) != 0)
			memmove(r->data + n++ * r->size, at, r->size);
	}
	r->nr = n;
}

static void write_records(const struct memory *m, struct records *r)
{
	struct pending p cleanup_pending = PENDING_INIT;
	uint8_t header[HEADER_SIZE] = MAGIC, sum[32];
	size_t size;

	if (r->nr == r->nr_sorted)
		return;
	if (r->nr > RECORDS_MAX) { /* what is old may be about files that are gone */
		memmove(r->data, r->data + r->nr_sorted * r->size,
			(r->nr - r->nr_sorted) * r->size);
		r->nr -= r->nr_sorted;
	}
	sort(r);
	r->nr_sorted = r->nr;
	if (r->nr > RECORDS_MAX)
		return;

	size = ROUND_UP(r->nr * r->size, (size_t)64);
	if (size > r->room * r->size) {
		uint8_t *data = (uint8_t *)realloc(r->data, size);

		if (!data)
			return;
		r->data = data;
		r->room = size / r->size;
	}
	memset(r->data + r->nr * r->size, 0, size - r->nr * r->size);
	hash(r->data, size, sum);
	put_le64(header + 8, r->nr);
	memcpy(header + 16, sum, 16);

	if (pending_open(m->dirfd, PREFIX, 0644, &p) == 0 &&
	    write_all(p.fd, header, HEADER_SIZE) == 0 &&
	    write_all(p.fd, r->data, r->nr * r->size) == 0)
		(void)pending_replace(&p, r->name);
}

/* And the one that it is in. */
static bool make_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	cleanup_free char *parent = NULL;

	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return true;
	if (errno != ENOENT || !slash || slash == path)
		return false;
	parent = strndup(path, (size_t)(slash - path));
	return parent && mkdir(parent, 0755) == 0 && mkdir(path, 0755) == 0;
}

void memory_save(struct memory *m)
{
	if (!m || (m->objects.nr == m->objects.nr_sorted && m->images.nr == m->images.nr_sorted))
		return;
	if (m->dirfd < 0 && make_folder(m->path)) {
		m->dirfd = open(m->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (m->dirfd >= 0 && !is_private(m->dirfd)) {
			close(m->dirfd);
			m->dirfd = -1;
		}
	}
	if (m->dirfd < 0)
		return;
	write_records(m, &m->objects);
	write_records(m, &m->images);
}

/* --- asking and adding ----------------------------------------------------------------------- */

static bool has_settled(const struct stat *st, int64_t when)
{
	return st->st_ctim.tv_sec < when - MEMORY_SETTLED;
}

int64_t memory_find(const struct memory *m, const struct stat *st,
		    const struct cairn_digest *digest)
{
	uint8_t key[KEY_SIZE];
	const uint8_t *at;

	if (!m || !m->objects.nr_sorted)
		return 0;
	make_key('o', st, digest, key);
	at = find(&m->objects, key);
	return at ? (int64_t)get_le64(at + KEY_SIZE) : 0;
}

void memory_add(struct memory *m, const struct stat *st, const struct cairn_digest *digest,
		int64_t when)
{
	uint8_t *at;

	if (!m || !has_settled(st, when))
		return;
	at = add(&m->objects);
	if (!at)
		return;
	make_key('o', st, digest, at);
	put_le64(at + KEY_SIZE, (uint64_t)when);
}

/* An image with fs-verity is known by its digest alone, wherever it is. */
static void make_image_key(const struct stat *st, const struct cairn_digest *measured, uint8_t *key)
{
	make_key('i', measured ? NULL : st, measured, key);
}

int64_t memory_find_image(const struct memory *m, const struct stat *st,
			  const struct cairn_digest *measured, struct cairn_digest *ret)
{
	struct cairn_digest digest = {0};
	uint8_t key[KEY_SIZE];
	const uint8_t *at;

	if (!m || !m->images.nr_sorted)
		return 0;
	make_image_key(st, measured, key);
	at = find(&m->images, key);
	if (!at)
		return 0;
	digest.alg = get_le32(at + KEY_SIZE + 8);
	memcpy(digest.bytes, at + KEY_SIZE + 12, CAIRN_DIGEST_MAX);
	if (!cairn_digest_size((enum cairn_alg)digest.alg))
		return 0;
	*ret = digest;
	return (int64_t)get_le64(at + KEY_SIZE);
}

void memory_add_image(struct memory *m, const struct stat *st, const struct cairn_digest *measured,
		      const struct cairn_digest *digest, int64_t when)
{
	uint8_t *at;

	if (!m || (!measured && !has_settled(st, when)))
		return;
	at = add(&m->images);
	if (!at)
		return;
	make_image_key(st, measured, at);
	put_le64(at + KEY_SIZE, (uint64_t)when);
	put_le32(at + KEY_SIZE + 8, digest->alg);
	memcpy(at + KEY_SIZE + 12, digest->bytes, CAIRN_DIGEST_MAX);
}
