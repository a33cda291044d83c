/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * cairn bundle: what an OCI runtime (crun, runc) starts from. The image is mounted on DIR/rootfs by whoever
 * starts it; this writes DIR/config.json (OCI runtime specification 1.0).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cmd.h"
#include "image.h"

struct args {
	struct opt_list environment;
	const char *directory, *hostname;
	bool writable, terminal, network;
	char image[PATH_MAX];
};

static const struct opt opts[] = {
	OPT_TEXTS(struct args, environment, 'e', "env", "NAME=VALUE", "set a variable"),
	OPT_TEXT(struct args, directory, 'C', "cwd", "DIR", "where the command starts; default: /"),
	OPT_TEXT(struct args, hostname, 0, "hostname", "NAME", "default: cairn"),
	OPT_BOOL(struct args, writable, 0, "writable", 1,
		 "the root may be written to: it is mounted with an upper directory"),
	OPT_BOOL(struct args, network, 0, "network", 1,
		 "the network of the machine; default: none"),
	OPT_BOOL(struct args, terminal, 't', "terminal", 1, "the command gets a terminal"),
	OPT_END,
};

/* What runtimes give by themselves when they write a configuration. */
static const char *const capabilities[] = {
	"CAP_CHOWN",   "CAP_DAC_OVERRIDE",     "CAP_FOWNER",     "CAP_FSETID",
	"CAP_KILL",    "CAP_NET_BIND_SERVICE", "CAP_SETFCAP",    "CAP_SETGID",
	"CAP_SETPCAP", "CAP_SETUID",           "CAP_SYS_CHROOT",
};

static const char *const masked[] = {
	"/proc/acpi",       "/proc/kcore",       "/proc/keys",        "/proc/latency_stats",
	"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware",
};

static const char *const read_only[] = {
	"/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static const char mounts[] =
	"  \"mounts\": [\n"
	"    {\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"},\n"
	"    {\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\",\n"
	"     \"options\": [\"nosuid\", \"strictatime\", \"mode=755\", \"size=65536k\"]},\n"
	"    {\"destination\": \"/dev/pts\", \"type\": \"devpts\", \"source\": \"devpts\",\n"
	"     \"options\": [\"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\", \"mode=0620\"]},\n"
	"    {\"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": \"shm\",\n"
	"     \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"mode=1777\", \"size=65536k\"]},\n"
	"    {\"destination\": \"/dev/mqueue\", \"type\": \"mqueue\", \"source\": \"mqueue\",\n"
	"     \"options\": [\"nosuid\", \"noexec\", \"nodev\"]},\n";

/* A new sysfs shows the network of a namespace, so it can be had only with one of one's own. */
static const char sys_new[] =
	"    {\"destination\": \"/sys\", \"type\": \"sysfs\", \"source\": \"sysfs\",\n"
	"     \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"ro\"]}";
static const char sys_bound[] =
	"    {\"destination\": \"/sys\", \"type\": \"none\", \"source\": \"/sys\",\n"
	"     \"options\": [\"rbind\", \"nosuid\", \"noexec\", \"nodev\", \"ro\"]}";
static const char scratch[] =
	",\n    {\"destination\": \"/tmp\", \"type\": \"tmpfs\", \"source\": \"tmpfs\",\n"
	"     \"options\": [\"nosuid\", \"nodev\", \"mode=1777\"]},\n"
	"    {\"destination\": \"/run\", \"type\": \"tmpfs\", \"source\": \"tmpfs\",\n"
	"     \"options\": [\"nosuid\", \"nodev\", \"mode=755\"]}";

static void put_list(struct out *o, const char *before, const char *const *words, size_t nr,
		     const char *after)
{
	out_puts(o, before);
	out_puts(o, "[");
	for (size_t i = 0; i < nr; i++) {
		out_puts(o, i ? ", " : "");
		out_json_string(o, words[i], strlen(words[i]));
	}
	out_puts(o, "]");
	out_puts(o, after);
}

static void put_process(struct out *o, const struct args *a, const char *const *command, size_t nr)
{
	const char *environment[OPT_LIST_MAX + 2] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"};
	static const char *const sets[] = {"bounding", "effective", "permitted"};

	for (unsigned int i = 0; i < a->environment.nr; i++)
		environment[2 + i] = a->environment.text[i];
	out_printf(o, "  \"process\": {\n    \"terminal\": %s,\n", a->terminal ? "true" : "false");
	out_puts(o, "    \"user\": {\"uid\": 0, \"gid\": 0},\n");
	put_list(o, "    \"args\": ", command, nr, ",\n");
	put_list(o, "    \"env\": ", environment, 2 + a->environment.nr, ",\n    \"cwd\": ");
	out_json_string(o, a->directory ? a->directory : "/",
			strlen(a->directory ? a->directory : "/"));
	out_puts(o, ",\n    \"capabilities\": {\n");
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		out_printf(o, "      \"%s\": ", sets[i]);
		put_list(o, "", capabilities, ARRAY_SIZE(capabilities),
			 i + 1 < ARRAY_SIZE(sets) ? ",\n" : "\n");
	}
	out_puts(o, "    },\n    \"noNewPrivileges\": true\n  },\n");
}

