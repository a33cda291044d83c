/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* From options to a mount. */
#include "mount_request.h"

#include <stdio.h>

#include "source.h"

/* The digest pins the image, so it implies that contents are verified as well; only an outspoken
 * noverity changes that. */
static void settle_digest(struct mount_args *m)
{
	if (!m->digest.alg)
		return;
	m->options.digest = &m->digest;
	if (!m->verity_given || m->options.verity == CAIRN_VERITY_TRY)
		m->options.verity = CAIRN_VERITY_REQUIRE;
}

/* STORE/cairn/verified of the first store that is not a bare one. @path: gets it. */
static const char *memory_of(const struct store_list *stores, char *path, size_t size)
{
	static const char tail[] = "/objects";

	for (unsigned int i = 0; i < stores->nr; i++) {
		const char *objects = cairn_store_objects_path(stores->store[i]);
		const size_t len = strlen(objects);

		if (len < sizeof(tail) || strcmp(objects + len - strlen(tail), tail) != 0)
			continue;
		if ((size_t)snprintf(path, size, "%.*s/cairn/verified", (int)(len - strlen(tail)),
				     objects) < size)
			return path;
	}
	return NULL;
}

/* The objects of a store and of its parents, at most @max of them. Returns how many. */
static size_t add_basedirs(const struct cairn_store *store, const char **out, size_t max)
{
	size_t nr = 0;

	for (const struct cairn_store *s = store; s && nr < max;
	     s = cairn_store_parent(store, (unsigned int)nr - 1))
		out[nr++] = cairn_store_objects_path(s);
	return nr;
}

/* That the image was sealed when it was pulled. Its content was found to have its digest. */
static int check_seal(const struct mount_wishes *w, const struct image_found *image,
		      const char *name)
{
	struct cairn_store *store cleanup_store = NULL;
	struct cairn_error err = {0};
	int r;

	if (!image->store)
		return talk_usage("--require-seal is about images in a store, and '%s' is a file",
				  name);
	r = cairn_store_open(image->store, CAIRN_STORE_READ_ONLY, &store, &err);
	if (r < 0)
		return talk_error(r, &err, NULL);
	r = cairn_store_check_seal(store, &image->digest, w->certs.text, w->certs.nr, NULL, &err);
	return r < 0 ? talk_error(r, &err, name) : EXIT_DONE;
}

int mount_request_open(struct mount_request *r, struct mount_wishes *w, const char *name)
{
	struct cairn_mount_options *o = &r->mount.options;
	int status;

	*r = (struct mount_request){
		.wishes = w, .image.fd = -1, .mount.options.verity = CAIRN_VERITY_TRY};
	for (unsigned int i = 0; i < w->lists.nr; i++) {
		status = mount_options_parse((char *)w->lists.text[i], &r->mount);
		if (status != EXIT_DONE)
			return status;
	}
	settle_digest(&r->mount);
	if (!o->upperdir != !o->workdir)
		return talk_usage("-o upperdir and -o workdir go together");
	status = image_find(name, &w->stores, &r->image);
	if (status == EXIT_DONE && (w->require_seal || w->certs.nr))
		status = check_seal(w, &r->image, name);
	if (status != EXIT_DONE)
		return status;
	if (!r->image.store && !w->stores.nr && !r->mount.basedirs.nr)
		return talk_usage("needs --store or -o basedir=");
	status = image_stores(&r->image, &w->stores, &r->stores);
	if (status != EXIT_DONE)
		return status;
	for (unsigned int i = 0; i < r->stores.nr; i++)
		o->nr_basedirs += add_basedirs(r->stores.store[i], r->basedirs + o->nr_basedirs,
					       ARRAY_SIZE(r->basedirs) - r->mount.basedirs.nr -
						       o->nr_basedirs);
	for (unsigned int i = 0; i < r->mount.basedirs.nr; i++)
		r->basedirs[o->nr_basedirs++] = r->mount.basedirs.text[i];
	o->basedirs = r->basedirs;
	o->memory = memory_of(&r->stores, r->memory, sizeof(r->memory));
	o->idmap_fd = -1;
	o->require = (enum cairn_state)w->require;
	o->jobs = jobs_of(w->jobs);
	r->check = !w->no_check && !r->image.whole && !r->mount.digest.alg;
	if (!w->no_check && !r->image.whole)
		o->flags |= CAIRN_MOUNT_CHECK_IMAGE;
	if (w->verify || w->require == CAIRN_CHECKED)
		o->flags |= CAIRN_MOUNT_VERIFY_OBJECTS;
	return EXIT_DONE;
}

void mount_request_close(struct mount_request *r)
{
	store_list_close(&r->stores);
	if (r->image.fd >= 0)
		close(r->image.fd);
}

/* That a digest implies verity is about mounts by the kernel alone: a server compares the digest and
 * verifies without. */
static enum cairn_backend choose(const struct mount_request *r)
{
	struct cairn_mount_options o = r->mount.options;

	if (r->wishes->backend)
		return (enum cairn_backend)r->wishes->backend;
	if (r->mount.digest.alg && !r->mount.verity_given)
		o.verity = CAIRN_VERITY_TRY;
	if (o.require == CAIRN_ENFORCED)
		o.verity = CAIRN_VERITY_REQUIRE;
	return cairn_backend_choose(&o, NULL);
}

enum cairn_backend mount_request_backend(struct mount_request *r)
{
	const enum cairn_backend backend = choose(r);
	struct cairn_mount_options *o = &r->mount.options;

	if (backend != CAIRN_BACKEND_OVERLAY)
		return backend;
	/* Where the kernel does not verify, this one has only the state at the time of the mount. */
	if (o->verity != CAIRN_VERITY_OFF)
		o->flags |= CAIRN_MOUNT_VERIFY_OBJECTS;
	if (r->mount.digest.alg && !r->mount.verity_given)
		o->verity = CAIRN_VERITY_TRY;
	return backend;
}
