/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The map from SHA-256 to objects: in memory a hash table, in the file its records in order.
 *
 *	file: magic (8) | algorithm (1) | zeros (7) | records of SHA-256 (32), id (32 or 64), sorted
 */
#include "oci/contents.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/hex.h"
#include "oci/name.h"

#define FILE_NAME   "contents"
#define MAGIC       "cairnsha"
#define HEADER_SIZE 16
#define SHA_SIZE    32

struct contents {
	struct cairn_store *store;
	size_t id_size, record; /* bytes */
	pthread_mutex_t lock;   /* over all below */
	uint8_t *records;       /* @nr of them, in no order */
	size_t nr, room;
	uint32_t *
		slots; /* open addressing by the first bytes of the SHA-256; 0: free, else number + 1 */
	size_t nr_slots;
	bool changed;
};

static const uint8_t *record_at(const struct contents *c, size_t i)
{
	return c->records + i * c->record;
}

/* SHA-256 is as random as a hash can be. */
static size_t slot_of(const struct contents *c, const uint8_t *sha256)
{
	uint64_t start;
	size_t i;

	memcpy(&start, sha256, sizeof(start));
	for (i = (size_t)start & (c->nr_slots - 1); c->slots[i]; i = (i + 1) & (c->nr_slots - 1)) {
		if (!memcmp(record_at(c, c->slots[i] - 1), sha256, SHA_SIZE))
			break;
	}
	return i;
}

