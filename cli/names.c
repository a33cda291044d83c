/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What the images of a store are called. */
#include "names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct pair {
	char *image, *name;
};

struct pairs {
	struct pair *pair;
	size_t nr, size;
};

static int add(void *arg, const struct cairn_store_ref *ref)
{
	struct pairs *l = arg;
	struct pair *p;

	if (ref->stream || ref->problem)
		return 0;
	if (l->nr == l->size) {
		size_t size = l->size ? 2 * l->size : 64;
		struct pair *more = reallocarray(l->pair, size, sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->pair = more;
		l->size = size;
	}
	p = &l->pair[l->nr++];
	*p = (struct pair){strdup(ref->target), strdup(ref->name)};
	return p->image && p->name ? 0 : -ENOMEM;
}

static int by_image(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int c = strcmp(x->image, y->image);

	return c ? c : strcmp(x->name, y->name);
}

int names_load(struct names *n, const struct cairn_store *store, struct cairn_error *err)
{
	struct pairs l = {0};
	int r = cairn_store_refs(store, add, &l, err);

	if (l.nr)
		qsort(l.pair, l.nr, sizeof(*l.pair), by_image);
	*n = (struct names){.image = calloc(l.nr + 1, sizeof(char *)),
			    .name = calloc(l.nr + 1, sizeof(char *))};
	if (!r && (!n->image || !n->name))
		r = -ENOMEM;
	for (; !r && n->nr < l.nr; n->nr++) {
		n->image[n->nr] = l.pair[n->nr].image;
		n->name[n->nr] = l.pair[n->nr].name;
	}
	for (size_t i = n->nr; i < l.nr; i++) {
		free(l.pair[i].image);
		free(l.pair[i].name);
	}
	free(l.pair);
	return r;
}

void names_fini(struct names *n)
{
	for (size_t i = 0; i < n->nr; i++) {
		free(n->image[i]);
		free(n->name[i]);
	}
	free(n->image);
	free(n->name);
	*n = (struct names){0};
}

const char *const *names_of(const struct names *n, const char *image, size_t *ret_nr)
{
	size_t low = 0, high = n->nr, nr = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(n->image[middle], image) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	while (low + nr < n->nr && !strcmp(n->image[low + nr], image))
		nr++;
	*ret_nr = nr;
	return (const char *const *)n->name + low;
}
