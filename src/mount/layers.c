/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* A planned mount as data, for engines that mount by themselves. */
#include <errno.h>
#include <stdio.h>

#include "mount/mount-internal.h"

#define FIXED_OPTIONS 4 /* of the stack: metacopy, redirect_dir, verity, and the image */

/* Engines have other working directories: all paths are absolute where they can be. */
static int tell(cairn_layer_fn fn, void *arg, enum cairn_layer_kind kind,
		const struct plan_dir *dir)
{
	cleanup_free char *path = plan_path_of(dir->fd);
	const struct cairn_layer layer = {.kind = kind, .source = path ? path : dir->path};

	return fn(arg, &layer);
}

static int tell_image(const struct mount_plan *p, cairn_layer_fn fn, void *arg)
{
	cleanup_free char *path = plan_path_of(p->image_fd);
	const char *options[] = {"ro", "noacl"};
	const struct cairn_layer layer = {
		.kind = CAIRN_LAYER_IMAGE,
		.type = "erofs",
		.source = path ? path : p->options->image_name,
		.options = options,
		.nr_options = p->acl ? 1 : 2,
		.digest = p->facts.digest.alg ? &p->facts.digest : NULL,
	};

	return fn(arg, &layer);
}

static char *option(const char *key, const struct plan_dir *dir)
{
	cleanup_free char *path = plan_path_of(dir->fd);
	char *text;

	return asprintf(&text, "%s=%s", key, path ? path : dir->path) < 0 ? NULL : text;
}

/* The words of the stack. @words: room for all of them; those from @nr_fixed on are on the heap.
 * Returns their number, or -ENOMEM. */
static int stack_words(const struct mount_plan *p, char **words, size_t *nr_fixed)
{
	size_t n = 0;

	words[n++] = (char *)"metacopy=on";
	words[n++] = (char *)"redirect_dir=on";
	if (p->verity)
		words[n++] = (char *)"verity=require";
	words[n++] = (char *)"lowerdir+=<image>";
	*nr_fixed = n;

	for (size_t i = 0; i < p->options->nr_basedirs; i++)
		words[n++] = option("datadir+", &p->bases[i]);
	if (p->upper.fd >= 0) {
		words[n++] = option("upperdir", &p->upper);
		words[n++] = option("workdir", &p->work);
	}
	for (size_t i = *nr_fixed; i < n; i++)
		if (!words[i])
			return -ENOMEM;
	return (int)n;
}

static int tell_stack(const struct mount_plan *p, cairn_layer_fn fn, void *arg,
		      struct cairn_error *err)
{
	const size_t room = FIXED_OPTIONS + p->options->nr_basedirs + 2;
	cleanup_free char **words = (char **)calloc(room, sizeof(*words));
	size_t nr_fixed = room;
	int n, r;

	if (!words)
		return error_errno(err, -ENOMEM, "mount");
	n = stack_words(p, words, &nr_fixed);
	if (n < 0) {
		r = error_errno(err, n, "mount");
	} else {
		const struct cairn_layer layer = {
			.kind = CAIRN_LAYER_STACK,
			.type = "overlay",
			.source = p->source,
			.options = (const char *const *)words,
			.nr_options = (size_t)n,
		};

		r = fn(arg, &layer);
	}
	for (size_t i = nr_fixed; i < room; i++)
		free(words[i]);
	return r;
}

int layers_tell(const struct mount_plan *p, cairn_layer_fn fn, void *arg, struct cairn_error *err)
{
	int r = tell_image(p, fn, arg);

	for (size_t i = 0; i < p->options->nr_basedirs && r == 0; i++)
		r = tell(fn, arg, CAIRN_LAYER_DATA, &p->bases[i]);
	if (r == 0 && p->upper.fd >= 0)
		r = tell(fn, arg, CAIRN_LAYER_UPPER, &p->upper);
	if (r == 0 && p->work.fd >= 0)
		r = tell(fn, arg, CAIRN_LAYER_WORK, &p->work);
	return r < 0 ? r : tell_stack(p, fn, arg, err);
}
