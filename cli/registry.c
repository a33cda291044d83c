/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The environment of registries: where podman, skopeo and docker keep credentials, certificates and mirrors.
 *
 *	credentials	$REGISTRY_AUTH_FILE alone, or: $XDG_RUNTIME_DIR/containers/auth.json
 *			(/run/containers/UID/auth.json), $XDG_CONFIG_HOME/containers/auth.json,
 *			$DOCKER_CONFIG/config.json (~/.docker), ~/.dockercfg
 *	certificates	/etc/containers/certs.d, /etc/docker/certs.d
 *	mirrors		$CONTAINERS_REGISTRIES_CONF, ~/.config/containers/registries.conf,
 *			/etc/containers/registries.conf and its .d
 *	podman's images	$CONTAINERS_STORAGE_CONF, ~/.config/containers/storage.conf,
 *			/etc/containers/storage.conf, /usr/share/containers/storage.conf; without a word there
 *			/var/lib/containers/storage, $XDG_DATA_HOME/containers/storage (~/.local/share)
 *	proxies		https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY; no_proxy, NO_PROXY
 */
#include "registry.h"

#include <pthread.h>
#include <stdio.h>

#include "place.h"
#include "progress.h"

#define AUTH_FILES_MAX 4
#define KEPT_MAX       16
#define WARNINGS_MAX   32
#define SYSTEM_CONF    "/etc/containers/registries.conf"

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* Joined and kept: in the next of a few places, which come round again after two calls of
 * registry_options(). */
static const char *join(const char *dir, const char *rest)
{
	static char *kept[KEPT_MAX];
	static unsigned int next;
	char **place = &kept[next];

	if (!dir)
		return NULL;
	next = (next + 1) % KEPT_MAX;
	free(*place);
	*place = NULL;
	if (asprintf(place, "%s%s", dir, rest) < 0)
		*place = NULL;
	return *place;
}

static size_t auth_files(const char *ret[AUTH_FILES_MAX])
{
	const char *home = variable("HOME"), *config = variable("XDG_CONFIG_HOME");
	char run[64];
	size_t nr = 0;

	snprintf(run, sizeof(run), "/run/containers/%u", geteuid());
	ret[nr] = variable("XDG_RUNTIME_DIR")
			  ? join(variable("XDG_RUNTIME_DIR"), "/containers/auth.json")
			  : join(run, "/auth.json");
	nr += ret[nr] != NULL;
	ret[nr] = config ? join(config, "/containers/auth.json")
			 : join(home, "/.config/containers/auth.json");
	nr += ret[nr] != NULL;
	ret[nr] = variable("DOCKER_CONFIG") ? join(variable("DOCKER_CONFIG"), "/config.json")
					    : join(home, "/.docker/config.json");
	nr += ret[nr] != NULL;
	ret[nr] = join(home, "/.dockercfg");
	nr += ret[nr] != NULL;
	return nr;
}

static void set_registries(const struct registry_args *a, struct cairn_oci_options *o)
{
	const char *own = join(variable("HOME"), "/.config/containers/registries.conf");

	o->registries_conf =
		a->registries_conf ? a->registries_conf : variable("CONTAINERS_REGISTRIES_CONF");
	if (o->registries_conf)
		return;
	if (own && geteuid() && !access(own, R_OK)) {
		o->registries_conf = own;
		return;
	}
	o->registries_conf = SYSTEM_CONF;
	o->registries_conf_dir = SYSTEM_CONF ".d";
}

/* Of containers-storage, where podman looks. */
static const char *storage_dir(void)
{
	if (!geteuid())
		return "/var/lib/containers/storage";
	return variable("XDG_DATA_HOME")
		       ? join(variable("XDG_DATA_HOME"), "/containers/storage")
		       : join(variable("HOME"), "/.local/share/containers/storage");
}

static const char *storage_conf(void)
{
	const char *given = variable("CONTAINERS_STORAGE_CONF");

	if (given)
		return given;
	if (geteuid())
		return join(variable("HOME"), "/.config/containers/storage.conf");
	return !access("/etc/containers/storage.conf", F_OK) ? "/etc/containers/storage.conf"
							     : "/usr/share/containers/storage.conf";
}

static const char *first_of(const char *const *names)
{
	const char *value = NULL;

	for (; *names && !value; names++)
		value = variable(*names);
	return value;
}

static int is_cancelled(void *arg)
{
	return progress_stderr.cancelled(arg);
}

/* Of the whole process, until it ends. */
static struct {
	pthread_mutex_t lock;
	char *lines[WARNINGS_MAX];
	unsigned int nr;
} warnings = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void keep_warning(void *arg, const char *host, const char *text)
{
	char *line;

	(void)arg;
	if (asprintf(&line, "%s warns: %s", host, text) < 0)
		return;
	pthread_mutex_lock(&warnings.lock);
	for (unsigned int i = 0; line && i < warnings.nr; i++) {
		if (strcmp(warnings.lines[i], line))
			continue;
		free(line);
		line = NULL;
	}
	if (line && warnings.nr < WARNINGS_MAX)
		warnings.lines[warnings.nr++] = line;
	else
		free(line);
	pthread_mutex_unlock(&warnings.lock);
}

void registry_tell_warnings(void)
{
	for (unsigned int i = 0; i < warnings.nr; i++) {
		talk("%s", warnings.lines[i]);
		free(warnings.lines[i]);
	}
	warnings.nr = 0;
}

int registry_options(const struct registry_args *a, const char *platform,
		     struct cairn_oci_options *ret)
{
	static const char *const proxies[] = {"https_proxy", "HTTPS_PROXY", "all_proxy",
					      "ALL_PROXY", NULL};
	static const char *const exceptions[] = {"no_proxy", "NO_PROXY", NULL};
	static const char *files[AUTH_FILES_MAX];
	static const char *certs[] = {NULL, "/etc/containers/certs.d", "/etc/docker/certs.d"};

	*ret = (struct cairn_oci_options){
		.flags = (a->plain_http ? CAIRN_OCI_PLAIN_HTTP : 0u) |
			 (a->insecure ? CAIRN_OCI_INSECURE : 0u),
		.platform = platform,
		.credentials = a->creds,
		.auth_file = a->authfile ? a->authfile : variable("REGISTRY_AUTH_FILE"),
		.auth_files = files,
		.nr_auth_files = auth_files(files),
		.storage_dir = storage_dir(),
		.storage_conf = storage_conf(),
		.proxy = first_of(proxies),
		.no_proxy = first_of(exceptions),
		.cancelled = is_cancelled,
		.cancelled_arg = progress_stderr.arg,
		.warn = keep_warning,
	};
	if (a->creds && !strchr(a->creds, ':'))
		return talk_usage("--creds is not USER:PASSWORD");
	certs[0] = a->cert_dir;
	ret->certs_dirs = a->cert_dir ? certs : certs + 1;
	ret->nr_certs_dirs = a->cert_dir ? 1 : 2;
	set_registries(a, ret);
	return EXIT_DONE;
}

int registry_store(const char *reference, const char *place, struct cairn_oci_options *options,
		   struct cairn_store **ret)
{
	int status = strncmp(reference, "store:", 6)
			     ? EXIT_DONE
			     : store_place_open(place, CAIRN_STORE_READ_ONLY, ret);

	options->store = *ret;
	return status;
}
