/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Who needs which objects.
 *
 *  1. objects[] is sorted by digest; each has the number of its set.
 *  2. A set is a chain: the set that it was before its last user came, and that user. Set 0 is empty. While
 *     users are added one after the other, the set that follows from a set is remembered in grown[], so
 *     that there are as many sets as there are different ones.
 *  3. A user's needs are sorted too: both lists are walked side by side.
 *
 * Long, because objects, sets and users are one structure that every step of the count works on.
 */
#include "store/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hex.h"
#include "erofs/reader.h"
#include "store/names.h"
#include "store/needs.h"
#include "store/splitstream.h"
#include "sys/dir.h"
#include "sys/io.h"
#include "tree/tree.h"

#define USAGE_DIGEST_MAX 64 /* bytes */

struct object {
	uint8_t digest[USAGE_DIGEST_MAX];
	uint64_t size;
	uint32_t set;
};

struct set {
	uint32_t before, user;
	uint32_t nr; /* users */
	uint64_t objects, bytes;
};

struct cairn_usage {
	const struct cairn_store *store;
	size_t digest_size;
	const struct cairn_gc_options *options;
	unsigned long first_file; /* user: from there on those of options->images */

	struct object *objects;
	size_t nr_objects, max_objects;
	struct set *sets;
	uint32_t *grown; /* set + 1 that follows from each for the user at hand; 0: none yet */
	uint32_t nr_sets, max_sets;

	struct cairn_usage_user *users;
	unsigned long nr_users, max_users;
	struct container *containers;
	size_t nr_containers, max_containers;
	struct cairn_usage_set *result;
	unsigned long nr_result;
	uint32_t *members; /* of all results */
	struct cairn_usage_total total;
	char problem[CAIRN_ERROR_TEXT_MAX];
};

/* The manifest's stream of a container image, which has a name of an image too. */
struct container {
	unsigned long user;
	struct cairn_digest id;
};

/* A list of digests that a user needs. */
struct needs {
	uint8_t *digests;
	size_t nr, max, size;
};

static int out_of_memory(struct cairn_error *err)
{
	return error_errno(err, -ENOMEM, "count what is used");
}

static void *grow(void *array, size_t nr, size_t *max, size_t size)
{
	size_t more = MAX(2 * *max, (size_t)256);
	void *p;

	if (nr < *max)
		return array;
	p = realloc(array, more * size);
	if (p)
		*max = more;
	return p;
}

/* --- the objects of the store ---------------------------------------------------------------- */

static int go_on(const struct cairn_usage *u, struct cairn_error *err)
{
	const struct cairn_gc_options *o = u->options;

	return o->progress && o->progress(o->note_arg, u->nr_objects, u->total.bytes, 0, 0)
		       ? error_set(err, -ECANCELED, CAIRN_ERROR_SYSTEM, "cancelled")
		       : 0;
}

struct listing {
	struct cairn_usage *u;
	int fd;
	uint8_t first;
};

