/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* From the caller's options about registries to those of the room. */
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "api/oci-internal.h"

static const struct cairn_oci_options none;

static char *keep(struct oci_context *c, unsigned int i, const char *text)
{
	c->texts[i] = text ? strdup(text) : NULL;
	return c->texts[i];
}

static char **keep_all(const char *const *texts, size_t nr)
{
	char **copy = (char **)calloc(nr + 1, sizeof(*copy));

	for (size_t i = 0; copy && i < nr; i++)
		copy[i] = strdup(texts[i]);
	return copy;
}

static void free_all(char **texts)
{
	for (size_t i = 0; texts && texts[i]; i++)
		free(texts[i]);
	free(texts);
}

static int set_platform(struct oci_context *c, const char *platform, struct cairn_error *err)
{
	struct utsname name;

	c->platform_given = platform != NULL;
	if (platform)
		return oci_platform_parse(platform, &c->platform, err);
	if (uname(&name) < 0)
		return error_errno(err, -errno, "uname");
	oci_platform_of_machine(&c->platform, name.machine);
	return 0;
}

static int set_auth(struct oci_context *c, const struct cairn_oci_options *o,
		    struct cairn_error *err)
{
	const char *const *files = o->auth_file ? &o->auth_file : o->auth_files;
	size_t nr = o->auth_file ? 1 : o->nr_auth_files;

	if (o->auth_file && access(o->auth_file, F_OK) < 0)
		return error_errno(err, -errno, "%s", o->auth_file);
	c->auth_files = keep_all(files, nr);
	c->certs_dirs = keep_all(o->certs_dirs, o->nr_certs_dirs);
	if (!c->auth_files || !c->certs_dirs)
		return error_errno(err, -ENOMEM, "options");
	c->registry.auth_files = (const char *const *)c->auth_files;
	c->registry.nr_auth_files = nr;
	c->registry.certs_dirs = (const char *const *)c->certs_dirs;
	c->registry.nr_certs_dirs = o->nr_certs_dirs;
	return 0;
}

static bool is_cancelled(void *arg)
{
	const struct oci_context *c = (const struct oci_context *)arg;

	return c->cancelled && c->cancelled(c->cancelled_arg);
}

int oci_context_init(struct oci_context *c, const struct cairn_oci_options *options,
		     struct cairn_error *err)
{
	const struct cairn_oci_options *o = options ? options : &none;
	int r;

	*c = (struct oci_context){0};
	if (o->flags & ~(unsigned int)(CAIRN_OCI_PLAIN_HTTP | CAIRN_OCI_INSECURE))
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "unknown flags");
	c->registry.plain_http = o->flags & CAIRN_OCI_PLAIN_HTTP;
	c->registry.insecure = o->flags & CAIRN_OCI_INSECURE;
	c->registry.credentials = keep(c, 0, o->credentials);
	c->registry.http.proxy = keep(c, 1, o->proxy);
	c->registry.http.no_proxy = keep(c, 2, o->no_proxy);
	c->cancelled = o->cancelled;
	c->cancelled_arg = o->cancelled_arg;
	c->registry.http.cancelled = is_cancelled;
	c->registry.http.cancelled_arg = c;
	c->registry.warn = o->warn;
	c->registry.warn_arg = o->warn_arg;
	r = set_platform(c, o->platform, err);
	if (r == 0)
		r = set_auth(c, o, err);
	if (r == 0)
		r = registries_read(&c->registries, o->registries_conf, o->registries_conf_dir,
				    err);
	if (r < 0) {
		oci_context_fini(c);
		return r;
	}
	c->registry.registries = &c->registries;
	return 0;
}

void oci_context_fini(struct oci_context *c)
{
	registries_fini(&c->registries);
	for (size_t i = 0; i < ARRAY_SIZE(c->texts); i++)
		free(c->texts[i]);
	free_all(c->auth_files);
	free_all(c->certs_dirs);
	*c = (struct oci_context){0};
}