static void put_linux(struct out *o, const struct args *a)
{
	out_puts(o, "  \"linux\": {\n");
	if (geteuid() != 0) {
		out_printf(
			o,
			"    \"uidMappings\": [{\"containerID\": 0, \"hostID\": %u, \"size\": 1}],\n"
			"    \"gidMappings\": [{\"containerID\": 0, \"hostID\": %u, \"size\": 1}],\n",
			geteuid(), getegid());
	}
	out_puts(
		o,
		"    \"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"ipc\"}, {\"type\": \"uts\"},"
		" {\"type\": \"mount\"}");
	if (!a->network)
		out_puts(o, ", {\"type\": \"network\"}");
	if (geteuid() != 0)
		out_puts(o, ", {\"type\": \"user\"}");
	out_puts(o, "],\n");
	put_list(o, "    \"maskedPaths\": ", masked, ARRAY_SIZE(masked), ",\n");
	put_list(o, "    \"readonlyPaths\": ", read_only, ARRAY_SIZE(read_only), "\n  }\n}\n");
}

static void put_config(struct out *o, const struct args *a, const char *const *command, size_t nr)
{
	const char *hostname = a->hostname ? a->hostname : "cairn";

	out_puts(o,
		 "{\n  \"ociVersion\": \"1.0.2\",\n  \"annotations\": {\"org.composefs.image\": ");
	out_json_string(o, a->image, strlen(a->image));
	out_puts(o, "},\n");
	put_process(o, a, command, nr);
	out_printf(o, "  \"root\": {\"path\": \"rootfs\", \"readonly\": %s},\n  \"hostname\": ",
		   a->writable ? "false" : "true");
	out_json_string(o, hostname, strlen(hostname));
	out_puts(o, ",\n");
	out_puts(o, mounts);
	out_puts(o, a->network ? sys_bound : sys_new);
	if (!a->writable)
		out_puts(o, scratch);
	out_puts(o, "\n  ],\n");
	put_linux(o, a);
}

static int write_config(int dir, const struct args *a, const char *const *command, size_t nr)
{
	char buffer[4096];
	struct out o = {.fd = openat(dir, "config.json",
				     O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644),
			.size = sizeof(buffer),
			.data = buffer};
	int r;

	if (o.fd < 0)
		return -errno;
	put_config(&o, a, command, nr);
	r = out_flush(&o);
	close(o.fd);
	if (r < 0)
		(void)unlinkat(dir, "config.json", 0);
	return r;
}

/* Notes which image it is for. */
static int look_at(const char *image, struct args *a)
{
	struct image_found found cleanup_image = {.fd = -1};
	const int status = image_find(image, NULL, &found);

	if (status != EXIT_DONE)
		return status;
	if (cairn_image_probe(found.fd) < 0) {
		talk("%s: not a composefs image", image);
		return EXIT_UNVERIFIED;
	}
	/* A file by its path, one in a store by its name there. */
	if (found.store || !realpath(image, a->image))
		snprintf(a->image, sizeof(a->image), "%s", image);
	return EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	static const char *const shell[] = {"/bin/sh"};
	struct args a = {0};
	const int nr = opt_parse(self, argc, argv, &a);
	int dir cleanup_fd = -1;
	int r, status;

	if (nr < 0)
		return EXIT_USAGE;
	status = look_at(argv[1], &a);
	if (status != EXIT_DONE)
		return status;
	if (mkdir(argv[2], 0755) < 0 && errno != EEXIST)
		return talk_error(-errno, NULL, argv[2]);
	dir = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return talk_error(-errno, NULL, argv[2]);
	if (mkdirat(dir, "rootfs", 0755) < 0 && errno != EEXIST)
		return talk_error(-errno, NULL, "rootfs");
	r = nr > 2 ? write_config(dir, &a, (const char *const *)argv + 3, (size_t)nr - 2)
		   : write_config(dir, &a, shell, 1);
	return r < 0 ? talk_error(r, NULL, "config.json") : EXIT_DONE;
}

const struct command cmd_bundle = {
	.name = "bundle",
	.operands = "IMAGE DIR [--] [COMMAND [ARGUMENT]...]",
	.summary = "write a bundle for an OCI runtime",
	.notes =
		"Options end at DIR. Before it is started, the image is mounted on DIR/rootfs by 'cairn mount'.",
	.opts = opts,
	.min = 2,
	.max = OPERANDS_ANY,
	.first = OPERAND_FILE,
	.others = OPERAND_NONE,
	.options_end = 2,
	.run = run,
};
