/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The xattrs that an image stores: rewriting. */
#include "erofs/stored-internal.h"

#include <errno.h>

#include "base/bytes.h"
#include "erofs/xattr-name.h"

static const struct {
	const char *name, *value;
} mark_text[NR_MARKS] = {
	[MARK_ROOT_OPAQUE] = {OVERLAY_OPAQUE, "y"},
	[MARK_WHITEOUT] = {OVERLAY_ESCAPED "whiteout", ""},
	[MARK_USER_WHITEOUT] = {"user.overlay.whiteout", ""},
	[MARK_WHITEOUTS] = {OVERLAY_ESCAPED "whiteouts", ""},
	[MARK_USER_WHITEOUTS] = {"user.overlay.whiteouts", ""},
	[MARK_OPAQUE] = {OVERLAY_ESCAPED "opaque", "x"},
	[MARK_USER_OPAQUE] = {"user.overlay.opaque", "x"},
};

static void name_xattr(struct stored_xattr *x, const char *name, size_t len, int format)
{
	size_t prefix_len;

	x->index = (uint8_t)xattr_prefix_index(name, len, format == CAIRN_FORMAT_V2, &prefix_len);
	x->name = name;
	x->name_len = (uint16_t)len;
	x->suffix_len = (uint8_t)(len - prefix_len);
	x->filter = (uint8_t)xattr_filter_bit(x->index, name + prefix_len, x->suffix_len);
}

static int compare_name(const struct stored_xattr *a, const char *name, size_t len)
{
	return compare_bytes(a->name, a->name_len, name, len);
}

/* trusted.overlay.X becomes trusted.overlay.overlay.X (image-format §4.4 step 1). */
static int escape_name(struct stored *s, const struct xattr *x, struct stored_xattr *out)
{
	const size_t prefix = sizeof(OVERLAY_PREFIX) - 1, more = sizeof(OVERLAY_ESCAPED) - 1;
	char *name;

	if (x->name_len < prefix || memcmp(x->name, OVERLAY_PREFIX, prefix)) {
		name_xattr(out, x->name, x->name_len, s->format);
		return 0;
	}
	/* 263 bytes at most, of which the suffix, less `trusted.`, fits (image-format §5.5). */
	name = (char *)arena_alloc_aligned(&s->arena, x->name_len + more - prefix + 1, 1);
	if (!name)
		return -ENOMEM;
	memcpy(name, OVERLAY_ESCAPED, more);
	memcpy(name + more, x->name + prefix, x->name_len - prefix + 1u);
	name_xattr(out, name, more + x->name_len - prefix, s->format);
	return 0;
}

static int store_list(struct stored *s, const struct xattr_list *l)
{
	struct stored_list *out;

	out = (struct stored_list *)arena_alloc(&s->arena,
						sizeof(*out) + l->nr * sizeof(out->xattr[0]));
	if (!out)
		return -ENOMEM;
	*out = (struct stored_list){.nr = l->nr};
	for (uint32_t i = 0; i < l->nr; i++) {
		struct stored_xattr *x = &out->xattr[i];

		*x = (struct stored_xattr){.value = l->xattr[i]->value,
					   .value_len = l->xattr[i]->value_len,
					   .pair = l->xattr[i]->id};
		if (escape_name(s, l->xattr[i], x) < 0)
			return -ENOMEM;
		/* V2 puts both in front of everything (erofs-variants §5). */
		if (s->format == CAIRN_FORMAT_V2)
			continue;
		if (compare_name(x, OVERLAY_METACOPY, sizeof(OVERLAY_METACOPY) - 1) < 0)
			out->before_metacopy = i + 1;
		if (compare_name(x, OVERLAY_REDIRECT, sizeof(OVERLAY_REDIRECT) - 1) < 0)
			out->before_redirect = i + 1;
	}
	s->lists[l->id] = out;
	s->max_nr = MAX(s->max_nr, l->nr);
	return 0;
}

