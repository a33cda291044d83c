/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Three layers upon each other, in both profiles. Oracles: merged two by two, from either end, they give the
 * same tree, or fail as well (from above not where names may go through symbolic links of what is below); a tree that was merged has no marks; merged again by itself it stays what it is.
 *
 * Input: the blocks of the first layer and of the second, a byte each; then the layers, one behind the other.
 * Checksums are put right first.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "tar/layer.h"
#include "tree/diff.h"

#define NR 3

struct reading {
	struct layer_builder *builder;
	struct layer_file *file;
	uint8_t content[CAIRN_INLINE_DEFAULT];
	uint64_t size, done;
};

static int on_entry(void *arg, const struct tar_entry *e, struct cairn_error *err)
{
	struct reading *r = arg;

	r->size = e->size;
	r->done = 0;
	return layer_add(r->builder, e, &r->file, err);
}

/* Larger contents get a digest that is none. */
static int on_content(void *arg, const void *data, size_t size, bool end, struct cairn_error *err)
{
	struct reading *r = arg;
	struct cairn_digest digest = {.alg = CAIRN_SHA256, .bytes = {(uint8_t)r->size}};

	(void)err;
	if (r->size <= sizeof(r->content) && size)
		memcpy(r->content + r->done, data, size);
	r->done += size;
	if (!end || !r->file)
		return 0;
	if (r->size <= sizeof(r->content))
		return layer_set_content(r->builder, r->file, r->content);
	return layer_set_digests(r->builder, r->file, &digest, 1);
}

static struct tree *read_layer(const uint8_t *data, size_t size, enum cairn_profile profile)
{
	struct reading reading = {.builder = NULL};
	const struct tar_handler handler = {NULL, on_entry, on_content, &reading};
	struct cairn_layer_stats stats;
	struct cairn_error err = {0};
	struct tar_reader *r = NULL;
	struct tree *t = NULL;
	int code;

	must(layer_builder_new(profile, &reading.builder) == 0);
	must(tar_reader_new(&handler, &r) == 0);
	code = tar_reader_feed(r, data, size, &err);
	if (!code)
		code = tar_reader_finish(r, &err);
	if (!code)
		code = layer_finish(reading.builder, &t, &stats, &err);
	must((code == 0) == (t != NULL));
	must(!code || (err.code == code && err.text[0]));
	tar_reader_free(r);
	layer_builder_free(reading.builder);
	return t;
}

/* The tree of @nr layers; NULL: they do not fit. */
static struct tree *merge(struct tree *const *layers, size_t nr, enum cairn_profile profile,
			  bool partial)
{
	const struct cairn_merge_options options = {
		.profile = profile, .xattrs = CAIRN_XATTRS_ALL, .partial = partial};
	struct cairn_error err = {0};
	struct tree *t = NULL;
	int r = layer_merge((const struct tree *const *)layers, nr, &options, &t, &err);

	must((r == 0) == (t != NULL));
	must(!r || (err.code == r && err.text[0]));
	return t;
}

static int differ(void *arg, const struct cairn_difference *difference)
{
	(void)arg;
	(void)difference;
	abort();
}

static void must_be_same(const struct tree *a, const struct tree *b)
{
	must((a == NULL) == (b == NULL));
	if (a)
		must(tree_diff(a, b, differ, NULL) == 0);
}

static void check_result(struct tree *t, enum cairn_profile profile)
{
	struct tree *again;

	if (!t)
		return;
	for (uint32_t i = 0; i < t->nr_entries; i++)
		must(strncmp(t->entries[i]->name, LAYER_MARK, LAYER_MARK_LEN) != 0);
	again = merge(&t, 1, profile, false);
	must_be_same(t, again);
	tree_free(again);
}

static bool has_symlink(struct tree *const layers[NR])
{
	for (int i = 0; i < NR; i++)
		for (uint32_t j = 0; j < layers[i]->nr_entries; j++)
			if (S_ISLNK(layers[i]->entries[j]->mode))
				return true;
	return false;
}

static void try_profile(struct tree *const layers[NR], enum cairn_profile profile)
{
	struct tree *all = merge(layers, NR, profile, false);
	struct tree *low = merge(layers, 2, profile, true);
	struct tree *high = merge(layers + 1, 2, profile, true);

	check_result(all, profile);
	/* What fits in two steps fits at once, and the other way round. */
	if (low) {
		struct tree *two[] = {low, layers[2]};
		struct tree *t = merge(two, 2, profile, false);

		must_be_same(all, t);
		tree_free(t);
	} else {
		must(!all);
	}
	if (profile == CAIRN_PROFILE_RUNTIME && has_symlink(layers)) {
		/* Only that nothing breaks. */
	} else if (high) {
		struct tree *two[] = {layers[0], high};
		struct tree *t = merge(two, 2, profile, false);

		must_be_same(all, t);
		tree_free(t);
	} else {
		must(!all);
	}
	tree_free(all);
	tree_free(low);
	tree_free(high);
}

/* Gives every block that looks like a header its checksum. */
static void fix_sums(uint8_t *data, size_t size)
{
	for (; size >= TAR_BLOCK; data += TAR_BLOCK, size -= TAR_BLOCK) {
		uint32_t sum = 0;

		if (memcmp(data + 257, "ustar", 5))
			continue;
		memset(data + 148, ' ', 8);
		for (size_t i = 0; i < TAR_BLOCK; i++)
			sum += data[i];
		for (size_t i = 6; i--; sum >>= 3)
			data[148 + i] = (uint8_t)('0' + (sum & 7));
		data[154] = '\0';
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;
	size_t at[NR + 1];

	if (size < 2)
		return 0;
	size -= 2;
	copy = malloc(size + 1);
	must(copy != NULL);
	memcpy(copy, data + 2, size);
	fix_sums(copy, size);
	at[0] = 0;
	for (int i = 0; i < 2; i++) {
		at[i + 1] = at[i] + (size_t)data[i] * TAR_BLOCK;
		if (at[i + 1] > size)
			at[i + 1] = size;
	}
	at[NR] = size;

	for (int profile = CAIRN_PROFILE_COMPOSEFS; profile <= CAIRN_PROFILE_RUNTIME; profile++) {
		struct tree *layers[NR];
		bool good = true;

		for (int i = 0; i < NR; i++) {
			layers[i] = read_layer(copy + at[i], at[i + 1] - at[i],
					       (enum cairn_profile)profile);
			good &= layers[i] != NULL;
		}
		if (good)
			try_profile(layers, (enum cairn_profile)profile);
		for (int i = 0; i < NR; i++)
			tree_free(layers[i]);
	}
	free(copy);
	return 0;
}
