/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What needs the objects: images, streams, references; and whom the damage hurts. */
#include "store/fsck.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/parallel.h"
#include "erofs/reader.h"
#include "store/fsck-internal.h"
#include "store/splitstream.h"
#include "sys/dir.h"
#include "tree/tree.h"

#define FINDINGS_MAX (1u << 22) /* more is not damage, it is another store */
#define USES_MAX     10000      /* of one object; the number of them is always told */

/* --- findings -------------------------------------------------------------------------------- */

static size_t nr_findings(const struct fsck *f)
{
	return f->findings.len / sizeof(struct finding *);
}

static struct finding *finding_at(const struct fsck *f, size_t i)
{
	return ((struct finding **)(void *)f->findings.data)[i];
}

static int add(struct fsck *f, enum cairn_damage kind, const struct cairn_digest *id,
	       const char *name, const char *text)
{
	struct finding *found;
	char hex[CAIRN_DIGEST_HEX_MAX];

	if (nr_findings(f) == FINDINGS_MAX)
		return -EFBIG;
	/* The first thing that is wrong with an object is enough. */
	if (id && keyset_add(&f->bad, digest_key(id->bytes)) == 0)
		return 0;
	if (id) {
		cairn_digest_to_hex(id, hex);
		name = hex;
	}
	found = (struct finding *)arena_alloc(&f->arena, sizeof(*found));
	if (!found)
		return -ENOMEM;
	*found = (struct finding){.kind = kind,
				  .name = arena_dup(&f->arena, name, strlen(name)),
				  .text = arena_dup(&f->arena, text, strlen(text))};
	if (id)
		found->id = *id;
	if (!found->name || !found->text)
		return -ENOMEM;
	return buf_put(&f->findings, &found, sizeof(struct finding *));
}

int fsck_add(struct fsck *f, enum cairn_damage kind, const struct cairn_digest *id,
	     const char *name, const char *fmt, ...)
{
	char text[CAIRN_ERROR_TEXT_MAX];
	va_list ap;
	int r;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&f->lock);
	r = add(f, kind, id, name, text);
	pthread_mutex_unlock(&f->lock);
	return r;
}

static int compare_findings(const void *a, const void *b)
{
	const struct finding *x = *(const struct finding *const *)a;
	const struct finding *y = *(const struct finding *const *)b;

	if (!x->id.alg != !y->id.alg)
		return x->id.alg ? -1 : 1;
	return strcmp(x->name, y->name);
}

struct finding *fsck_find(const struct fsck *f, const struct cairn_digest *id)
{
	char hex[CAIRN_DIGEST_HEX_MAX];
	size_t low = 0, high = nr_findings(f);

	if (!keyset_has(&f->bad, digest_key(id->bytes)))
		return NULL;
	cairn_digest_to_hex(id, hex);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct finding *found = finding_at(f, middle);
		int c = found->id.alg ? strcmp(found->name, hex) : 1;