/* Invariant 2: a mark may be what a user wrote too. */
static void number_marks(struct stored *s)
{
	for (uint32_t m = 0; m < NR_MARKS; m++) {
		struct stored_xattr *x = &s->marks[m];

		name_xattr(x, mark_text[m].name, strlen(mark_text[m].name), s->format);
		x->value = mark_text[m].value;
		x->value_len = (uint32_t)strlen(x->value);
		x->pair = s->tree->nr_xattrs + m;
	}
	for (uint32_t l = 0; l < s->tree->nr_lists; l++) {
		for (uint32_t i = 0; i < s->lists[l]->nr; i++) {
			const struct stored_xattr *x = &s->lists[l]->xattr[i];

			if (x->value_len > 1)
				continue;
			for (uint32_t m = 0; m < NR_MARKS; m++) {
				struct stored_xattr *mark = &s->marks[m];

				if (!compare_name(x, mark->name, mark->name_len) &&
				    x->value_len == mark->value_len &&
				    !memcmp(x->value, mark->value, x->value_len))
					mark->pair = x->pair;
			}
		}
	}
}

/* Only V0 and V1 turn whiteouts into files and mark their directories. */
static void find_marked(struct stored *s)
{
	if (s->format == CAIRN_FORMAT_V2 || !s->tree->facts.nr_whiteouts)
		return;
	for (uint32_t i = 1; i < s->tree->nr_entries; i++) {
		const struct node *n = tree_entry(s->tree, i);

		if (node_is_whiteout(n))
			s->marked[n->parent->index / 8] |= (uint8_t)(1u << n->parent->index % 8);
	}
}

int stored_init(struct stored *s, const struct tree *t, int format, enum cairn_alg alg)
{
	uint32_t nr_pairs = t->nr_xattrs + NR_MARKS;
	int r;

	*s = (struct stored){.tree = t, .format = format, .alg = alg};
	arena_init(&s->arena);
	s->lists = (struct stored_list **)calloc(MAX(t->nr_lists, 1u), sizeof(*s->lists));
	s->pair_use = (uint32_t *)calloc(nr_pairs, sizeof(*s->pair_use));
	s->marked = (uint8_t *)calloc(t->nr_entries / 8 + 1, 1);
	if (!s->lists || !s->pair_use || !s->marked)
		return -ENOMEM;

	for (uint32_t i = 0; i < t->nr_lists; i++) {
		r = store_list(s, t->lists[i]);
		if (r < 0)
			return r;
	}
	name_xattr(&s->metacopy, OVERLAY_METACOPY, sizeof(OVERLAY_METACOPY) - 1, format);
	name_xattr(&s->redirect, OVERLAY_REDIRECT, sizeof(OVERLAY_REDIRECT) - 1, format);
	s->metacopy.pair = PAIR_METACOPY;
	s->redirect.pair = PAIR_REDIRECT;
	s->max_nr += NR_MARKS + 2;
	find_marked(s);
	number_marks(s);
	return 0;
}

void stored_fini(struct stored *s)
{
	arena_fini(&s->arena);
	free(s->lists);
	free(s->pair_use);
	free(s->marked);
	if (s->redirect_groups.of != s->metacopy_groups.of)
		free(s->redirect_groups.of);
	free(s->redirect_groups.place);
	free(s->redirect_groups.first);
	free(s->metacopy_groups.of);
	free(s->metacopy_groups.place);
	free(s->metacopy_groups.first);
	free(s->shared);
	*s = (struct stored){0};
}

/* Adds a mark at its place in the order, or replaces the value of its name. */
static uint32_t set_mark(const struct stored *s, enum mark m, struct stored_xattr *out, uint32_t nr)
{
	const struct stored_xattr *mark = &s->marks[m];
	uint32_t i = nr;

	while (i && compare_name(&out[i - 1], mark->name, mark->name_len) > 0)
		i--;
	if (i && !compare_name(&out[i - 1], mark->name, mark->name_len)) {
		out[i - 1] = *mark;
		return nr;
	}
	memmove(out + i + 1, out + i, (nr - i) * sizeof(*out));
	out[i] = *mark;
	return nr + 1;
}

static uint32_t set_marks(const struct stored *s, const struct node *n, struct stored_xattr *out,
			  uint32_t nr)
{
	if (node_is_whiteout(n)) {
		nr = set_mark(s, MARK_WHITEOUT, out, nr);
		nr = set_mark(s, MARK_USER_WHITEOUT, out, nr);
	}
	if (S_ISDIR(n->mode) && stored_is_marked(s, n)) {
		nr = set_mark(s, MARK_WHITEOUTS, out, nr);
		nr = set_mark(s, MARK_USER_WHITEOUTS, out, nr);
		if (s->format == CAIRN_FORMAT_V1) {
			nr = set_mark(s, MARK_OPAQUE, out, nr);
			nr = set_mark(s, MARK_USER_OPAQUE, out, nr);
		}
	}
	if (!n->parent)
		nr = set_mark(s, MARK_ROOT_OPAQUE, out, nr);
	return nr;
}

