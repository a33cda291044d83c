/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The bytes of a cache: checked once, then looked up in. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <xxhash.h>

#include "base/hex.h"
#include "scan/cache-internal.h"

/* --- which cache ----------------------------------------------------------------------------- */

/* Attributes named trusted.* show only to this capability. */
static bool may_see_trusted(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	return !syscall(SYS_capget, &header, data) && data[0].effective & 1u << CAP_SYS_ADMIN;
}

int scan_cache_name(int fd, const struct cairn_scan_options *options, enum cairn_alg alg,
		    uint64_t sink_id, char out[SCAN_CACHE_NAME_MAX])
{
	const unsigned int decisive = CAIRN_SCAN_SKIP_XATTRS | CAIRN_SCAN_USER_XATTRS;
	char text[8192];
	char link[64];
	char path[4096];
	char users[64];
	uint8_t hash[8];
	ssize_t n;
	ssize_t m;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return -errno;
	path[n] = '\0';
	m = readlink("/proc/self/ns/user", users, sizeof(users) - 1);
	users[MAX(m, (ssize_t)0)] = '\0';
	snprintf(text, sizeof(text), "%u %u %u %u %d %llx %s %s", (unsigned int)alg, options->algs,
		 options->flags & decisive, (unsigned int)geteuid(), may_see_trusted(),
		 (unsigned long long)sink_id, users, path);
	put_le64(hash, XXH3_64bits(text, strlen(text)));
	snprintf(out, SCAN_CACHE_NAME_MAX, "scan-%u-", (unsigned int)geteuid());
	*hex_put(out + strlen(out), hash, sizeof(hash)) = '\0';
	return 0;
}

/* --- checking -------------------------------------------------------------------------------- */

static bool in_bytes(const struct scan_cache *c, uint64_t offset, uint64_t len)
{
	return offset <= c->bytes_size && len <= c->bytes_size - offset;
}

static bool check_list(const struct scan_cache *c, const uint8_t *list)
{
	uint64_t offset = get_le64(list);
	uint32_t len = get_le32(list + 8);
	uint32_t nr = get_le32(list + 12);
	uint32_t found = 0;
	const uint8_t *p = c->bytes + offset;

	if (!in_bytes(c, offset, len))
		return false;
	while (len) {
		uint32_t pair;

		if (len < 3)
			return false;
		pair = 3u + p[0] + get_le16(p + 1);
		if (!p[0] || pair > len || memchr(p + 3, '\0', p[0]))
			return false;
		p += pair;
		len -= pair;
		found++;
	}
	return found && found == nr && nr <= XATTR_TOTAL_MAX;
}

static bool check_entry(const struct scan_cache *c, const uint8_t *e)
{
	uint64_t size = get_le64(e + 8);
	uint32_t len = get_le32(e + 56);

	if (get_le16(e + 40) >= c->nr_old_places || get_le32(e + 44) > c->nr_lists ||
	    get_le32(e + 32) >= 1000000000 || get_le32(e + 36) >= 1000000000 ||
	    !in_bytes(c, get_le64(e + 48), len))
		return false;
	switch (e[42]) {
	case CACHE_NOTHING:
		return !len;
	case CACHE_BYTES:
		return len && len == size && len <= TREE_PATH_MAX;
	case CACHE_DIGESTS:
		return len == c->digest_size && size > CAIRN_INLINE_DEFAULT;
	default:
		return false;
	}
}

/* Order of invariant 1. */
static bool entry_precedes(const uint8_t *a, const uint8_t *b)
{
	unsigned int pa = get_le16(a + 40);
	unsigned int pb = get_le16(b + 40);

	return pa != pb ? pa < pb : get_le64(a) < get_le64(b);
}

static uint32_t hash_of(unsigned int place, uint64_t ino)
{
	return (uint32_t)((ino + place) * 0x9e3779b97f4a7c15ull >> 32);
}

static int add_slots(struct scan_cache *c)
{
	uint32_t mask = 63;

	while (mask / 2 < c->nr_entries)
		mask = 2 * mask + 1;
	c->slots = (uint32_t *)calloc((size_t)mask + 1, sizeof(*c->slots));
	c->used = (_Atomic uint8_t *)calloc((size_t)c->nr_entries + 1, 1);
	if (!c->slots || !c->used)
		return -ENOMEM;
	c->mask = mask;
	for (uint32_t i = 0; i < c->nr_entries; i++) {
		const uint8_t *e = cache_entry(c, i);
		uint32_t at = hash_of(get_le16(e + 40), get_le64(e)) & mask;

		while (c->slots[at])
			at = (at + 1) & mask;
		c->slots[at] = i + 1;
	}
	return 0;
}

