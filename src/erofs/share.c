/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The xattrs that an image stores: what several inodes have goes into one shared area
 * (image-format §5.2).
 *
 * Pairs of the tree are counted by their numbers. Metacopy and redirect, different for almost every
 * file, are not made into pairs: files that have the same digest or object path are found by their
 * hashes (groups.c).
 */
#include <errno.h>

#include "base/bytes.h"
#include "base/hex.h"
#include "erofs/stored-internal.h"

/* --- counting pairs -------------------------------------------------------------------------- */

/* An inode with more than its list: counted pair by pair. */
static void count_marked(struct stored *s, const struct node *n, uint32_t *list_use,
			 struct stored_xattr *scratch)
{
	uint32_t nr = stored_xattrs(s, n, scratch);

	if (n->xattrs)
		list_use[n->xattrs->id]--;
	for (uint32_t x = 0; x < nr; x++)
		s->pair_use[scratch[x].pair]++;
}

/* @list_use: how many inodes have each list. */
static void count_pairs(struct stored *s, uint32_t *list_use, struct stored_xattr *scratch,
			uint32_t stubs)
{
	const struct tree *t = s->tree;
	bool marks = s->format != CAIRN_FORMAT_V2 && t->facts.nr_whiteouts;

	count_marked(s, t->root, list_use, scratch);
	for (uint32_t i = 1; marks && i < t->nr_entries; i++) {
		const struct node *n = tree_entry(t, i);

		if (!node_is_link(n) &&
		    (node_is_whiteout(n) || (S_ISDIR(n->mode) && stored_is_marked(s, n))))
			count_marked(s, n, list_use, scratch);
	}
	for (uint32_t l = 0; l < t->nr_lists; l++)
		for (uint32_t x = 0; x < t->lists[l]->nr; x++)
			s->pair_use[t->lists[l]->xattr[x]->id] += list_use[l];
	if (stubs && stored_stub_xattrs(s, scratch))
		s->pair_use[scratch[0].pair] += stubs;
}

/* --- the shared area ------------------------------------------------------------------------------ */

/* V0, V1: descending by whole name, length of value, value. */
static int compare_descending(const void *pa, const void *pb)
{
	const struct shared_xattr *a = (const struct shared_xattr *)pb;
	const struct shared_xattr *b = (const struct shared_xattr *)pa;
	int c = a->name == b->name ? 0 : compare_bytes(a->name, a->name_len, b->name, b->name_len);

	if (c)
		return c;
	if (a->value_len != b->value_len)
		return a->value_len > b->value_len ? 1 : -1;
	return memcmp(a->value, b->value, a->value_len);
}

/* V2: ascending by prefix number, suffix, value. */
static int compare_ascending(const void *pa, const void *pb)
{
	const struct shared_xattr *a = (const struct shared_xattr *)pa;
	const struct shared_xattr *b = (const struct shared_xattr *)pb;
	int c;

	if (a->index != b->index)
		return a->index > b->index ? 1 : -1;
	c = compare_bytes(a->name + a->name_len - a->suffix_len, a->suffix_len,
			  b->name + b->name_len - b->suffix_len, b->suffix_len);
	return c ? c : compare_bytes(a->value, a->value_len, b->value, b->value_len);
}

static void add_shared(struct stored *s, const struct stored_xattr *x, uint32_t *place)
{
	s->shared[s->nr_shared++] = (struct shared_xattr){.name = x->name,
							  .name_len = x->name_len,
							  .suffix_len = x->suffix_len,
							  .index = x->index,
							  .value = x->value,
							  .value_len = x->value_len,
							  .place = place};
}

/* A pair of the tree may be in several lists; its stored form is the same in each. */
static void add_shared_pairs(struct stored *s)
{
	for (uint32_t l = 0; l < s->tree->nr_lists; l++) {
		for (uint32_t i = 0; i < s->lists[l]->nr; i++) {
			const struct stored_xattr *x = &s->lists[l]->xattr[i];

			/* Once added, the count says so. */
			if (s->pair_use[x->pair] < 2 || s->pair_use[x->pair] == NOT_SHARED)
				continue;
			add_shared(s, x, &s->pair_use[x->pair]);
			s->pair_use[x->pair] = NOT_SHARED;
		}
	}
	for (uint32_t m = 0; m < NR_MARKS; m++) {
		uint32_t *use = &s->pair_use[s->marks[m].pair];

		if (*use >= 2 && *use != NOT_SHARED)
			add_shared(s, &s->marks[m], use);
		*use = NOT_SHARED;
	}
	for (uint32_t i = 0; i < s->tree->nr_xattrs; i++)
		s->pair_use[i] = NOT_SHARED;
}