static int grow_slots(struct contents *c)
{
	size_t nr = c->nr_slots ? 2 * c->nr_slots : 1024;
	uint32_t *slots;

	while (nr < 2 * (c->nr + 1))
		nr *= 2;
	slots = (uint32_t *)calloc(nr, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	free(c->slots);
	c->slots = slots;
	c->nr_slots = nr;
	for (size_t i = 0; i < c->nr; i++)
		c->slots[slot_of(c, record_at(c, i))] = (uint32_t)i + 1;
	return 0;
}

static int add(struct contents *c, const uint8_t *sha256, const uint8_t *id)
{
	size_t slot;
	uint8_t *record;

	if (2 * (c->nr + 1) > c->nr_slots && grow_slots(c) < 0)
		return -ENOMEM;
	slot = slot_of(c, sha256);
	if (c->slots[slot]) {
		record = c->records + (c->slots[slot] - 1) * c->record;
		if (!memcmp(record + SHA_SIZE, id, c->id_size))
			return 0;
		memcpy(record + SHA_SIZE, id, c->id_size);
		return 1;
	}
	if (c->nr == c->room) {
		size_t room = MAX(2 * c->room, (size_t)1024);
		uint8_t *records = (uint8_t *)reallocarray(c->records, room, c->record);

		if (!records)
			return -ENOMEM;
		c->records = records;
		c->room = room;
	}
	record = c->records + c->nr * c->record;
	memcpy(record, sha256, SHA_SIZE);
	memcpy(record + SHA_SIZE, id, c->id_size);
	c->slots[slot] = (uint32_t)++c->nr;
	return 1;
}

static void load(struct contents *c, const uint8_t *data, size_t size)
{
	if (size < HEADER_SIZE || memcmp(data, MAGIC, 8) || data[8] != c->store->alg ||
	    (size - HEADER_SIZE) % c->record)
		return;
	for (size_t at = HEADER_SIZE; at < size; at += c->record) {
		if (add(c, data + at, data + at + SHA_SIZE) < 0)
			return;
	}
}

int contents_open(struct cairn_store *store, struct contents **ret, struct cairn_error *err)
{
	struct contents *c = (struct contents *)calloc(1, sizeof(*c));
	void *data = NULL;
	size_t size = 0;

	if (!c)
		return error_errno(err, -ENOMEM, "contents");
	pthread_mutex_init(&c->lock, NULL);
	c->store = store;
	c->id_size = cairn_digest_size(store->alg);
	c->record = SHA_SIZE + c->id_size;
	if (grow_slots(c) < 0) {
		contents_close(c);
		return error_errno(err, -ENOMEM, "contents");
	}
	if (store_cache_read(store, FILE_NAME, CONTENTS_FILE_MAX, &data, &size) == 0)
		load(c, (const uint8_t *)data, size);
	free(data);
	*ret = c;
	return 0;
}

void contents_close(struct contents *c)
{
	if (!c)
		return;
	pthread_mutex_destroy(&c->lock);
	free(c->records);
	free(c->slots);
	free(c);
}

int contents_find(struct contents *c, const uint8_t *sha256, struct cairn_digest *ret)
{
	uint32_t found;

	pthread_mutex_lock(&c->lock);
	found = c->slots[slot_of(c, sha256)];
	if (found) {
		*ret = (struct cairn_digest){.alg = c->store->alg};
		memcpy(ret->bytes, record_at(c, found - 1) + SHA_SIZE, c->id_size);
	}
	pthread_mutex_unlock(&c->lock);
	return found != 0;
}

void contents_add(struct contents *c, const uint8_t *sha256, const struct cairn_digest *id)
{
	pthread_mutex_lock(&c->lock);
	c->changed |= add(c, sha256, id->bytes) == 1;
	pthread_mutex_unlock(&c->lock);
}

static int compare_records(const void *a, const void *b, void *arg)
{
	return memcmp(a, b, *(const size_t *)arg);
}

void contents_save(struct contents *c)
{
	size_t size = HEADER_SIZE + c->nr * c->record;
	uint8_t *data;

	if (!c->changed || size > CONTENTS_FILE_MAX)
		return;
	data = (uint8_t *)calloc(1, size);
	if (!data)
		return;
	memcpy(data, MAGIC, 8);
	data[8] = (uint8_t)c->store->alg;
	memcpy(data + HEADER_SIZE, c->records, c->nr * c->record);
	qsort_r(data + HEADER_SIZE, c->nr, c->record, compare_records, &c->record);
	if (store_cache_write(c->store, FILE_NAME, data, size) == 0)
		c->changed = false;
	free(data);
}

/* --- learning -------------------------------------------------------------------------------- */

struct learn {
	struct contents *c;
	const uint64_t *sizes;
	size_t nr;
	uint8_t *ids; /* of all contents that are known, sorted */
	size_t nr_ids;
	struct store_reading *reading;
};

static int hash_piece(void *arg, const void *data, unsigned long size)
{
	return oci_hash_update((struct oci_hash *)arg, data, size);
}

static int compare_ids(const void *a, const void *b, void *arg)
{
	return memcmp(a, b, *(const size_t *)arg);
}

static bool is_known(struct learn *l, const uint8_t *id)
{
	size_t low = 0, high = l->nr_ids;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = memcmp(l->ids + middle * l->c->id_size, id, l->c->id_size);

		if (!order)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static void learn_object(struct learn *l, int dirfd, const char *prefix, const char *name)
{
	struct oci_hash hash cleanup_oci_hash = {0};
	struct cairn_digest id = {.alg = l->c->store->alg};
	char text[OCI_DIGEST_MAX], path[CAIRN_DIGEST_HEX_MAX + 2];
	uint8_t sha256[SHA_SIZE];
	struct stat st;
	uint64_t size;

	if (strlen(name) != 2 * l->c->id_size - 2 || hex_get(prefix, id.bytes, 1) < 0 ||
	    hex_get(name, id.bytes + 1, l->c->id_size - 1) < 0)
		return;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return;
	size = (uint64_t)st.st_size;
	if (!bsearch(&size, l->sizes, l->nr, sizeof(size), compare_u64) || is_known(l, id.bytes))
		return;
	if (oci_hash_init(&hash, NULL) < 0)
		return;
	snprintf(path, sizeof(path), "%s/%s", prefix, name);
	if (store_reading_object(l->reading, path, &id, hash_piece, &hash, NULL) < 0 ||
	    oci_hash_final(&hash, text) < 0)
		return;
	if (hex_get(text + 7, sha256, sizeof(sha256)) == 0)
		contents_add(l->c, sha256, &id);
}

static void learn_directory(struct learn *l, const char *prefix)
{
	int fd = openat(l->c->store->objects, prefix,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL)
		learn_object(l, fd, prefix, entry->d_name);
	closedir(dir);
}

void contents_learn(struct contents *c, const uint64_t *sizes, size_t nr)
{
	struct learn l = {.c = c, .sizes = sizes, .nr = nr};
	char prefix[3];

	if (!nr || c->store->objects < 0)
		return;
	pthread_mutex_lock(&c->lock);
	l.ids = (uint8_t *)malloc(c->nr * c->id_size + 1);
	for (size_t i = 0; l.ids && i < c->nr; i++)
		memcpy(l.ids + i * c->id_size, record_at(c, i) + SHA_SIZE, c->id_size);
	l.nr_ids = c->nr;
	pthread_mutex_unlock(&c->lock);
	if (!l.ids || store_reading_new(c->store, &l.reading) < 0) {
		free(l.ids);
		return;
	}
	qsort_r(l.ids, l.nr_ids, c->id_size, compare_ids, &c->id_size);
	for (unsigned int i = 0; i < 256; i++) {
		snprintf(prefix, sizeof(prefix), "%02x", i);
		learn_directory(&l, prefix);
	}
	store_reading_free(l.reading);
	free(l.ids);
}