/* Finds the areas; their lengths fill all of the bytes. */
static int lay_out(struct scan_cache *c)
{
	const uint8_t *h = c->data;
	uint64_t fixed;

	if (c->size < CACHE_HEADER || get_le64(h) != CACHE_MAGIC || get_le64(h + 16) != c->size ||
	    get_le64(h + 8) != XXH3_64bits(h + 16, c->size - 16) ||
	    get_le32(h + 24) != c->digest_size)
		return -EINVAL;
	c->nr_old_places = get_le32(h + 28);
	c->nr_stamps = get_le32(h + 32);
	c->nr_entries = get_le32(h + 36);
	c->nr_lists = get_le32(h + 40);
	c->bytes_size = get_le64(h + 48);
	if (c->nr_old_places > CACHE_PLACES_MAX || (c->nr_stamps && c->nr_stamps != CACHE_STAMPS) ||
	    c->nr_entries > INT32_MAX)
		return -EINVAL;
	fixed = CACHE_HEADER + (uint64_t)c->nr_old_places * CACHE_PLACE +
		(uint64_t)c->nr_stamps * CACHE_STAMP + (uint64_t)c->nr_entries * CACHE_ENTRY +
		(uint64_t)c->nr_lists * CACHE_LIST;
	if (fixed > c->size || c->bytes_size != c->size - fixed)
		return -EINVAL;
	c->old_places = h + CACHE_HEADER;
	c->stamps = c->old_places + (size_t)c->nr_old_places * CACHE_PLACE;
	c->entries = c->stamps + (size_t)c->nr_stamps * CACHE_STAMP;
	c->lists = c->entries + (size_t)c->nr_entries * CACHE_ENTRY;
	c->bytes = c->lists + (size_t)c->nr_lists * CACHE_LIST;
	return 0;
}

static void forget_data(struct scan_cache *c)
{
	free(take_ptr(c->data));
	free(take_ptr(c->slots));
	free((void *)take_ptr(c->used));
	c->size = 0;
	c->nr_old_places = c->nr_stamps = c->nr_entries = c->nr_lists = 0;
	c->mask = 0;
}

int cache_load(struct scan_cache *c)
{
	int r = lay_out(c);

	for (uint32_t i = 0; !r && i < c->nr_lists; i++)
		if (!check_list(c, c->lists + (size_t)i * CACHE_LIST))
			r = -EINVAL;
	for (uint32_t i = 0; !r && i < c->nr_entries; i++) {
		const uint8_t *e = cache_entry(c, i);

		if (!check_entry(c, e) || (i && !entry_precedes(e - CACHE_ENTRY, e)))
			r = -EINVAL;
	}
	if (!r)
		r = add_slots(c);
	if (r < 0) {
		forget_data(c);
		return r;
	}
	c->same_boot = c->boot[0] && !memcmp(c->boot, c->data + 56, sizeof(c->boot));
	return 0;
}

int scan_cache_new(void *data, size_t size, size_t digest_size, struct scan_cache **ret)
{
	struct scan_cache *c = (struct scan_cache *)calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	place_boot(c->boot);
	c->digest_size = digest_size;
	pthread_mutex_init(&c->lock, NULL);
	if (data) {
		c->data = (uint8_t *)data;
		c->size = size;
		/* Damaged, of another version or without memory for it: empty. */
		(void)cache_load(c);
	}
	*ret = c;
	return 0;
}

void scan_cache_free(struct scan_cache *c)
{
	if (!c)
		return;
	forget_data(c);
	free(c->records);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* --- looking up ------------------------------------------------------------------------------ */

int64_t cache_find(const struct scan_cache *c, unsigned int place, uint64_t ino)
{
	uint32_t at;

	if (!c->slots)
		return -1;
	for (at = hash_of(place, ino) & c->mask; c->slots[at]; at = (at + 1) & c->mask) {
		const uint8_t *e = cache_entry(c, c->slots[at] - 1);

		if (get_le64(e) == ino && get_le16(e + 40) == place)
			return c->slots[at] - 1;
	}
	return -1;
}

uint32_t cache_list_nr(const struct scan_cache *c, uint32_t i)
{
	return get_le32(c->lists + (size_t)i * CACHE_LIST + 12);
}

size_t cache_list_pairs(const struct scan_cache *c, uint32_t i, struct xattr_input *in)
{
	const uint8_t *list = c->lists + (size_t)i * CACHE_LIST;
	const uint8_t *p = c->bytes + get_le64(list);
	const uint8_t *end = p + get_le32(list + 8);
	size_t nr = 0;

	for (; p < end; p += 3u + p[0] + get_le16(p + 1))
		in[nr++] = (struct xattr_input){
			.name = (const char *)p + 3,
			.value = (const char *)p + 3 + p[0],
			.name_len = p[0],
			.value_len = get_le16(p + 1),
		};
	return nr;
}

bool scan_cache_knows(const struct scan_cache *c)
{
	return c->nr_entries;
}

uint64_t scan_cache_hits(const struct scan_cache *c)
{
	return c->hits;
}

bool scan_cache_durable(const struct scan_cache *c)
{
	return c->durable;
}
