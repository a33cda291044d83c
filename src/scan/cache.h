/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What earlier scans found out, so that a file that has not changed since need not be opened again
 * (docs/design/cache.md).
 *
 *	scan_cache_name() → read the file of that name → scan_cache_new() → scan_directory()
 *	→ make the store durable → scan_cache_output() → replace the file → scan_cache_free()
 *
 * A cache is never needed and never believed further than it can be checked: whatever is wrong with
 * the bytes, they are an empty cache. Only bytes that the caller wrote himself may be given to it.
 */
#ifndef SCAN_CACHE_H
#define SCAN_CACHE_H

#include "scan/scan.h"

struct scan_cache;

#define SCAN_CACHE_SIZE_MAX ((size_t)1 << 32) /* bytes: thirty million files */

/* Name of the cache of the directory open at @fd for scans with @options and objects of @alg: caches of
 * other options, users and rights, and of sinks that are not @sink_id, have other names. Returns 0 or a negative errno. */
#define SCAN_CACHE_NAME_MAX 40
int scan_cache_name(int fd, const struct cairn_scan_options *options, enum cairn_alg alg,
		    uint64_t sink_id, char out[SCAN_CACHE_NAME_MAX]);

/* Takes over @data[0..@size) from malloc(), which may be NULL. @digest_size: bytes of all digests of a
 * content. Returns 0 or -ENOMEM, and then @data is still the caller's. */
int scan_cache_new(void *data, size_t size, size_t digest_size, struct scan_cache **ret);
void scan_cache_free(struct scan_cache *c);

/* Whether anything is known from earlier scans. */
bool scan_cache_knows(const struct scan_cache *c);

/* Files whose content or target was not looked at in the last scan. */
uint64_t scan_cache_hits(const struct scan_cache *c);

/* Whether all contents of the last scan were known to be on disk before it began. */
bool scan_cache_durable(const struct scan_cache *c);

/* The bytes to keep for the next scan, when @tree is what this one gave and @sink has all objects on
 * disk. *@ret: from malloc(); NULL: those that were given are still right. Returns 0 or -ENOMEM. */
int scan_cache_output(struct scan_cache *c, const struct tree *tree, const struct scan_sink *sink,
		      void **ret, size_t *ret_size);

#endif
