/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Listing names, and finding an image by what a person calls it.
 *
 * A list is collected first and told in order then: directories come in none, and what is called may
 * change them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "store/names.h"
#include "sys/dir.h"
#include "sys/verity.h"
#include "tree/tree.h"

#define LIST_MAX    (1u << 22) /* names: each is a link that somebody made by hand or by a pull */
#define DEPTH_MAX   (STORE_REF_MAX / 2)
#define ABBREVIATED 6     /* digits of a digest: with fewer it is a guess */
#define LIST_BUFFER 32768 /* bytes for the kernel's answers */

struct names {
	struct arena arena;
	const char **name;
	size_t nr, size;
	const char *prefix; /* of the directory that is being listed, with a slash at its end */
	unsigned int depth;
	int dirfd;
};

static void names_fini(struct names *n)
{
	free(n->name);
	arena_fini(&n->arena);
}

static int add_name(struct names *n, const char *name, size_t len)
{
	const size_t prefix = strlen(n->prefix);
	char *copy;

	if (n->nr == LIST_MAX)
		return -EFBIG;
	if (n->nr == n->size) {
		const size_t size = n->size ? 2 * n->size : 256;
		const char **more = (const char **)reallocarray(n->name, size, sizeof(*more));

		if (!more)
			return -ENOMEM;
		n->name = more;
		n->size = size;
	}
	copy = (char *)arena_alloc_aligned(&n->arena, prefix + len + 1, 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, n->prefix, prefix);
	memcpy(copy + prefix, name, len + 1);
	n->name[n->nr++] = copy;
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add_entry(void *arg, const char *name, size_t len, unsigned char type)
{
	(void)type;
	return strcmp(name, "refs") ? add_name((struct names *)arg, name, len) : 0;
}

static int add_ref(void *arg, const char *name, size_t len, unsigned char type);

static int list_directory(struct names *n, int dirfd, const char *prefix, dir_entry_fn fn)
{
	const char *outer = n->prefix;
	int outer_fd = n->dirfd, r;
	void *buffer = malloc(LIST_BUFFER);

	n->prefix = prefix;
	n->dirfd = dirfd;
	n->depth++;
	r = buffer ? dir_list(dirfd, buffer, LIST_BUFFER, fn, n) : -ENOMEM;
	if (r == -ENOENT)
		r = 0; /* somebody has removed it, empty, since it was opened */
	n->depth--;
	n->prefix = outer;
	n->dirfd = outer_fd;
	free(buffer);
	return r;
}

static int add_ref(void *arg, const char *name, size_t len, unsigned char type)
{
	struct names *n = (struct names *)arg;
	cleanup_fd int fd = -1;
	const char *prefix;
	int r;

	(void)type;
	fd = open_directory(n->dirfd, name);
	if (fd < 0)
		return fd == -ENOTDIR || fd == -ELOOP ? add_name(n, name, len)
		       : fd == -ENOENT                ? 0
						      : fd;
	if (n->depth >= DEPTH_MAX)
		return -ELOOP;
	r = add_name(n, name, len);
	if (r < 0)
		return r;
	/* Its name is only the beginning of others. */
	prefix = n->name[--n->nr];
	{
		char *with_slash = (char *)arena_alloc_aligned(&n->arena, strlen(prefix) + 2, 1);

		if (!with_slash)
			return -ENOMEM;
		sprintf(with_slash, "%s/", prefix);
		return list_directory(n, fd, with_slash, add_ref);
	}
}

/* All names in directory @path of the store; none where it is missing. */
static int collect(const struct cairn_store *s, const char *path, dir_entry_fn fn, struct names *n)
{
	cleanup_fd int fd = open_beneath(s->dirfd, path, O_RDONLY | O_DIRECTORY);
	int r;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = list_directory(n, fd, "", fn);
	if (n->nr)
		qsort(n->name, n->nr, sizeof(*n->name), by_bytes);
	return r;
}

int store_list_entries(const struct cairn_store *s, enum store_kind kind, store_name_fn fn,
		       void *arg, struct cairn_error *err)
{
	struct names n __attribute__((__cleanup__(names_fini))) = {.prefix = ""};
	int r;

	arena_init(&n.arena);
	r = s->bare ? 0 : collect(s, store_kind_name(kind), add_entry, &n);
	if (r < 0)
		return error_errno(err, r, "list %s/%s", s->path, store_kind_name(kind));
	for (size_t i = 0; i < n.nr; i++) {
		struct store_name name = {.kind = kind, .name = n.name[i], .target = ""};
		struct cairn_error problem = {0};

		r = store_entry(s, kind, n.name[i], &name.id, &problem);
		if (r == -ENOENT)
			continue; /* gone meanwhile */
		name.problem = r < 0 ? problem.text : NULL;
		r = fn(arg, &name);
		if (r < 0)
			return r;
	}
	return 0;
}

int store_list_refs(const struct cairn_store *s, enum store_kind kind, store_name_fn fn, void *arg,
		    struct cairn_error *err)
{
	struct names n __attribute__((__cleanup__(names_fini))) = {.prefix = ""};
	char path[32], target[STORE_NAME_MAX + 1];
	int r;

	arena_init(&n.arena);
	snprintf(path, sizeof(path), "%s/refs", store_kind_name(kind));
	r = s->bare ? 0 : collect(s, path, add_ref, &n);
	if (r < 0)
		return error_errno(err, r, "list %s/%s", s->path, path);
	for (size_t i = 0; i < n.nr; i++) {
		struct store_name name = {.kind = kind, .name = n.name[i], .target = target};
		struct cairn_error problem = {0};

		*target = '\0';
		r = store_ref(s, kind, n.name[i], target, &problem);
		if (r == -ENOENT)
			continue;
		name.problem = r < 0 ? problem.text : NULL;
		r = fn(arg, &name);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- finding an image ------------------------------------------------------------------------ */

struct search {
	const char *hex; /* the beginning of a digest */
	struct cairn_digest found;
	unsigned int nr;
};

static int match(void *arg, const struct store_name *name)
{
	struct search *search = (struct search *)arg;
	struct cairn_digest digest;

	if (strncasecmp(name->name, search->hex, strlen(search->hex)) ||
	    cairn_digest_from_hex(name->name, &digest) < 0)
		return 0;
	search->found = digest;
	search->nr++;
	return 0;
}

static int not_found(const struct cairn_store *s, const char *text, struct cairn_error *err)
{
	return error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM, "%s: no image of this name in %s", text,
			 s->path);
}

static int find_digest(const struct cairn_store *s, const char *text, const char *hex,
		       struct cairn_digest *ret, struct cairn_error *err)
{
	struct search search = {.hex = hex};
	struct cairn_digest whole, object;
	char name[CAIRN_DIGEST_HEX_MAX];
	int r;

	if (!cairn_digest_from_hex(hex, &whole)) {
		cairn_digest_to_hex(&whole, name);
		r = store_entry(s, STORE_IMAGES, name, &object, err);
		if (r == -ENOENT)
			return not_found(s, text, err);
		if (!r)
			*ret = whole;
		return r;
	}
	if (strlen(hex) < ABBREVIATED || hex[strspn(hex, "0123456789abcdefABCDEF")])
		return not_found(s, text, err);
	r = store_list_entries(s, STORE_IMAGES, match, &search, err);
	if (r < 0)
		return r;
	if (search.nr > 1)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "%s: %u images in %s have a digest that begins like this", text,
				 search.nr, s->path);
	if (!search.nr)
		return not_found(s, text, err);
	*ret = search.found;
	return 0;
}

int store_resolve(const struct cairn_store *s, const char *text, struct cairn_digest *ret,
		  struct cairn_error *err)
{
	const char *name = !strncmp(text, "ref:", 4) ? text + 4 : text;
	char target[STORE_NAME_MAX + 1];
	struct cairn_digest whole;
	int r;

	if (!strncmp(text, "sha256:", 7) || !strncmp(text, "sha512:", 7)) {
		if ((text[3] == '2' ? CAIRN_SHA256 : CAIRN_SHA512) != s->alg)
			return error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM,
					 "%s: the digests in %s are of the other algorithm", text,
					 s->path);
		return find_digest(s, text, text + 7, ret, err);
	}
	/* A whole digest cannot be a reference's name. */
	if (name == text && !cairn_digest_from_hex(text, &whole))
		return find_digest(s, text, text, ret, err);
	r = store_ref(s, STORE_IMAGES, name, target, err);
	if (r == -ENOENT)
		return name == text ? find_digest(s, text, text, ret, err)
				    : not_found(s, text, err);
	if (r < 0)
		return r;
	if (cairn_digest_from_hex(target, &whole) < 0)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "%s: refers to %s, which is no image", text, target);
	*ret = whole;
	return 0;
}

static int wrong(struct cairn_error *err, const char *hex, const char *why)
{
	return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST, "image %s: %s", hex, why);
}

int store_open_image(const struct cairn_store *s, const struct cairn_digest *id,
		     struct cairn_error *err)
{
	char hex[CAIRN_DIGEST_HEX_MAX], path[OBJECT_PATH_MAX];
	struct cairn_digest found;
	cleanup_fd int fd = -1;
	int r;

	cairn_digest_to_hex(id, hex);
	object_path(path, id->bytes, cairn_digest_size((enum cairn_alg)id->alg));
	fd = store_open_object(s, path, err);
	if (fd < 0) {
		error_prepend(err, "image %.16s…", hex);
		return fd;
	}
	r = verity_measure(fd, &found);
	if (r == -ENODATA && s->secure)
		return wrong(err, hex, "has no fs-verity, which all have in this store");
	if (r == -ENODATA || r == -EOPNOTSUPP)
		r = store_digest_fd(fd, (enum cairn_alg)id->alg, &found);
	if (r < 0)
		return error_errno(err, r, "read image %s", hex);
	if (memcmp(&found, id, sizeof(*id)))
		return wrong(err, hex, "its content does not have its digest");
	return take_fd(&fd);
}