const char *stored_payload(const struct stored *s, const struct node *n, char buf[OBJECT_PATH_MAX])
{
	if (!stored_has_object_path(s, n))
		return n->file.payload;
	object_path(buf, node_digest(n, s->alg), cairn_digest_size(s->alg));
	return buf;
}

/* Length of the redirect's value, 0: there is none. */
static uint32_t redirect_len(const struct stored *s, const struct node *n)
{
	if (stored_has_object_path(s, n))
		return 2 + 2 * (uint32_t)cairn_digest_size(s->alg);
	if (n->file.payload && *n->file.payload)
		return 1 + (uint32_t)strlen(n->file.payload);
	return 0;
}

static uint32_t metacopy_len(const struct stored *s, const struct node *n)
{
	if (!node_digest(n, s->alg))
		return 0;
	return METACOPY_HEADER_SIZE + (uint32_t)cairn_digest_size(s->alg);
}

uint32_t stored_xattrs(const struct stored *s, const struct node *n, struct stored_xattr *out)
{
	static const struct stored_list none = {0};
	const struct stored_list *l = n->xattrs ? s->lists[n->xattrs->id] : &none;
	uint32_t nr = l->before_metacopy, len;

	if (!node_is_external(n)) {
		memcpy(out, l->xattr, l->nr * sizeof(*out));
		return s->format == CAIRN_FORMAT_V2 ? l->nr : set_marks(s, n, out, l->nr);
	}

	memcpy(out, l->xattr, nr * sizeof(*out));
	out[nr] = s->metacopy;
	out[nr++].value_len = metacopy_len(s, n);
	memcpy(out + nr, l->xattr + l->before_metacopy,
	       (l->before_redirect - l->before_metacopy) * sizeof(*out));
	nr += l->before_redirect - l->before_metacopy;
	len = redirect_len(s, n);
	if (len) {
		out[nr] = s->redirect;
		out[nr++].value_len = len;
	}
	memcpy(out + nr, l->xattr + l->before_redirect,
	       (l->nr - l->before_redirect) * sizeof(*out));
	return nr + l->nr - l->before_redirect;
}

/* Only these differ from their list in more than metacopy and redirect. */
static bool has_marks(const struct stored *s, const struct node *n)
{
	if (s->format == CAIRN_FORMAT_V2)
		return false;
	return !n->parent || node_is_whiteout(n) || (S_ISDIR(n->mode) && stored_is_marked(s, n));
}

bool stored_size(const struct stored *s, const struct node *n, uint32_t *ret_nr, uint32_t *ret_size)
{
	static const struct stored_list none = {0};
	const struct stored_list *l = n->xattrs ? s->lists[n->xattrs->id] : &none;
	uint32_t nr = l->nr, nr_shared = l->nr_shared, size = l->own_size, len;

	if (has_marks(s, n))
		return false;
	if (node_is_external(n)) {
		nr++;
		if (stored_shared_at(s, n, &s->metacopy) != NOT_SHARED)
			nr_shared++;
		else
			size += stored_entry_size(s->metacopy.suffix_len, metacopy_len(s, n));
		len = redirect_len(s, n);
		nr += len != 0;
		if (len && stored_shared_at(s, n, &s->redirect) != NOT_SHARED)
			nr_shared++;
		else if (len)
			size += stored_entry_size(s->redirect.suffix_len, len);
	}
	*ret_nr = nr;
	*ret_size = 4 * nr_shared + size;
	return nr_shared <= stored_refs_max(s);
}

uint32_t stored_stub_xattrs(const struct stored *s, struct stored_xattr *out)
{
	const struct node *root = s->tree->root;
	const struct stored_list *l = root->xattrs ? s->lists[root->xattrs->id] : NULL;

	for (uint32_t i = 0; l && i < l->nr; i++) {
		if (!strcmp(l->xattr[i].name, "security.selinux")) {
			*out = l->xattr[i];
			return 1;
		}
	}
	return 0;
}
