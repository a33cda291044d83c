/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Finding the image that a command line names. */
#include "image.h"

#include <errno.h>
#include <fcntl.h>

#include "place.h"
#include "source.h"

static bool is_store_only(const char *name)
{
	return !strncmp(name, "ref:", 4) || !strncmp(name, "sha256:", 7) ||
	       !strncmp(name, "sha512:", 7);
}

static bool is_path_only(const char *name)
{
	return name[0] == '/' || !strncmp(name, "./", 2) || !strncmp(name, "../", 3) ||
	       !strcmp(name, ".") || !strcmp(name, "..") || !*name;
}

/* Looks in one store. Returns 1: found; 0: not there; or a negative errno with words. */
static int look_in(const char *path, const char *name, struct image_found *ret,
		   struct cairn_error *err)
{
	struct cairn_store *store cleanup_store = NULL;
	struct cairn_digest digest, given;
	int r = cairn_store_open(path, CAIRN_STORE_READ_ONLY, &store, err);

	if (r < 0)
		return r;
	r = cairn_store_resolve(store, name, &digest, err);
	if (r == -ENOENT)
		return 0;
	if (!r)
		r = cairn_store_open_image(store, &digest, err);
	if (r < 0)
		return r;
	*ret = (struct image_found){.fd = r, .store = path, .digest = digest};
	if (!strncmp(name, "sha", 3) && strchr(name, ':'))
		name = strchr(name, ':') + 1;
	ret->whole = !cairn_digest_from_hex(name, &given);
	return 1;
}

static int find_in_stores(const char *name, const struct opt_list *stores, int no_file,
			  struct image_found *ret)
{
	struct cairn_error err = {0};
	const char *place = NULL;
	int r = 0;

	for (unsigned int i = 0; stores && i < stores->nr && !r; i++)
		r = look_in(stores->text[i], name, ret, &err);
	if (!stores || !stores->nr) {
		place = store_place(NULL);
		if (!place)
			return EXIT_FAILED;
		/* Nobody has asked for a store: that there is none is not what is wrong. */
		if (no_file && access(place, F_OK) < 0)
			return talk_error(no_file, NULL, name);
		r = look_in(place, name, ret, &err);
	}
	if (r < 0)
		return talk_error(r, &err, NULL);
	if (r)
		return EXIT_DONE;
	if (!place)
		place = stores->nr > 1 ? "any of the stores" : stores->text[0];
	if (no_file)
		talk("%s: no such file, and no image of this name in %s", name, place);
	else
		talk("%s: no image of this name in %s", name, place);
	return EXIT_FAILED;
}

int image_find(const char *name, const struct opt_list *stores, struct image_found *ret)
{
	int fd;

	if (is_store_only(name))
		return find_in_stores(name, stores, 0, ret);
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0) {
		*ret = (struct image_found){.fd = fd};
		return EXIT_DONE;
	}
	if (is_path_only(name) || (errno != ENOENT && errno != ENOTDIR))
		return talk_error(-errno, NULL, name);
	return find_in_stores(name, stores, -errno, ret);
}

int image_stores(const struct image_found *image, const struct opt_list *stores,
		 struct store_list *ret)
{
	struct opt_list own = {.nr = 1, .text = {image->store}};

	if (!stores->nr && image->store)
		stores = &own;
	return store_list_open(stores, ret);
}