		if (!c)
			return found;
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* --- images ---------------------------------------------------------------------------------- */

struct entry {
	const char *name;
	struct cairn_digest id;
};

struct entries {
	struct fsck *f;
	struct entry *entry;
	size_t nr, size;
};

static int add_entry(void *arg, const struct store_name *name)
{
	struct entries *l = (struct entries *)arg;
	char path[STORE_NAME_MAX + 16];

	if (name->problem) {
		snprintf(path, sizeof(path), "%s/%s", store_kind_name(name->kind), name->name);
		return fsck_add(l->f, CAIRN_DAMAGE_NAME, NULL, path, "%s", name->problem);
	}
	if (l->nr == l->size) {
		size_t size = l->size ? 2 * l->size : 64;
		struct entry *more = (struct entry *)reallocarray(l->entry, size, sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->entry = more;
		l->size = size;
	}
	l->entry[l->nr].name = arena_dup(&l->f->arena, name->name, strlen(name->name));
	l->entry[l->nr].id = name->id;
	return l->entry[l->nr++].name ? 0 : -ENOMEM;
}

/* Here, perhaps since a moment ago, or in a parent. */
static bool is_there(const struct fsck *f, const struct cairn_digest *id)
{
	char path[OBJECT_PATH_MAX];
	cleanup_fd int fd = -1;

	if (fsck_has(f, id->bytes))
		return true;
	object_path(path, id->bytes, f->id_size);
	fd = store_open_object(f->store, path, NULL);
	return fd >= 0;
}

/* Who needs objects. */
struct needing {
	struct fsck *f;
	enum store_kind kind;
	const struct entry *entry;
};

/* A collection removes an entry before what it needs. So what is missing while its entry is there is
 * missing. */
static bool is_still_there(const struct needing *n)
{
	struct cairn_digest id;

	return !store_entry(n->f->store, n->kind, n->entry->name, &id, NULL) &&
	       !memcmp(&id, &n->entry->id, sizeof(id));
}

/* Notes that an object is needed; tells if it is missing. */
static int need(const struct needing *n, const uint8_t *bytes, const char *what)
{
	struct fsck *f = n->f;
	struct cairn_digest id = {.alg = f->store->alg};

	memcpy(id.bytes, bytes, f->id_size);
	if (is_there(f, &id) || !is_still_there(n))
		return 0;
	return fsck_add(f, CAIRN_DAMAGE_MISSING, &id, NULL, "%s", what);
}

static int need_object(void *arg, const struct image_object *o)
{
	const struct needing *n = (const struct needing *)arg;

	return o->digest_size == n->f->id_size ? need(n, o->digest, "missing") : 0;
}

/* An image that is open and in memory. */
struct opened {
	int fd;
	void *data;
	uint64_t size;
	struct image image;
};

static void opened_fini(struct opened *o)
{
	if (o->data)
		munmap(o->data, o->size);
	if (o->fd >= 0)
		close(o->fd);
}
#define cleanup_opened __attribute__((__cleanup__(opened_fini)))

static int open_image(const struct fsck *f, const struct cairn_digest *id, struct opened *o,
		      struct cairn_error *err)
{
	char path[OBJECT_PATH_MAX];
	struct stat st;

	object_path(path, id->bytes, f->id_size);
	o->fd = store_open_object(f->store, path, err);
	if (o->fd < 0)
		return o->fd;
	if (fstat(o->fd, &st) < 0)
		return error_errno(err, -errno, "read it");
	o->size = (uint64_t)st.st_size;
	o->data = mmap(NULL, o->size, PROT_READ, MAP_PRIVATE, o->fd, 0);
	if (o->data == MAP_FAILED) {
		o->data = NULL;
		return error_errno(err, -errno, "read it");
	}
	return image_open(&o->image, o->data, o->size, err);
}

static int check_image(void *arg, unsigned int worker, size_t i)
{
	const struct entries *l = (const struct entries *)arg;
	const struct entry *e = &l->entry[i];
	struct opened o cleanup_opened = {.fd = -1};
	struct fsck *f = l->f;
	struct needing n = {f, STORE_IMAGES, e};
	struct cairn_error err = {0};
	enum cairn_alg alg;
	int r;

	(void)worker;
	if (!is_there(f, &e->id))
		return need(&n, e->id.bytes, "the image is missing");
	pthread_mutex_lock(&f->lock);
	r = keyset_has(&f->bad, digest_key(e->id.bytes));
	pthread_mutex_unlock(&f->lock);
	if (r)
		return 0; /* it is told that it is damaged: what it would say is worth nothing */
	r = open_image(f, &e->id, &o, &err);
	if (!r)
		r = image_check(&o.image, &alg, &err);
	if (!r)
		r = image_objects(&o.image, need_object, &n, &err);
	if (r == -ENOMEM)
		return r;
	if (r == -ENOENT && !is_still_there(&n))
		return 0;
	return r < 0 ? fsck_add(f, CAIRN_DAMAGE_IMAGE, NULL, e->name, "%s", err.text) : 0;
}

/* --- streams --------------------------------------------------------------------------------- */

static int need_part(void *arg, const struct cairn_digest *id)
{
	return need((const struct needing *)arg, id->bytes, "missing");
}

static int open_stream(const struct fsck *f, const struct cairn_digest *id, int *ret_fd,
		       struct splitstream **ret, struct cairn_error *err)
{
	char path[OBJECT_PATH_MAX];

	object_path(path, id->bytes, f->id_size);
	*ret_fd = store_open_object(f->store, path, err);
	return *ret_fd < 0 ? *ret_fd : splitstream_open(*ret_fd, f->store->alg, ret, err);
}

static int no_name(void *arg, const char *name, size_t len, const struct cairn_digest *id)
{
	(void)arg;
	(void)name;
	(void)len;
	(void)id;
	return 0;
}

static int check_stream(struct fsck *f, const struct entry *e)
{
	struct splitstream *stream cleanup(splitstream) = NULL;
	struct needing n = {f, STORE_STREAMS, e};
	struct cairn_error err = {0};
	cleanup_fd int fd = -1;
	int r;

	if (!is_there(f, &e->id))
		return need(&n, e->id.bytes, "the stream is missing");
	if (keyset_has(&f->bad, digest_key(e->id.bytes)))
		return 0;
	r = open_stream(f, &e->id, &fd, &stream, &err);
	if (!r)
		r = splitstream_refs(stream, SPLITSTREAM_OBJECTS, need_part, &n, &err);
	if (!r)
		r = splitstream_refs(stream, SPLITSTREAM_STREAMS, need_part, &n, &err);
	if (!r)
		r = splitstream_named(stream, no_name, NULL, &err);
	if (r == -ENOMEM)
		return r;
	if (r == -ENOENT && !is_still_there(&n))
		return 0;
	return r < 0 ? fsck_add(f, CAIRN_DAMAGE_STREAM, NULL, e->name, "%s", err.text) : 0;
}

/* --- references ------------------------------------------------------------------------------ */

static int check_ref(void *arg, const struct store_name *name)
{
	struct fsck *f = (struct fsck *)arg;
	char path[STORE_REF_MAX + 32], target[STORE_NAME_MAX + 1];
	struct cairn_digest id;
	int r;

	f->result->refs++;
	snprintf(path, sizeof(path), "%s/refs/%s", store_kind_name(name->kind), name->name);
	if (name->problem)
		return fsck_add(f, CAIRN_DAMAGE_NAME, NULL, path, "%s", name->problem);
	r = store_entry(f->store, name->kind, name->target, &id, NULL);
	/* Unless it has just been moved or removed, and what it led to collected. */
	if (r == -ENOENT && !store_ref(f->store, name->kind, name->name, target, NULL) &&
	    !strcmp(target, name->target))
		return fsck_add(f, CAIRN_DAMAGE_NAME, NULL, path, "leads to %s, which is missing",
				name->target);
	return 0; /* a malformed entry is told by itself */
}

/* --- whom it hurts --------------------------------------------------------------------------- */

static int add_use(struct fsck *f, struct finding *found, const char *image, const char *path)
{
	struct fsck_use *use;

	if (found->nr_uses++ >= USES_MAX)
		return 0;
	use = (struct fsck_use *)arena_alloc(&f->arena, sizeof(*use));
	if (!use)
		return -ENOMEM;
	*use = (struct fsck_use){.image = image, .path = path, .next = found->uses};
	found->uses = use;
	return 0;
}

static int uses_in_tree(struct fsck *f, const char *image, const struct tree *t)
{
	for (uint32_t i = 0; i < t->nr_entries; i++) {
		const struct node *n = tree_entry(t, i);
		struct cairn_digest id = {.alg = f->store->alg};
		const uint8_t *bytes = node_is_external(n) ? node_digest(n, f->store->alg) : NULL;
		struct finding *found;
		char *path;
		int r;

		if (!bytes)
			continue;
		memcpy(id.bytes, bytes, f->id_size);
		found = fsck_find(f, &id);
		if (!found)
			continue;
		path = (char *)arena_alloc_aligned(&f->arena, node_path_len(n) + 1, 1);
		if (!path)
			return -ENOMEM;
		node_path(n, path);
		r = add_use(f, found, image, path);
		if (r < 0)
			return r;
	}
	return 0;
}

DEFINE_CLEANUP(struct tree *, tree, tree_free)

static int uses_of_images(struct fsck *f, const struct entries *l)
{
	for (size_t i = 0; i < l->nr; i++) {
		struct opened o cleanup_opened = {.fd = -1};
		cleanup(tree) struct tree *t = NULL;
		struct finding *found = fsck_find(f, &l->entry[i].id);
		int r = found ? add_use(f, found, l->entry[i].name, NULL) : 0;

		if (r < 0)
			return r;
		if (found || open_image(f, &l->entry[i].id, &o, NULL) < 0 ||
		    image_load(&o.image, CAIRN_LOAD_COMPAT, NULL, &t, NULL) < 0)
			continue; /* that is told */
		r = uses_in_tree(f, l->entry[i].name, t);
		if (r < 0)
			return r;
	}
	return 0;
}

struct stream_use {
	struct fsck *f;
	const char *name;
};

static int use_part(void *arg, const struct cairn_digest *id)
{
	const struct stream_use *use = (const struct stream_use *)arg;
	struct finding *found = fsck_find(use->f, id);

	return found ? add_use(use->f, found, use->name, NULL) : 0;
}

static int uses_of_streams(struct fsck *f, const struct entries *l)
{
	for (size_t i = 0; i < l->nr; i++) {
		struct splitstream *stream cleanup(splitstream) = NULL;
		struct stream_use use = {f, l->entry[i].name};
		cleanup_fd int fd = -1;
		int r = use_part(&use, &l->entry[i].id);

		if (r < 0)
			return r;
		if (open_stream(f, &l->entry[i].id, &fd, &stream, NULL) < 0)
			continue;
		(void)splitstream_refs(stream, SPLITSTREAM_OBJECTS, use_part, &use, NULL);
		(void)splitstream_refs(stream, SPLITSTREAM_STREAMS, use_part, &use, NULL);
	}
	return 0;
}

/* --- telling --------------------------------------------------------------------------------- */

static int tell(struct fsck *f, const struct finding *found)
{
	struct cairn_finding out = {.kind = found->kind,
				    .name = found->name,
				    .text = found->text,
				    .nr_uses = found->nr_uses,
				    .repaired = found->repaired};
	cleanup_free struct cairn_use *uses = NULL;
	size_t n = MIN(found->nr_uses, (size_t)USES_MAX);

	if (found->kind == CAIRN_DAMAGE_LEFTOVER) {
		f->result->leftovers++;
	} else {
		f->result->damage++;
		f->result->repaired += found->repaired;
	}
	if (!f->options->finding)
		return 0;
	uses = (struct cairn_use *)calloc(n + 1, sizeof(*uses));
	if (!uses)
		return -ENOMEM;
	out.nr_uses = n;
	for (const struct fsck_use *use = found->uses; use; use = use->next)
		uses[--n] = (struct cairn_use){use->image, use->path};
	out.uses = uses;
	return f->options->finding(f->options->arg, &out);
}

static int tell_all(struct fsck *f)
{
	int r = 0;

	for (size_t i = 0; i < nr_findings(f) && !r; i++)
		r = tell(f, finding_at(f, i));
	return r;
}

/* --- leftovers ------------------------------------------------------------------------------- */

static int leftover_of_store(void *arg, const char *name, size_t len, unsigned char type)
{
	struct fsck *f = (struct fsck *)arg;

	(void)len;
	(void)type;
	if (!strncmp(name, ".symlink-", 9) || !strncmp(name, ".tmp-", 5))
		return fsck_add(f, CAIRN_DAMAGE_LEFTOVER, NULL, name,
				"of a process that did not live to finish it");
	return 0;
}

static int leftover_of_trash(void *arg, const char *name, size_t len, unsigned char type)
{
	char path[300];

	(void)len;
	(void)type;
	snprintf(path, sizeof(path), "cairn/trash/%.256s", name);
	return fsck_add(
		(struct fsck *)arg, CAIRN_DAMAGE_LEFTOVER, NULL, path,
		"of a collection that did not end; the next one puts it back or removes it");
}

static int check_leftovers(struct fsck *f)
{
	cleanup_fd int trash = store_own_dir(f->store, "trash", 0);
	_Alignas(8) char buffer[8192];
	int r;

	(void)lseek(f->store->dirfd, 0, SEEK_SET);
	r = dir_list(f->store->dirfd, buffer, sizeof(buffer), leftover_of_store, f);
	if (!r && trash >= 0)
		r = dir_list(trash, buffer, sizeof(buffer), leftover_of_trash, f);
	return r;
}

/* --- all of it ------------------------------------------------------------------------------- */

static int check_names(struct fsck *f, struct entries *images, struct entries *streams)
{
	int r = store_list_entries(f->store, STORE_IMAGES, add_entry, images, f->err);

	if (!r)
		r = store_list_entries(f->store, STORE_STREAMS, add_entry, streams, f->err);
	f->result->images = images->nr;
	f->result->streams = streams->nr;
	if (!r)
		r = parallel_for(f->jobs, images->nr, check_image, images);
	for (size_t i = 0; i < streams->nr && !r; i++)
		r = check_stream(f, &streams->entry[i]);
	for (unsigned int kind = 0; kind < 2 && !r; kind++)
		r = store_list_refs(f->store, (enum store_kind)kind, check_ref, f, f->err);
	return r ? r : check_leftovers(f);
}

static int check(struct fsck *f)
{
	const bool scrub = f->options->flags & CAIRN_FSCK_SCRUB;
	struct entries images = {.f = f}, streams = {.f = f};
	int r = fsck_list(f);

	if (!r)
		r = scrub ? fsck_scrub(f) : fsck_read(f);
	if (!r && !scrub && !f->store->bare)
		r = check_names(f, &images, &streams);
	else if (!r && !f->store->bare && nr_findings(f)) {
		/* Only for whom the damage hurts. */
		r = store_list_entries(f->store, STORE_IMAGES, add_entry, &images, f->err);
		if (!r)
			r = store_list_entries(f->store, STORE_STREAMS, add_entry, &streams,
					       f->err);
	}
	if (!r && nr_findings(f)) {
		qsort(f->findings.data, nr_findings(f), sizeof(struct finding *), compare_findings);
		r = f->bad.nr ? uses_of_images(f, &images) : 0;
		if (!r && f->bad.nr)
			r = uses_of_streams(f, &streams);
		if (!r && f->options->flags & CAIRN_FSCK_REPAIR)
			r = fsck_repair(f);
		if (!r)
			r = tell_all(f);
	}
	free(images.entry);
	free(streams.entry);
	return r;
}

int store_fsck(struct cairn_store *s, const struct cairn_fsck_options *options,
	       struct cairn_fsck_result *ret, struct cairn_error *err)
{
	struct cairn_error words = {0};
	struct fsck *f = (struct fsck *)calloc(1, sizeof(*f));
	int r;

	if (!f)
		return error_errno(err, -ENOMEM, "check %s", s->path);
	*ret = (struct cairn_fsck_result){.complete = 1};
	f->store = s;
	f->options = options;
	f->result = ret;
	f->err = &words;
	f->jobs = options->jobs;
	f->id_size = cairn_digest_size(s->alg);
	f->findings = BUF_INIT(FINDINGS_MAX * sizeof(struct finding *));
	pthread_mutex_init(&f->lock, NULL);
	arena_init(&f->arena);
	r = check(f);
	if (!r && f->cancelled)
		r = -ECANCELED;
	if (r < 0 && !words.code)
		(void)error_errno(&words, r, "check %s", s->path);
	for (unsigned int i = 0; i < FSCK_PARTS; i++)
		free(f->part[i].ids);
	keyset_fini(&f->bad);
	buf_fini(&f->findings);
	arena_fini(&f->arena);
	pthread_mutex_destroy(&f->lock);
	free(f);
	if (r < 0 && err)
		*err = words;
	return r;
}
