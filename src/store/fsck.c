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
#include "store/needs.h"
#include "store/splitstream.h"
#include "sys/dir.h"
#include "tree/tree.h"

#define FINDINGS_MAX (1u << 22) /* more is not damage, it is another store */

/* --- findings -------------------------------------------------------------------------------- */

size_t fsck_nr_findings(const struct fsck *f)
{
	return f->findings.len / sizeof(struct finding *);
}

struct finding *fsck_finding(const struct fsck *f, size_t i)
{
	return ((struct finding **)(void *)f->findings.data)[i];
}

static int add(struct fsck *f, enum cairn_damage kind, const struct cairn_digest *id,
	       const char *name, const char *text)
{
	struct finding *found;
	char hex[CAIRN_DIGEST_HEX_MAX];

	if (fsck_nr_findings(f) == FINDINGS_MAX)
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

struct finding *fsck_find(const struct fsck *f, const struct cairn_digest *id)
{
	char hex[CAIRN_DIGEST_HEX_MAX];
	size_t low = 0, high = fsck_nr_findings(f);

	if (!keyset_has(&f->bad, digest_key(id->bytes)))
		return NULL;
	cairn_digest_to_hex(id, hex);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct finding *found = fsck_finding(f, middle);
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

static int add_entry(void *arg, const struct store_name *name)
{
	struct fsck_entries *l = (struct fsck_entries *)arg;
	char path[STORE_NAME_MAX + 16];

	if (name->problem) {
		snprintf(path, sizeof(path), "%s/%s", store_kind_name(name->kind), name->name);
		return fsck_add(l->f, CAIRN_DAMAGE_NAME, NULL, path, "%s", name->problem);
	}
	if (l->nr == l->size) {
		size_t size = l->size ? 2 * l->size : 64;
		struct fsck_entry *more =
			(struct fsck_entry *)reallocarray(l->entry, size, sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->entry = more;
		l->size = size;
	}
	l->entry[l->nr].name = arena_dup(&l->f->arena, name->name, strlen(name->name));
	l->entry[l->nr].id = name->id;
	l->entry[l->nr].checked = false;
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
	const struct fsck_entry *entry;
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

static int need_object(void *arg, const uint8_t *digest)
{
	return need((const struct needing *)arg, digest, "missing");
}

void fsck_image_fini(struct fsck_image *o)
{
	if (o->data)
		munmap(o->data, o->size);
	if (o->fd >= 0)
		close(o->fd);
}

int fsck_open_image(const struct fsck *f, const struct cairn_digest *id, struct fsck_image *o,
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

/* Whether it is told that the object is damaged, and it still is. */
static bool is_bad(struct fsck *f, const struct cairn_digest *id)
{
	bool bad;

	pthread_mutex_lock(&f->lock);
	bad = keyset_has(&f->bad, digest_key(id->bytes)) &&
	      !keyset_has(&f->mended, digest_key(id->bytes));
	pthread_mutex_unlock(&f->lock);
	return bad;
}

int fsck_check_image(struct fsck_entries *l, struct fsck_entry *e)
{
	struct fsck_image o cleanup_fsck_image = {.fd = -1};
	struct fsck *f = l->f;
	struct needing n = {f, STORE_IMAGES, e};
	struct cairn_error err = {0};
	enum cairn_alg alg;
	int r;

	e->checked = true;
	if (!is_there(f, &e->id))
		return need(&n, e->id.bytes, "the image is missing");
	if (is_bad(f, &e->id))
		return 0; /* it is told that it is damaged: what it would say is worth nothing */
	r = fsck_open_image(f, &e->id, &o, &err);
	if (!r)
		r = image_check(&o.image, &alg, &err);
	if (!r)
		r = image_needs(&o.image, f->id_size, need_object, &n, &err);
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

int fsck_open_stream(const struct fsck *f, const struct cairn_digest *id, int *ret_fd,
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

static int check_stream(struct fsck *f, const struct fsck_entry *e)
{
	struct splitstream *stream cleanup(splitstream) = NULL;
	struct needing n = {f, STORE_STREAMS, e};
	struct cairn_error err = {0};
	cleanup_fd int fd = -1;
	int r;

	if (!is_there(f, &e->id))
		return need(&n, e->id.bytes, "the stream is missing");
	if (is_bad(f, &e->id))
		return 0;
	r = fsck_open_stream(f, &e->id, &fd, &stream, &err);
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

/* --- telling --------------------------------------------------------------------------------- */

static int tell(struct fsck *f, const struct finding *found)
{
	struct cairn_finding out = {.kind = found->kind,
				    .name = found->name,
				    .text = found->text,
				    .nr_uses = found->nr_uses,
				    .repaired = found->repaired};
	cleanup_free struct cairn_use *uses = NULL;
	size_t n = MIN(found->nr_uses, (size_t)FSCK_USES_MAX);

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

	for (size_t i = 0; i < fsck_nr_findings(f) && !r; i++)
		r = tell(f, fsck_finding(f, i));
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

static int list_names(struct fsck *f, struct fsck_entries *images, struct fsck_entries *streams)
{
	int r = store_list_entries(f->store, STORE_IMAGES, add_entry, images, f->err);

	return r ? r : store_list_entries(f->store, STORE_STREAMS, add_entry, streams, f->err);
}

/* Those that could not be checked when they were read: they are missing, or in a parent. */
static int check_image(void *arg, unsigned int worker, size_t i)
{
	struct fsck_entries *images = (struct fsck_entries *)arg;

	(void)worker;
	return images->entry[i].checked ? 0 : fsck_check_image(images, &images->entry[i]);
}

static int check_names(struct fsck *f, struct fsck_entries *images, struct fsck_entries *streams)
{
	int r = parallel_for(f->jobs, images->nr, check_image, images);

	f->result->images = images->nr;
	f->result->streams = streams->nr;
	for (size_t i = 0; i < streams->nr && !r; i++)
		r = check_stream(f, &streams->entry[i]);
	for (unsigned int kind = 0; kind < 2 && !r; kind++)
		r = store_list_refs(f->store, (enum store_kind)kind, check_ref, f, f->err);
	return r ? r : check_leftovers(f);
}

/* Into @now, what has been mended since the last time. */
static int note_mended(struct fsck *f, const struct finding *found, struct keyset *now)
{
	uint64_t key = digest_key(found->id.bytes);
	int r = found->repaired && found->id.alg ? keyset_add(&f->mended, key) : 0;

	return r <= 0 ? r : MIN(keyset_add(now, key), 0);
}

/* What was bad itself could not say what it needs: when it is mended it does, and that may be missing. */
static int repair_all(struct fsck *f, struct fsck_entries *images, struct fsck_entries *streams)
{
	size_t nr;
	int r;

	do {
		struct keyset now = {0};

		nr = fsck_nr_findings(f);
		r = fsck_repair(f);
		for (size_t i = 0; i < nr && !r; i++)
			r = note_mended(f, fsck_finding(f, i), &now);
		for (size_t i = 0; i < images->nr && !r; i++)
			if (keyset_has(&now, digest_key(images->entry[i].id.bytes)))
				r = fsck_check_image(images, &images->entry[i]);
		for (size_t i = 0; i < streams->nr && !r; i++)
			if (keyset_has(&now, digest_key(streams->entry[i].id.bytes)))
				r = check_stream(f, &streams->entry[i]);
		keyset_fini(&now);
		if (!r && fsck_nr_findings(f) > nr)
			r = fsck_find_uses(f, images, streams);
	} while (!r && fsck_nr_findings(f) > nr);
	return r;
}

static int check(struct fsck *f)
{
	const bool scrub = f->options->flags & CAIRN_FSCK_SCRUB;
	struct fsck_entries images = {.f = f}, streams = {.f = f};
	int r = fsck_list(f);

	if (!r && !scrub && !f->store->bare)
		r = list_names(f, &images, &streams);
	if (!r)
		r = scrub ? fsck_scrub(f) : fsck_read(f, &images);
	if (!r && !scrub && !f->store->bare)
		r = check_names(f, &images, &streams);
	else if (!r && !f->store->bare && fsck_nr_findings(f))
		r = list_names(f, &images, &streams); /* only for whom the damage hurts */
	if (!r && fsck_nr_findings(f))
		r = fsck_find_uses(f, &images, &streams);
	if (!r && fsck_nr_findings(f) && f->options->flags & CAIRN_FSCK_REPAIR)
		r = repair_all(f, &images, &streams);
	if (!r)
		r = tell_all(f);
	if (!r && f->unreachable.code) {
		*f->err = f->unreachable;
		r = f->unreachable.code;
	}
	free(images.by_id);
	free(images.entry);
	free(streams.entry);
	return r;
}

int store_fsck(struct cairn_store *s, const struct cairn_fsck_options *options,
	       const struct fsck_remotes *remotes, struct cairn_fsck_result *ret,
	       struct cairn_error *err)
{
	struct cairn_error words = {0};
	struct fsck *f = (struct fsck *)calloc(1, sizeof(*f));
	int r;

	if (!f)
		return error_errno(err, -ENOMEM, "check %s", s->path);
	*ret = (struct cairn_fsck_result){.complete = 1};
	f->store = s;
	f->options = options;
	f->remotes = remotes;
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
	keyset_fini(&f->mended);
	buf_fini(&f->findings);
	arena_fini(&f->arena);
	pthread_mutex_destroy(&f->lock);
	free(f);
	if (r < 0 && err)
		*err = words;
	return r;
}
