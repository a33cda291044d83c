/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn mount: an image on a directory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "cmd.h"
#include "mount_fuse.h"
#include "mount_options.h"
#include "source.h"
#include "stores.h"

struct args {
	struct opt_list lists, stores;
	unsigned int backend; /* enum backend */
	bool json, no_check, verbose, foreground;
};

enum backend { BACKEND_DEFAULT, BACKEND_KERNEL, BACKEND_FUSE };

static const struct opt opts[] = {
	OPT_DIRS(struct args, stores, 's', "store", "DIR",
		 "store with the contents, may be given several times"),
	OPT_TEXTS(struct args, lists, 'o', "options", "OPTIONS", "mount options, see below"),
	OPT_CHOICE(struct args, backend, 0, "backend", "HOW", "kernel|fuse",
		   "who serves it: the kernel (default), or a process of ours"),
	OPT_BOOL(struct args, foreground, 'f', "foreground", 1,
		 "with fuse: serve until it is unmounted, do not return before"),
	OPT_BOOL(struct args, no_check, 0, "no-check", 1,
		 "do not check an image that no digest pins"),
	OPT_BOOL(struct args, verbose, 'v', "verbose", 1, "tell how it was mounted"),
	OPT_JSON(struct args, json),
	OPT_END,
};

/* Path or process number to a user namespace. Returns a descriptor or a negative errno. */
static int open_idmap(const char *idmap)
{
	char path[64];
	int fd;

	if (idmap[strspn(idmap, "0123456789")] == '\0') {
		snprintf(path, sizeof(path), "/proc/%.20s/ns/user", idmap);
		idmap = path;
	}
	fd = open(idmap, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

/* What is not pinned by a digest is only trusted after a look at all of it. */
static int check_image(int fd, const char *name)
{
	struct cairn_error err = {0};
	struct busy busy;
	int r, status;

	busy_start(&busy, "checking", false);
	r = cairn_image_check(fd, NULL, &err);
	busy_stop(&busy);
	if (r >= 0)
		return EXIT_DONE;
	status = talk_error(r, &err, name);
	return err.kind == CAIRN_ERROR_FORMAT ? EXIT_UNVERIFIED : status;
}

static void mounted_row(const struct args *a, const char *image, const char *target,
			const struct cairn_mount_result *res, bool checked)
{
	static const char *const keys[] = {"image",    "target",  "loop", "verity",
					   "detached", "checked", NULL};
	const struct cell cells[] = {
		cell_name(image),       cell_name(target),        cell_bool(res->loop),
		cell_bool(res->verity), cell_bool(res->detached), cell_bool(checked),
	};

	out_row(keys, "", cells);
	if (a->verbose)
		out_text(&out_talk, keys,
			 res->loop ? "{image} on {target}: loop device, fs-verity: {verity}\n"
				   : "{image} on {target}: fs-verity: {verity}\n",
			 cells);
}

static int mount_image(const struct args *a, struct mount_args *m, const char *image,
		       const char *target)
{
	int fd cleanup_fd = open(image, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int idmap_fd cleanup_fd = -1;
	const bool check = !a->no_check && !m->digest.alg;
	struct cairn_mount_result res = {0};
	struct cairn_error err = {0};
	int r, status;

	if (fd < 0)
		return talk_error(-errno, NULL, image);
	if (m->idmap) {
		idmap_fd = open_idmap(m->idmap);
		if (idmap_fd < 0)
			return talk_error(idmap_fd, NULL, m->idmap);
	}
	status = check ? check_image(fd, image) : EXIT_DONE;
	if (status != EXIT_DONE)
		return status;

	m->options.idmap_fd = idmap_fd;
	r = cairn_mount(fd, target, &m->options, &res, &err);
	if (r < 0)
		return talk_error(r, &err, image);
	mounted_row(a, image, target, &res, check);
	if (!res.verity && m->options.verity == CAIRN_VERITY_TRY && !m->verity_given)
		talk("%s: mounted, but contents cannot be verified here", image);
	return EXIT_DONE;
}

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

/* The objects of a store and of its parents, at most @max of them. Returns how many. */
static size_t add_basedirs(const struct cairn_store *store, const char **out, size_t max)
{
	size_t nr = 0;

	for (const struct cairn_store *s = store; s && nr < max;
	     s = cairn_store_parent(store, (unsigned int)nr - 1))
		out[nr++] = cairn_store_objects_path(s);
	return nr;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct mount_args m = {.options.verity = CAIRN_VERITY_TRY};
	struct store_list stores cleanup_stores = {0};
	const char *basedirs[8 * OPT_LIST_MAX];
	size_t nr_basedirs = 0;
	int status;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	for (unsigned int i = 0; i < a.lists.nr; i++) {
		status = mount_options_parse((char *)a.lists.text[i], &m);
		if (status != EXIT_DONE)
			return status;
	}
	settle_digest(&m);
	if (!m.options.upperdir != !m.options.workdir)
		return talk_usage("-o upperdir and -o workdir go together");
	if (!a.stores.nr && !m.basedirs.nr)
		return talk_usage("needs --store or -o basedir=");

	status = store_list_open(&a.stores, &stores);
	if (status != EXIT_DONE)
		return status;
	if (a.backend == BACKEND_FUSE)
		return mount_fuse(&(struct mount_fuse_args){.options = &m,
							    .stores = &stores,
							    .check = !a.no_check && !m.digest.alg,
							    .foreground = a.foreground,
							    .image = argv[1],
							    .target = argv[2]});
	for (unsigned int i = 0; i < stores.nr; i++)
		nr_basedirs += add_basedirs(stores.store[i], basedirs + nr_basedirs,
					    ARRAY_SIZE(basedirs) - m.basedirs.nr - nr_basedirs);
	for (unsigned int i = 0; i < m.basedirs.nr; i++)
		basedirs[nr_basedirs++] = m.basedirs.text[i];
	m.options.basedirs = basedirs;
	m.options.nr_basedirs = nr_basedirs;
	m.options.image_name = argv[1];
	return mount_image(&a, &m, argv[1], argv[2]);
}

const struct command cmd_mount = {
	.name = "mount",
	.operands = "IMAGE DIR",
	.summary = "mount an image, verified, through the kernel",
	.more = mount_options_help,
	.opts = opts,
	.min = 2,
	.max = 2,
	.first = OPERAND_FILE,
	.others = OPERAND_DIR,
	.run = run,
};
