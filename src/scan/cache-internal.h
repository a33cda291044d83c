/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A cache in memory.
 *
 *	cache-load.c  bytes → cache, looking up
 *	cache-save.c  records of a scan → bytes
 *	cached.c      what a scan takes from it, and what it notes for the next
 *
 * Layout, all little-endian: header, places, stamps, entries, lists, bytes.
 *
 *	header  0 magic · 8 checksum of what follows it · 16 size of all · 24 digest bytes a content
 *	        28 places · 32 stamps (0 or 256) · 36 entries · 40 lists · 48 bytes · 56 boot, 40 bytes
 *	place   0 type · 4 lasting · 8 identity · 16 mount
 *	stamp   0 seconds · 8 nanoseconds · 12 valid
 *	entry   0 inode · 8 size · 16 mtime · 24 ctime · 32, 36 their nanoseconds · 40 place (2)
 *	        42 what (1) · 44 list + 1 · 48 offset and 56 length in bytes
 *	list    0 offset in bytes · 8 length · 12 number of pairs
 *	pair    (in bytes) name length (1), value length (2), name, value
 *
 * Invariants of a cache that was loaded:
 *  1. Entries are in order of (place, inode), and no two have the same.
 *  2. Every offset, length and index leads into its area.
 */
#ifndef SCAN_CACHE_INTERNAL_H
#define SCAN_CACHE_INTERNAL_H

#include "base/bytes.h"
#include "scan/cache.h"
#include "scan/scan-internal.h"
#include "sys/place.h"

#define CACHE_MAGIC      0x31637363736e7263ull /* "crnscsc1" */
#define CACHE_HEADER     96                    /* bytes of each */
#define CACHE_PLACE      32
#define CACHE_STAMP      16
#define CACHE_ENTRY      64
#define CACHE_LIST       16
#define CACHE_PLACES_MAX 256 /* file systems in a tree; what is on others is not kept */
#define CACHE_STAMPS     256 /* one for each first byte of a digest */

enum cache_what {
	CACHE_NOTHING = 0, /* no content: empty files, directories, devices */
	CACHE_BYTES,       /* of a small file, or the target of a link */
	CACHE_DIGESTS,
};

/* A file system of the scan at hand. */
struct cache_place {
	struct place_id id;
	dev_t dev;
	bool usable;     /* times tell something there */
	bool same_mount; /* and none of it was made elsewhere since the cache was written */
	int old;         /* its place in the loaded cache, -1: none */
};

enum stamp_state { STAMP_UNKNOWN = 0, STAMP_SAME, STAMP_OTHER };

struct scan_cache {
	uint8_t *data; /* as loaded; NULL: empty */
	size_t size;
	size_t digest_size;
	const uint8_t *old_places, *stamps, *entries, *lists, *bytes;
	uint32_t nr_old_places, nr_stamps, nr_entries, nr_lists;
	uint64_t bytes_size;
	uint32_t *slots; /* entry + 1 by hash; 0: free */
	uint32_t mask;
	_Atomic uint8_t *used; /* entries that this scan has met unchanged */
	bool same_boot;
	char boot[PLACE_BOOT_MAX];

	pthread_mutex_t lock; /* over the places */
	struct cache_place places[CACHE_PLACES_MAX];
	unsigned int nr_places;

	_Atomic uint8_t stamp_state[CACHE_STAMPS]; /* enum stamp_state */

	/* What the scan found. */
	struct cache_record *records; /* with gaps: node is NULL */
	size_t nr_records;
	uint64_t hits;
	bool durable;
};

/* Empties @c and reads its bytes. Returns 0 or -EINVAL (invariants), -ENOMEM. */
int cache_load(struct scan_cache *c);

/* The entry for inode @ino of @place; -1: none. */
int64_t cache_find(const struct scan_cache *c, unsigned int place, uint64_t ino);

static inline const uint8_t *cache_entry(const struct scan_cache *c, uint32_t i)
{
	return c->entries + (size_t)i * CACHE_ENTRY;
}

/* The pairs of list @i into @in, which has room for all of them. Returns their number. */
size_t cache_list_pairs(const struct scan_cache *c, uint32_t i, struct xattr_input *in);
uint32_t cache_list_nr(const struct scan_cache *c, uint32_t i);

/* Whether a change after @when would have left another ctime than @ctime. */
bool cache_settled(const struct timespec *ctime, const struct timespec *when);

#endif
