/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Telling faults, each once, with the path of a file that has it.
 *
 * An inode does not know its names, and the server keeps none. So a name is looked for when there is
 * something to tell, which is seldom, by walking the image.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "erofs/format.h"
#include "fuse/server-internal.h"

#define DEPTH_MAX 64 /* directories; a name further down is not found */

/* A directory on the way. */
struct step {
	struct inode dir;
	struct image_dir_iter it;
	size_t path_len; /* of its own path */
};

struct search {
	const struct view *v;
	uint64_t nid;
	uint64_t
		left; /* bytes of directories that may still be read: a hostile image may have loops */
	unsigned int depth;
	struct step steps[DEPTH_MAX];
	char path[4096];
};

static bool enter(struct search *f, uint64_t nid, size_t path_len)
{
	struct step *step = &f->steps[f->depth];

	if (f->depth == DEPTH_MAX || image_inode(&f->v->img, nid, &step->dir, NULL) < 0 ||
	    !S_ISDIR(step->dir.mode) || step->dir.size > f->left)
		return false;
	f->left -= step->dir.size;
	step->it = (struct image_dir_iter){0};
	step->path_len = path_len;
	f->depth++;
	return true;
}

/* Takes one entry. Returns whether it is the one. */
static bool take_entry(struct search *f, const struct step *step, const struct image_dirent *d)
{
	const size_t len = step->path_len + 1 + d->name_len;

	if (view_is_dot(d) || len >= sizeof(f->path))
		return false;
	f->path[step->path_len] = '/';
	memcpy(f->path + step->path_len + 1, d->name, d->name_len);
	f->path[len] = '\0';
	if (d->nid == f->nid)
		return true;
	if (d->type == DIRENT_DIR)
		(void)enter(f, d->nid, len);
	return false;
}

static bool find_path(struct search *f)
{
	if (f->nid == f->v->img.root_nid) {
		strcpy(f->path, "/");
		return true;
	}
	(void)enter(f, f->v->img.root_nid, 0);
	while (f->depth) {
		struct step *step = &f->steps[f->depth - 1];
		struct image_dirent d;

		if (image_dir_next(&step->dir, &step->it, &d, NULL) <= 0)
			f->depth--;
		else if (take_entry(f, step, &d))
			return true;
	}
	return false;
}

static void tell(struct server *s, uint64_t node, const struct cairn_error *err)
{
	struct search *f = (struct search *)calloc(1, sizeof(*f));
	char name[1024], text[sizeof(name) + CAIRN_ERROR_TEXT_MAX + 2];

	snprintf(name, sizeof(name), "inode %llu", (unsigned long long)node);
	if (f) {
		f->v = &s->view;
		f->nid = node == VIEW_ROOT ? s->view.img.root_nid : node;
		f->left = s->view.img.size;
		if (find_path(f))
			error_quote(f->path, strlen(f->path), name, sizeof(name));
	}
	snprintf(text, sizeof(text), "%s: %s", name, err->text);
	s->options->log(s->options->log_arg, text);
	free(f);
}

int tell_fault(struct server *s, uint64_t node, uint64_t fault, const struct cairn_error *err)
{
	bool told = !s->options->log;

	pthread_mutex_lock(&s->log_lock);
	for (unsigned int i = 0; i < s->nr_faults && !told; i++)
		told = s->faults[i] == fault;
	if (!told && s->nr_faults < FAULTS_MAX) {
		s->faults[s->nr_faults++] = fault;
		tell(s, node, err);
		if (s->nr_faults == FAULTS_MAX)
			s->options->log(s->options->log_arg,
					"that were a thousand faults; no more will be told");
	}
	pthread_mutex_unlock(&s->log_lock);
	return -EIO;
}
