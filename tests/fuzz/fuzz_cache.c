/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The bytes of a scan's cache. Its checksum and size are made right first: what is behind them is to be
 * tested. Oracles: an accepted cache finds each of its entries; written again it has the same bytes.
 */
#include "fuzz.h"

#include <string.h>
#include <xxhash.h>

#include "scan/cache-internal.h"

/* All entries count as used, and all file systems as met. */
static void use_all(struct scan_cache *c)
{
	for (uint32_t i = 0; i < c->nr_entries; i++) {
		const uint8_t *e = cache_entry(c, i);
		struct xattr_input *in;
		uint32_t list = get_le32(e + 44);

		must(cache_find(c, get_le16(e + 40), get_le64(e)) == i);
		c->used[i] = 1;
		if (!list)
			continue;
		in = malloc(cache_list_nr(c, list - 1) * sizeof(*in));
		must(in && cache_list_pairs(c, list - 1, in) == cache_list_nr(c, list - 1));
		free(in);
	}
	c->nr_places = c->nr_old_places;
	for (unsigned int i = 0; i < c->nr_places; i++)
		c->places[i] = (struct cache_place){
			.usable = true, .old = (int)i, .id = {.type = i, .mount = 1}};
}

static struct scan_cache *load(const void *data, size_t size)
{
	struct scan_cache *c;
	uint8_t *copy = malloc(size ? size : 1);

	memcpy(copy, data, size);
	if (size >= CACHE_HEADER) {
		put_le64(copy + 16, size);
		put_le64(copy + 8, XXH3_64bits(copy + 16, size - 16));
	}
	must(scan_cache_new(copy, size, 32, &c) == 0);
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scan_cache *c = load(data, size);
	struct scan_cache *again;
	void *out[2] = {NULL, NULL};
	size_t out_size[2];

	if (c->data) {
		use_all(c);
		must(scan_cache_output(c, NULL, NULL, &out[0], &out_size[0]) == 0 && out[0]);
		again = load(out[0], out_size[0]);
		must(again->data && again->nr_entries == c->nr_entries);
		use_all(again);
		must(scan_cache_output(again, NULL, NULL, &out[1], &out_size[1]) == 0 && out[1]);
		must(out_size[0] == out_size[1] && !memcmp(out[0], out[1], out_size[0]));
		scan_cache_free(again);
	}
	scan_cache_free(c);
	free(out[0]);
	free(out[1]);
	return 0;
}
