/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn mount: an image on a directory. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "cmd.h"
#include "mount_fuse.h"
#include "mount_options.h"
#include "mounts.h"
#include "source.h"
#include "stores.h"

struct args {
	struct opt_list lists, stores;
	unsigned int backend; /* enum cairn_backend */
	unsigned int require, jobs;
	bool json, no_check, verbose, verify, spec, foreground;
};

/* Places in the choices of --require: enum cairn_state. */
static const char states[] = "checked|enforced";

static const struct opt opts[] = {
	OPT_DIRS(struct args, stores, 's', "store", "DIR",
		 "store with the contents, may be given several times"),
	OPT_TEXTS(struct args, lists, 'o', "options", "OPTIONS", "mount options, see below"),
	OPT_CHOICE(struct args, backend, 0, "backend", "HOW", "kernel|overlay|fuse",
		   "how it is mounted; default: what keeps the promise best"),
	OPT_BOOL(struct args, foreground, 'f', "foreground", 1,
		 "with fuse: serve until it is unmounted, do not return before"),
	OPT_CHOICE(struct args, require, 0, "require", "STATE", states,
		   "refuse to mount when it would be weaker"),
	OPT_BOOL(struct args, verify, 0, "verify", 1,
		 "verify all contents now, where the kernel will not"),
	OPT_BOOL(struct args, no_check, 0, "no-check", 1,
		 "do not check an image that no digest pins"),
	OPT_BOOL(struct args, spec, 0, "spec", 1, "mount nothing, print what would be"),
	OPT_COUNT(struct args, jobs, 'j', "jobs", 1024, "threads for verifying"),
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

/* --- mounting -------------------------------------------------------------------------------- */

/* What is to be mounted, by which backend, for whom it is told. */
struct job {
	const struct args *args;
	const char *image, *target;
	enum cairn_backend backend;
	bool checked; /* the image was to be */
};

static int report(void *arg, const struct cairn_mount_result *res, pid_t server)
{
	static const char *const keys[] = {"image",
					   "target",
					   "backend",
					   "state",
					   "image_state",
					   "contents",
					   "digest",
					   "format",
					   "loop",
					   "verity",
					   "detached",
					   "checked",
					   "remembered",
					   "objects_verified",
					   "objects_remembered",
					   "pid",
					   NULL};
	const struct job *job = (const struct job *)arg;
	const struct cell cells[] = {
		cell_name(job->image),
		cell_name(job->target),
		cell_word(backend_word(job->backend)),
		cell_word(state_word(res->state)),
		cell_word(state_word(res->image)),
		cell_word(state_word(res->contents)),
		cell_digest(&res->digest),
		cell_number((uint64_t)res->format),
		cell_bool(res->loop),
		cell_bool(res->verity),
		cell_bool(res->detached),
		cell_bool(job->checked),
		cell_bool(res->image_remembered),
		cell_number(res->objects_verified),
		cell_number(res->objects_remembered),
		server ? cell_number((uint64_t)server) : cell_none(),
	};

	record_write(job->target, job->image, res->format);
	out_row(keys, "", cells);
	if (job->args->verbose)
		out_text(
			&out_talk, keys,
			res->loop
				? "{image} on {target}: {state}, by the backend '{backend}' with a loop "
				  "device (image: {image_state}, contents: {contents})\n"
				: "{image} on {target}: {state}, by the backend '{backend}' "
				  "(image: {image_state}, contents: {contents})\n",
			cells);
	return out_flush(&out_result) < 0 ? EXIT_FAILED : EXIT_DONE;
}

static int mount_kernel(struct job *job, struct mount_args *m, int fd)
{
	struct cairn_mount_result res = {0};
	struct cairn_error err = {0};
	struct busy busy;
	int r;

	busy_start(&busy, m->options.flags & CAIRN_MOUNT_VERIFY_OBJECTS ? "verifying" : "checking",
		   false);
	r = cairn_mount(fd, job->target, &m->options, &res, &err);
	busy_stop(&busy);
	if (r < 0)
		return talk_error(r, &err, job->image);
	r = report(job, &res, 0);
	if (res.contents == CAIRN_UNVERIFIED && m->options.verity == CAIRN_VERITY_TRY &&
	    !m->verity_given)
		talk("%s: mounted, but contents cannot be verified here", job->image);
	return r;
}

/* That a digest implies verity is about who may mount here by the kernel. */
static enum cairn_backend choose(const struct args *a, const struct mount_args *m)
{
	struct cairn_mount_options o = m->options;

	if (a->backend)
		return (enum cairn_backend)a->backend;
	if (m->digest.alg && !m->verity_given)
		o.verity = CAIRN_VERITY_TRY;
	if (o.require == CAIRN_ENFORCED)
		o.verity = CAIRN_VERITY_REQUIRE;
	return cairn_backend_choose(&o, NULL);
}

static int mount_it(const struct args *a, struct mount_args *m, const struct store_list *stores,
		    int fd, const char *image, const char *target)
{
	const bool check = !a->no_check && !m->digest.alg;
	struct job job = {.args = a,
			  .image = image,
			  .target = target,
			  .backend = choose(a, m),
			  .checked = check};

	if (job.backend == CAIRN_BACKEND_KERNEL)
		return mount_kernel(&job, m, fd);
	if (job.backend == CAIRN_BACKEND_FUSE && a->require == CAIRN_ENFORCED) {
		talk("%s: 'enforced' is required, but what is served by fuse is checked at every read",
		     image);
		return EXIT_UNSUPPORTED;
	}
	/* Where the kernel does not verify, this backend has only the state at the time of the mount. */
	if (job.backend == CAIRN_BACKEND_OVERLAY && m->options.verity != CAIRN_VERITY_OFF)
		m->options.flags |= CAIRN_MOUNT_VERIFY_OBJECTS;
	if (job.backend == CAIRN_BACKEND_OVERLAY && !m->verity_given && m->digest.alg)
		m->options.verity = CAIRN_VERITY_TRY;
	return mount_fuse(&(struct mount_fuse_args){.backend = job.backend,
						    .options = m,
						    .stores = stores,
						    .check = check,
						    .foreground = a->foreground,
						    .image_fd = fd,
						    .image = image,
						    .target = target,
						    .report = report,
						    .arg = &job});
}

/* --- --spec ---------------------------------------------------------------------------------- */

static int layer_row(void *arg, const struct cairn_layer *l)
{
	static const char *const kinds[] = {
		[CAIRN_LAYER_IMAGE] = "image", [CAIRN_LAYER_DATA] = "data",
		[CAIRN_LAYER_UPPER] = "upper", [CAIRN_LAYER_WORK] = "work",
		[CAIRN_LAYER_STACK] = "stack",
	};
	static const char *const keys[] = {"layer", "type", "source", "options", "digest", NULL};
	const struct cell cells[] = {
		cell_word(kinds[l->kind]), cell_word(l->type),
		cell_name(l->source),      cell_names(l->options, l->nr_options),
		cell_digest(l->digest),
	};

	(void)arg;
	out_row(keys, l->type ? "{layer} {type} {source} {options}\n" : "{layer} - {source}\n",
		cells);
	return 0;
}

static int print_spec(struct mount_args *m, int fd, const char *image)
{
	struct cairn_error err = {0};
	int r = cairn_mount_layers(fd, &m->options, layer_row, NULL, NULL, &err);

	return r < 0 ? talk_error(r, &err, image) : EXIT_DONE;
}

/* --- options --------------------------------------------------------------------------------- */

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

/* STORE/cairn/verified of the first store that is not a bare one. @path: gets it. */
static const char *memory_of(const struct store_list *stores, char *path, size_t size)
{
	for (unsigned int i = 0; i < stores->nr; i++) {
		const char *objects = cairn_store_objects_path(stores->store[i]);
		const size_t len = strlen(objects);
		static const char tail[] = "/objects";

		if (len < sizeof(tail) || strcmp(objects + len - strlen(tail), tail) != 0)
			continue;
		if ((size_t)snprintf(path, size, "%.*s/cairn/verified", (int)(len - strlen(tail)),
				     objects) < size)
			return path;
	}
	return NULL;
}

static int run_with(const struct args *a, struct mount_args *m, const struct store_list *stores,
		    int fd, const char *image, const char *target)
{
	int idmap_fd cleanup_fd = -1;

	if (m->idmap) {
		idmap_fd = open_idmap(m->idmap);
		if (idmap_fd < 0)
			return talk_error(idmap_fd, NULL, m->idmap);
	}
	m->options.idmap_fd = idmap_fd;
	m->options.image_name = image;
	m->options.require = (enum cairn_state)a->require;
	m->options.jobs = jobs_of(a->jobs);
	if (!a->no_check)
		m->options.flags |= CAIRN_MOUNT_CHECK_IMAGE;
	if (a->verify || a->require == CAIRN_CHECKED)
		m->options.flags |= CAIRN_MOUNT_VERIFY_OBJECTS;
	return a->spec ? print_spec(m, fd, image) : mount_it(a, m, stores, fd, image, target);
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct mount_args m = {.options.verity = CAIRN_VERITY_TRY};
	struct store_list stores cleanup_stores = {0};
	const char *basedirs[8 * OPT_LIST_MAX];
	struct image_found image cleanup_image = {.fd = -1};
	char memory[PATH_MAX];
	size_t nr_basedirs = 0;
	int status, nr = opt_parse(self, argc, argv, &a);

	if (nr < 0)
		return EXIT_USAGE;
	out_json = a.json;
	if (a.spec != (nr == 1))
		return talk_usage(a.spec ? "--spec needs IMAGE alone" : "needs IMAGE DIR");
	for (unsigned int i = 0; i < a.lists.nr; i++) {
		status = mount_options_parse((char *)a.lists.text[i], &m);
		if (status != EXIT_DONE)
			return status;
	}
	settle_digest(&m);
	if (!m.options.upperdir != !m.options.workdir)
		return talk_usage("-o upperdir and -o workdir go together");

	status = image_find(argv[1], &a.stores, &image);
	if (status != EXIT_DONE)
		return status;
	if (!image.store && !a.stores.nr && !m.basedirs.nr)
		return talk_usage("needs --store or -o basedir=");
	status = image_stores(&image, &a.stores, &stores);
	if (status != EXIT_DONE)
		return status;
	a.no_check |= image.whole;
	if (a.spec && a.backend > CAIRN_BACKEND_KERNEL)
		return talk_usage("--spec is about the kernel's mounts");
	for (unsigned int i = 0; i < stores.nr; i++)
		nr_basedirs += add_basedirs(stores.store[i], basedirs + nr_basedirs,
					    ARRAY_SIZE(basedirs) - m.basedirs.nr - nr_basedirs);
	for (unsigned int i = 0; i < m.basedirs.nr; i++)
		basedirs[nr_basedirs++] = m.basedirs.text[i];
	m.options.basedirs = basedirs;
	m.options.nr_basedirs = nr_basedirs;
	m.options.memory = memory_of(&stores, memory, sizeof(memory));
	return run_with(&a, &m, &stores, image.fd, argv[1], argv[2]);
}

const struct command cmd_mount = {
	.name = "mount",
	.operands = "IMAGE DIR",
	.notes = "With --spec, DIR is left out.",
	.summary = "mount an image, verified",
	.more = mount_options_help,
	.opts = opts,
	.min = 1,
	.max = 2,
	.first = OPERAND_FILE,
	.others = OPERAND_DIR,
	.run = run,
};