static int add_shared_groups(struct stored *s, struct stored_groups *g, bool metacopy)
{
	const size_t digest_size = cairn_digest_size(s->alg);

	g->place = (uint32_t *)malloc((g->nr + 1u) * sizeof(*g->place));
	if (!g->place)
		return -ENOMEM;
	for (uint32_t i = 1; i <= g->nr; i++) {
		const struct node *n = s->tree->entries[g->first[i]];
		struct stored_xattr x = metacopy ? s->metacopy : s->redirect;
		char buf[OBJECT_PATH_MAX];
		char *value;

		if (metacopy)
			x.value_len = node_digest(n, s->alg)
					      ? METACOPY_HEADER_SIZE + (uint32_t)digest_size
					      : 0;
		else
			x.value_len = 1 + (uint32_t)strlen(stored_payload(s, n, buf));
		value = (char *)arena_alloc_aligned(&s->arena, x.value_len + 1, 1);
		if (!value)
			return -ENOMEM;
		stored_value(s, n, &x, value);
		x.value = value;
		add_shared(s, &x, &g->place[i]);
	}
	free(take_ptr(g->first));
	return 0;
}

char *stored_value(const struct stored *s, const struct node *n, const struct stored_xattr *x,
		   char *out)
{
	const size_t digest_size = cairn_digest_size(s->alg);

	if (x->pair < PAIR_REDIRECT) {
		memcpy(out, x->value, x->value_len);
	} else if (x->pair == PAIR_METACOPY) {
		if (x->value_len) {
			out[0] = 0;
			out[1] = (char)(METACOPY_HEADER_SIZE + digest_size);
			out[2] = 0;
			out[3] = (char)s->alg;
			memcpy(out + METACOPY_HEADER_SIZE, node_digest(n, s->alg), digest_size);
		}
	} else if (stored_has_object_path(s, n)) {
		char *p = out;

		*p++ = '/';
		p = hex_put(p, node_digest(n, s->alg), 1);
		*p++ = '/';
		hex_put(p, node_digest(n, s->alg) + 1, digest_size - 1);
	} else {
		out[0] = '/';
		memcpy(out + 1, n->file.payload, x->value_len - 1);
	}
	return out + x->value_len;
}

/* What of each list is shared, so that the size of most inodes follows without looking at pairs. */
static void measure_lists(struct stored *s)
{
	for (uint32_t l = 0; l < s->tree->nr_lists; l++) {
		struct stored_list *list = s->lists[l];

		for (uint32_t i = 0; i < list->nr; i++) {
			const struct stored_xattr *x = &list->xattr[i];

			if (s->pair_use[x->pair] != NOT_SHARED)
				list->nr_shared++;
			else
				list->own_size += stored_entry_size(x->suffix_len, x->value_len);
		}
	}
}

int stored_share(struct stored *s, uint32_t stubs, const struct team *team)
{
	cleanup_free uint32_t *list_use = NULL;
	cleanup_free struct stored_xattr *scratch = NULL;
	uint64_t size = 0, nr;
	int r;

	list_use = (uint32_t *)malloc(MAX(s->tree->nr_lists, 1u) * sizeof(*list_use));
	scratch = (struct stored_xattr *)malloc(s->max_nr * sizeof(*scratch));
	if (!list_use || !scratch)
		return -ENOMEM;
	memcpy(list_use, s->tree->list_use, s->tree->nr_lists * sizeof(*list_use));
	count_pairs(s, list_use, scratch, stubs);
	r = stored_group(s, team);
	if (r < 0)
		return r;

	nr = NR_MARKS + (uint64_t)s->metacopy_groups.nr + s->redirect_groups.nr;
	for (uint32_t i = 0; i < s->tree->nr_xattrs; i++)
		nr += s->pair_use[i] >= 2;
	s->shared = (struct shared_xattr *)malloc(nr * sizeof(*s->shared));
	if (!s->shared)
		return -ENOMEM;
	add_shared_pairs(s);
	r = add_shared_groups(s, &s->metacopy_groups, true);
	if (!r)
		r = add_shared_groups(s, &s->redirect_groups, false);
	if (r < 0)
		return r;

	qsort(s->shared, s->nr_shared, sizeof(*s->shared),
	      s->format == CAIRN_FORMAT_V2 ? compare_ascending : compare_descending);
	for (uint32_t i = 0; i < s->nr_shared; i++) {
		*s->shared[i].place = (uint32_t)size;
		size += stored_entry_size(s->shared[i].suffix_len, s->shared[i].value_len);
		if (size > UINT32_MAX)
			return -EFBIG;
	}
	s->shared_size = (uint32_t)size;
	measure_lists(s);
	return 0;
}