static int add_object(void *arg, const char *name, size_t len, unsigned char type)
{
	struct listing *l = (struct listing *)arg;
	struct cairn_usage *u = l->u;
	struct object *o;
	struct stat st;

	(void)type;
	if (len != 2 * (u->digest_size - 1))
		return 0;
	o = (struct object *)grow(u->objects, u->nr_objects, &u->max_objects, sizeof(*o));
	if (!o)
		return -ENOMEM;
	u->objects = o;
	o += u->nr_objects;
	*o = (struct object){.digest[0] = l->first};
	if (hex_get(name, o->digest + 1, u->digest_size - 1) < 0 ||
	    fstatat(l->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0;
	o->size = (uint64_t)st.st_size;
	u->nr_objects++;
	u->total.objects++;
	u->total.bytes += o->size;
	u->total.disk += (uint64_t)st.st_blocks * 512;
	return 0;
}

static int compare_objects(const void *a, const void *b)
{
	return memcmp(a, b, USAGE_DIGEST_MAX);
}

static int list_objects(struct cairn_usage *u, struct cairn_error *err)
{
	_Alignas(8) char buffer[65536];
	int r;

	for (unsigned int i = 0; i < 256; i++) {
		struct listing l = {.u = u, .first = (uint8_t)i};
		cleanup_fd int fd = store_open_part(u->store, i);

		if (fd == -ENOENT || fd == -ENOTDIR)
			continue;
		l.fd = fd;
		r = fd < 0 ? fd : dir_list(fd, buffer, sizeof(buffer), add_object, &l);
		if (r < 0)
			return error_errno(err, r, "list %s/%02x", u->store->objects_path, i);
		r = go_on(u, err);
		if (r < 0)
			return r;
	}
	if (u->nr_objects)
		qsort(u->objects, u->nr_objects, sizeof(*u->objects), compare_objects);
	return 0;
}

/* --- what a user needs ----------------------------------------------------------------------- */

static int add_need(struct needs *n, const uint8_t *digest)
{
	uint8_t *p = (uint8_t *)grow(n->digests, n->nr, &n->max, n->size);

	if (!p)
		return -ENOMEM;
	n->digests = p;
	memcpy(p + n->nr++ * n->size, digest, n->size);
	return 0;
}

static int read_all(int fd, void **ret, size_t *ret_size)
{
	cleanup_free void *data = NULL;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	data = malloc((size_t)st.st_size + 1);
	if (!data)
		return -ENOMEM;
	n = pread_full(fd, data, (size_t)st.st_size, 0);
	if (n < 0)
		return (int)n;
	*ret = take_ptr(data);
	*ret_size = (size_t)n;
	return 0;
}

static int add_digest(void *arg, const uint8_t *digest)
{
	return add_need((struct needs *)arg, digest);
}

static int needs_of_file(int fd, struct needs *needs, struct cairn_error *err)
{
	cleanup_free void *data = NULL;
	struct image img;
	size_t size;
	int r;

	if (read_all(fd, &data, &size) < 0)
		return out_of_memory(err);
	r = image_open(&img, data, size, err);
	if (!r)
		r = image_needs(&img, needs->size, add_digest, needs, err);
	return r == -ENOMEM ? out_of_memory(err) : r;
}

static int needs_of_image(const struct cairn_store *s, const struct cairn_digest *id,
			  struct needs *needs, struct cairn_error *err)
{
	cleanup_fd int fd = store_open_image(s, id, err);

	return fd < 0 ? fd : needs_of_file(fd, needs, err);
}

static int add_id(void *arg, const struct cairn_digest *id)
{
	return add_need((struct needs *)arg, id->bytes);
}

/* The streams that a stream refers to are walked in turn: @needs is its own list of work. */
static int needs_of_streams(const struct cairn_store *s, struct needs *streams, struct needs *needs,
			    struct cairn_error *err)
{
	for (size_t i = 0; i < streams->nr; i++) {
		struct splitstream *stream cleanup(splitstream) = NULL;
		const uint8_t *digest = streams->digests + i * streams->size;
		char path[OBJECT_PATH_MAX];
		cleanup_fd int fd = -1;
		bool seen = false;
		int r;

		for (size_t j = 0; j < i && !seen; j++)
			seen = !memcmp(streams->digests + j * streams->size, digest, streams->size);
		if (seen)
			continue;
		(void)object_path(path, digest, streams->size);
		if (add_need(needs, digest) < 0)
			return out_of_memory(err);
		fd = store_open_object(s, path, NULL);
		if (fd < 0)
			continue;
		if (splitstream_open(fd, s->alg, &stream, NULL) < 0) {
			/* An image that a stream names, as a collection follows it. */
			struct cairn_digest id = {.alg = s->alg};

			memcpy(id.bytes, digest, streams->size);
			if (needs_of_image(s, &id, needs, NULL) == -ENOMEM)
				return out_of_memory(err);
			continue;
		}
		r = splitstream_refs(stream, SPLITSTREAM_OBJECTS, add_id, needs, err);
		if (!r)
			r = splitstream_refs(stream, SPLITSTREAM_STREAMS, add_id, streams, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A stream, and all that it leads to. */
static int needs_of_stream(const struct cairn_store *s, const struct cairn_digest *id,
			   struct needs *needs, struct cairn_error *err)
{
	struct needs streams = {.size = needs->size};
	int r = add_need(&streams, id->bytes);

	r = r < 0 ? out_of_memory(err) : needs_of_streams(s, &streams, needs, err);
	free(streams.digests);
	return r;
}

static int needs_of(const struct cairn_usage *u, unsigned long number, struct needs *needs,
		    struct cairn_error *err)
{
	const struct cairn_usage_user *user = &u->users[number];
	int r;

	if (user->stream)
		return needs_of_stream(u->store, &user->digest, needs, err);
	r = add_need(needs, user->digest.bytes);
	r = r < 0 ? out_of_memory(err) : needs_of_image(u->store, &user->digest, needs, err);
	for (size_t i = 0; i < u->nr_containers && !r; i++)
		if (u->containers[i].user == number)
			r = needs_of_stream(u->store, &u->containers[i].id, needs, err);
	return r;
}

static int compare_needs(const void *a, const void *b, void *size)
{
	return memcmp(a, b, *(const size_t *)size);
}

/* --- sets ------------------------------------------------------------------------------------ */

static int new_set(struct cairn_usage *u, uint32_t before, uint32_t user, uint32_t *ret)
{
	if (u->nr_sets == u->max_sets) {
		uint32_t max = MAX(2 * u->max_sets, 64u);
		struct set *sets = (struct set *)realloc(u->sets, max * sizeof(*sets));
		uint32_t *grown = sets ? (uint32_t *)realloc(u->grown, max * sizeof(*grown)) : NULL;

		if (sets)
			u->sets = sets;
		if (!grown)
			return -ENOMEM;
		u->grown = grown;
		u->max_sets = max;
	}
	*ret = u->nr_sets;
	u->grown[u->nr_sets] = 0;
	u->sets[u->nr_sets++] = (struct set){
		.before = before,
		.user = user,
		.nr = *ret ? u->sets[before].nr + 1 : 0,
	};
	return 0;
}

/* The user @number needs the object. */
static int take(struct cairn_usage *u, struct object *o, uint32_t number)
{
	uint32_t set;

	if (!u->grown[o->set]) {
		if (new_set(u, o->set, number, &set) < 0)
			return -ENOMEM;
		u->grown[o->set] = set + 1;
	}
	o->set = u->grown[o->set] - 1;
	u->users[number].objects++;
	u->users[number].bytes += o->size;
	return 0;
}

static void take_elsewhere(struct cairn_usage *u, const uint8_t *digest, uint32_t number)
{
	char path[OBJECT_PATH_MAX];
	struct stat st;

	(void)object_path(path, digest, u->digest_size);
	if (store_find_object(u->store, path, NULL, &st) < 0) {
		u->users[number].missing++;
		return;
	}
	u->users[number].elsewhere_objects++;
	u->users[number].elsewhere_bytes += (uint64_t)st.st_size;
}

static int add_user_needs(struct cairn_usage *u, uint32_t number, struct cairn_error *err)
{
	struct needs needs = {.size = u->digest_size};
	struct cairn_error why = {0};
	size_t at = 0;
	int r = number < u->first_file
			? needs_of(u, number, &needs, &why)
			: needs_of_file(u->options->images[number - u->first_file], &needs, &why);

	if (r == -ENOMEM) {
		free(needs.digests);
		return out_of_memory(err);
	}
	if (r < 0)
		u->users[number].problem = strdup(why.text);
	if (needs.nr)
		qsort_r(needs.digests, needs.nr, needs.size, compare_needs, &needs.size);
	memset(u->grown, 0, u->nr_sets * sizeof(*u->grown));
	r = 0;
	for (size_t i = 0; i < needs.nr && !r; i++) {
		const uint8_t *digest = needs.digests + i * needs.size;
		int c = 1;

		if (i && !memcmp(digest - needs.size, digest, needs.size))
			continue;
		while (at < u->nr_objects &&
		       (c = memcmp(u->objects[at].digest, digest, needs.size)) < 0)
			at++;
		if (at < u->nr_objects && !c)
			r = take(u, &u->objects[at], number);
		else
			take_elsewhere(u, digest, number);
	}
	free(needs.digests);
	return r < 0 ? out_of_memory(err) : 0;
}

/* --- users ----------------------------------------------------------------------------------- */

struct users {
	struct cairn_usage *u;
	struct cairn_error *err;
	int r;
};

static int add_name(struct cairn_usage_user *user, const char *name)
{
	const char **names =
		(const char **)realloc((void *)user->names, (user->nr_names + 1) * sizeof(*names));

	if (!names)
		return -ENOMEM;
	user->names = names;
	names[user->nr_names] = strdup(name);
	return names[user->nr_names++] ? 0 : -ENOMEM;
}

static int add_user(struct cairn_usage *u, int kind, int stream, const struct cairn_digest *id,
		    const char *name)
{
	size_t max = u->max_users;
	struct cairn_usage_user *p =
		(struct cairn_usage_user *)grow(u->users, u->nr_users, &max, sizeof(*p));

	if (!p)
		return -ENOMEM;
	u->users = p;
	u->max_users = max;
	p += u->nr_users++;
	*p = (struct cairn_usage_user){.kind = kind,
				       .mounted = kind == CAIRN_USAGE_MOUNTED,
				       .stream = stream,
				       .digest = *id};
	return add_name(p, name);
}

/* A container image that has the name of an image is one with it: who drops the name drops both. Returns 1; 0: it has
 * not; or -ENOMEM. */
static int add_container(struct cairn_usage *u, const struct store_name *ref,
			 const struct cairn_digest *id)
{
	char tag[STORE_REF_MAX + 1];
	struct container *c;

	if (!store_tag_of(ref, tag))
		return 0;
	for (unsigned long i = 0; i < u->nr_users; i++) {
		for (unsigned long j = 0; j < u->users[i].nr_names; j++) {
			if (u->users[i].stream || strcmp(u->users[i].names[j], tag) != 0)
				continue;
			c = (struct container *)grow(u->containers, u->nr_containers,
						     &u->max_containers, sizeof(*c));
			if (!c)
				return -ENOMEM;
			u->containers = c;
			c[u->nr_containers++] = (struct container){i, *id};
			u->users[i].container = 1;
			return 1;
		}
	}
	return 0;
}

static int add_ref(void *arg, const struct store_name *ref)
{
	struct users *users = (struct users *)arg;
	struct cairn_usage *u = users->u;
	int stream = ref->kind == STORE_STREAMS, r;
	struct cairn_digest id;

	if (ref->problem || store_entry(u->store, ref->kind, ref->target, &id, NULL) < 0 ||
	    id.alg != u->store->alg)
		return 0;
	for (unsigned long i = 0; i < u->nr_users; i++)
		if (u->users[i].stream == stream && !memcmp(&u->users[i].digest, &id, sizeof(id)))
			return add_name(&u->users[i], ref->name);
	r = stream ? add_container(u, ref, &id) : 0;
	return r ? MIN(r, 0) : add_user(u, CAIRN_USAGE_NAMED, stream, &id, ref->name);
}

/* An image that is kept without a name, if the store has it. */
static int add_held(struct cairn_usage *u, int kind, const struct cairn_digest *id)
{
	char path[OBJECT_PATH_MAX], hex[CAIRN_DIGEST_HEX_MAX];
	struct stat st;

	for (unsigned long i = 0; i < u->nr_users; i++) {
		if (u->users[i].stream || memcmp(&u->users[i].digest, id, sizeof(*id)) != 0)
			continue;
		u->users[i].mounted |= kind == CAIRN_USAGE_MOUNTED;
		return 0;
	}
	(void)object_path(path, id->bytes, cairn_digest_size((enum cairn_alg)id->alg));
	if (id->alg != (uint32_t)u->store->alg || store_find_object(u->store, path, NULL, &st) < 0)
		return 0;
	cairn_digest_to_hex(id, hex);
	return add_user(u, kind, 0, id, hex);
}

static int add_mounted(void *arg, const struct cairn_digest *id)
{
	return add_held((struct cairn_usage *)arg, CAIRN_USAGE_MOUNTED, id);
}

/* Those that a collection keeps besides. */
static int add_others(struct cairn_usage *u, gc_mounted_fn mounted)
{
	static const struct cairn_digest none;
	int r = mounted ? mounted(add_mounted, u) : 0;

	for (size_t i = 0; i < u->options->nr_roots && !r; i++)
		r = add_held(u, CAIRN_USAGE_ROOT, &u->options->roots[i]);
	u->first_file = u->nr_users;
	for (size_t i = 0; i < u->options->nr_images && !r; i++)
		r = add_user(u, CAIRN_USAGE_ROOT, 0, &none, "image file");
	return r;
}

/* --- the result ------------------------------------------------------------------------------ */

static int compare_sets(const void *a, const void *b)
{
	const struct cairn_usage_set *x = (const struct cairn_usage_set *)a;
	const struct cairn_usage_set *y = (const struct cairn_usage_set *)b;

	return x->bytes < y->bytes ? 1 : x->bytes > y->bytes ? -1 : 0;
}

static int finish(struct cairn_usage *u)
{
	uint32_t *member;
	size_t nr = 0;

	for (size_t i = 0; i < u->nr_objects; i++) {
		struct set *set = &u->sets[u->objects[i].set];

		if (!set->objects)
			nr += set->nr;
		set->objects++;
		set->bytes += u->objects[i].size;
	}
	u->result = (struct cairn_usage_set *)calloc(u->nr_sets + 1, sizeof(*u->result));
	u->members = member = (uint32_t *)calloc(nr + 1, sizeof(*u->members));
	if (!u->result || !u->members)
		return -ENOMEM;
	for (uint32_t i = 0; i < u->nr_sets; i++) {
		const struct set *set = &u->sets[i];
		uint32_t at = set->nr;

		if (!set->objects)
			continue;
		/* The chain goes from the last user to the first. */
		for (const struct set *s = set; at; s = &u->sets[s->before])
			member[--at] = s->user;
		u->result[u->nr_result++] = (struct cairn_usage_set){
			.users = member,
			.nr_users = set->nr,
			.objects = set->objects,
			.bytes = set->bytes,
		};
		if (set->nr == 1) {
			u->users[member[0]].unique_objects = set->objects;
			u->users[member[0]].unique_bytes = set->bytes;
			u->users[member[0]].frees = set->bytes;
		}
		if (set->nr) {
			u->total.needed_objects += set->objects;
			u->total.needed_bytes += set->bytes;
			u->total.sum += set->bytes * set->nr;
		}
		member += set->nr;
	}
	qsort(u->result, u->nr_result, sizeof(*u->result), compare_sets);
	return 0;
}

/* What a collection would remove is for a collection to say. */
static int think_of_gc(struct cairn_usage *u, gc_mounted_fn mounted)
{
	struct cairn_gc_options options = *u->options;
	struct cairn_usage_total *t = &u->total;
	struct cairn_gc_result result;
	struct cairn_error why = {0};
	int r;

	options.flags |= CAIRN_GC_DRY_RUN;
	options.note = NULL;
	options.progress = NULL;
	r = store_gc((struct cairn_store *)(uintptr_t)u->store, &options, mounted, &result, &why);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		memcpy(u->problem, why.text, sizeof(why.text));
		t->problem = u->problem;
		return 0;
	}
	t->reclaimable = result.removed_size;
	t->reclaimable_disk = result.removed_bytes;
	if (t->bytes > t->needed_bytes + t->reclaimable)
		t->held = t->bytes - t->needed_bytes - t->reclaimable;
	return 0;
}

static int count_all(struct cairn_usage *u, gc_mounted_fn mounted, struct cairn_error *err)
{
	const struct cairn_store *s = u->store;
	struct users users = {.u = u, .err = err};
	uint32_t empty;
	int r = list_objects(u, err);

	if (!r)
		r = new_set(u, 0, 0, &empty);
	if (!r && !s->bare)
		r = store_list_refs(s, STORE_IMAGES, add_ref, &users, err);
	if (!r && !s->bare)
		r = store_list_refs(s, STORE_STREAMS, add_ref, &users, err);
	if (!r)
		r = add_others(u, mounted);
	for (uint32_t i = 0; !r && i < u->nr_users; i++) {
		r = add_user_needs(u, i, err);
		if (!r)
			r = go_on(u, err);
	}
	if (!r)
		r = finish(u);
	return r ? r : think_of_gc(u, mounted);
}

int usage_new(const struct cairn_store *s, const struct cairn_gc_options *options,
	      gc_mounted_fn mounted, struct cairn_usage **ret, struct cairn_error *err)
{
	struct cairn_usage *u = (struct cairn_usage *)calloc(1, sizeof(*u));
	int r;

	if (!u)
		return out_of_memory(err);
	u->store = s;
	u->digest_size = cairn_digest_size(s->alg);
	u->options = options;
	r = count_all(u, mounted, err);
	if (r < 0) {
		usage_free(u);
		return r == -ENOMEM ? out_of_memory(err) : r;
	}
	*ret = u;
	return 0;
}

void usage_free(struct cairn_usage *u)
{
	if (!u)
		return;
	for (unsigned long i = 0; i < u->nr_users; i++) {
		for (unsigned long j = 0; j < u->users[i].nr_names; j++)
			free((void *)u->users[i].names[j]);
		free((void *)u->users[i].names);
		free((void *)u->users[i].problem);
	}
	free(u->containers);
	free(u->users);
	free(u->objects);
	free(u->sets);
	free(u->grown);
	free(u->result);
	free(u->members);
	free(u);
}

const struct cairn_usage_total *usage_total(const struct cairn_usage *u)
{
	return &u->total;
}

const struct cairn_usage_user *usage_users(const struct cairn_usage *u, unsigned long *ret_nr)
{
	*ret_nr = u->nr_users;
	return u->users;
}

const struct cairn_usage_set *usage_sets(const struct cairn_usage *u, unsigned long *ret_nr)
{
	*ret_nr = u->nr_result;
	return u->result;
}

uint64_t usage_frees(const struct cairn_usage *u, const unsigned char *chosen)
{
	uint64_t bytes = 0;

	for (unsigned long i = 0; i < u->nr_result; i++) {
		const struct cairn_usage_set *set = &u->result[i];
		bool all = set->nr_users > 0;

		for (unsigned long j = 0; j < set->nr_users && all; j++)
			all = chosen[set->users[j]];
		bytes += all ? set->bytes : 0;
	}
	return bytes;
}
