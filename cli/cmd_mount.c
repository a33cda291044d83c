/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn mount: an image on a directory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "cmd.h"
#include "mount_fuse.h"
#include "mount_request.h"
#include "mounts.h"
#include "source.h"

struct args {
	struct mount_wishes wishes;
	bool json, verbose, spec, foreground;
};

static const struct opt opts[] = {
	MOUNT_WISH_OPTS(struct args, wishes),
	OPT_BOOL(struct args, foreground, 'f', "foreground", 1,
		 "if a process serves it: do not return before it is unmounted"),
	OPT_BOOL(struct args, spec, 0, "spec", 1, "mount nothing, print what would be"),
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

static int mount_it(const struct args *a, struct mount_request *m, int fd, const char *image,
		    const char *target)
{
	struct job job = {.args = a,
			  .image = image,
			  .target = target,
			  .backend = mount_request_backend(m),
			  .checked = m->check};

	if (job.backend == CAIRN_BACKEND_KERNEL)
		return mount_kernel(&job, &m->mount, fd);
	if (job.backend == CAIRN_BACKEND_FUSE && a->wishes.require == CAIRN_ENFORCED) {
		talk("%s: 'enforced' is required, but what is served by fuse is checked at every read",
		     image);
		return EXIT_UNSUPPORTED;
	}
	return mount_fuse(&(struct mount_fuse_args){.backend = job.backend,
						    .options = &m->mount,
						    .stores = &m->stores,
						    .check = m->check,
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

/* --------------------------------------------------------------------------------------------- */

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct mount_request m cleanup_request = MOUNT_REQUEST_INIT;
	int idmap_fd cleanup_fd = -1;
	int status, nr = opt_parse(self, argc, argv, &a);

	if (nr < 0)
		return EXIT_USAGE;
	out_json = a.json;
	if (a.spec != (nr == 1))
		return talk_usage(a.spec ? "--spec needs IMAGE alone" : "needs IMAGE DIR");
	if (a.spec && a.wishes.backend > CAIRN_BACKEND_KERNEL)
		return talk_usage("--spec is about the kernel's mounts");
	status = mount_request_open(&m, &a.wishes, argv[1]);
	if (status != EXIT_DONE)
		return status;

	if (m.mount.idmap) {
		idmap_fd = open_idmap(m.mount.idmap);
		if (idmap_fd < 0)
			return talk_error(idmap_fd, NULL, m.mount.idmap);
	}
	m.mount.options.idmap_fd = idmap_fd;
	m.mount.options.image_name = argv[1];
	return a.spec ? print_spec(&m.mount, m.image.fd, argv[1])
		      : mount_it(&a, &m, m.image.fd, argv[1], argv[2]);
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
