/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* registries.conf. */
#include "oci/registries.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/error.h"
#include "oci/toml.h"
#include "sys/io.h"

static void rule_fini(struct registry_rule *rule)
{
	for (size_t i = 0; i < rule->nr_mirrors; i++)
		free(rule->mirrors[i].location);
	free(rule->mirrors);
	free(rule->prefix);
	free(rule->location);
}

void registries_fini(struct registries *r)
{
	for (size_t i = 0; i < r->nr_rules; i++)
		rule_fini(&r->rules[i]);
	free(r->rules);
	*r = (struct registries){0};
}

/* --- reading --------------------------------------------------------------------------------- */

struct parse {
	struct registries *registries;
	size_t first; /* of the rules of this file */
};

/* One more element of zeros in an array. NULL: no memory, or too many. */
static void *grow(void **array, size_t *nr, size_t size)
{
	char *grown = *nr < REGISTRIES_MAX ? (char *)realloc(*array, (*nr + 1) * size) : NULL;

	if (!grown)
		return NULL;
	*array = grown;
	memset(grown + *nr * size, 0, size);
	return grown + (*nr)++ * size;
}

static int replace(char **place, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*place);
	*place = copy;
	return 0;
}

static int wrong(struct cairn_error *err, const char *path, const char *what)
{
	return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s is not %s", path, what);
}

static int set_use(struct registry_mirror *m, const char *text, struct cairn_error *err)
{
	static const char *const words[] = {"all", "digest-only", "tag-only"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!strcmp(text, words[i])) {
			m->use = (enum mirror_use)i;
			return 0;
		}
	}
	return wrong(err, "pull-from-mirror", "all, digest-only or tag-only");
}

static int set_mirror(struct registry_mirror *m, enum toml_kind kind, const char *name,
		      const char *text, int64_t number, struct cairn_error *err)
{
	if (!strcmp(name, "location"))
		return kind == TOML_STRING ? replace(&m->location, text)
					   : wrong(err, name, "a string");
	if (!strcmp(name, "insecure")) {
		m->insecure = number;
		return kind == TOML_BOOLEAN ? 0 : wrong(err, name, "true or false");
	}
	if (!strcmp(name, "pull-from-mirror"))
		return kind == TOML_STRING ? set_use(m, text, err) : wrong(err, name, "a string");
	return 0;
}

static int set_rule(struct registry_rule *rule, enum toml_kind kind, const char *name,
		    const char *text, int64_t number, struct cairn_error *err)
{
	const struct {
		const char *name;
		char **text;
		bool *flag;
	} members[] = {
		{"prefix", &rule->prefix, NULL},
		{"location", &rule->location, NULL},
		{"insecure", NULL, &rule->insecure},
		{"blocked", NULL, &rule->blocked},
		{"mirror-by-digest-only", NULL, &rule->digest_only},
	};

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		if (strcmp(name, members[i].name))
			continue;
		if (members[i].text)
			return kind == TOML_STRING ? replace(members[i].text, text)
						   : wrong(err, name, "a string");
		*members[i].flag = number;
		return kind == TOML_BOOLEAN ? 0 : wrong(err, name, "true or false");
	}
	return 0;
}

static int take(void *arg, enum toml_kind kind, const char *path, const char *text, int64_t number,
		struct cairn_error *err)
{
	struct registries *all = ((struct parse *)arg)->registries;
	size_t first = ((struct parse *)arg)->first;
	struct registry_rule *rule = all->nr_rules > first ? &all->rules[all->nr_rules - 1] : NULL;
	int r = 0;

	if (!strcmp(path, "registry") && kind == TOML_ELEMENT)
		return grow((void **)&all->rules, &all->nr_rules, sizeof(*rule)) ? 0 : -ENOMEM;
	if (!strncmp(path, "registries.", 11))
		return error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED,
				 "[registries.…] is version 1 of this file");
	if (strncmp(path, "registry.", 9))
		return 0;
	if (!rule)
		return wrong(err, path, "in a [[registry]]");
	path += 9;
	if (!strcmp(path, "mirror") && kind == TOML_ELEMENT)
		return grow((void **)&rule->mirrors, &rule->nr_mirrors, sizeof(*rule->mirrors))
			       ? 0
			       : -ENOMEM;
	if (!strncmp(path, "mirror.", 7) && rule->nr_mirrors)
		r = set_mirror(&rule->mirrors[rule->nr_mirrors - 1], kind, path + 7, text, number,
			       err);
	else
		r = set_rule(rule, kind, path, text, number, err);
	return r == -ENOMEM ? error_errno(err, r, "%s", path) : r;
}

static int check_rules(const struct registries *r, size_t first, struct cairn_error *err)
{
	for (size_t i = first; i < r->nr_rules; i++) {
		const struct registry_rule *rule = &r->rules[i];

		if (!rule->prefix && !rule->location)
			return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
					 "a [[registry]] without prefix and location");
		if (rule->prefix && !strncmp(rule->prefix, "*.", 2) && !rule->prefix[2])
			return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
					 "the prefix '*.' fits nothing");
		for (size_t k = 0; k < rule->nr_mirrors; k++) {
			if (!rule->mirrors[k].location)
				return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
						 "a [[registry.mirror]] without location");
		}
	}
	return 0;
}

int registries_parse(struct registries *r, const char *text, size_t size, struct cairn_error *err)
{
	struct parse parse = {r, r->nr_rules};
	int code = toml_read(text, size, take, &parse, err);

	return code < 0 ? code : check_rules(r, parse.first, err);
}

static int read_one(struct registries *r, int dirfd, const char *path, struct cairn_error *err)
{
	struct buf text cleanup_buf = BUF_INIT(REGISTRIES_FILE_MAX + 1);
	int fd cleanup_fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY), code;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, -errno, "%s", path);
	if (buf_reserve(&text, REGISTRIES_FILE_MAX + 1) < 0)
		return error_errno(err, -ENOMEM, "%s", path);
	n = read_full(fd, text.data, REGISTRIES_FILE_MAX + 1);
	if (n < 0 || n > REGISTRIES_FILE_MAX)
		return error_errno(err, n < 0 ? (int)n : -EFBIG, "%s", path);
	code = registries_parse(r, text.data, (size_t)n, err);
	if (code < 0)
		error_prepend(err, "%s", path);
	return code;
}

static int is_conf(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 5 && entry->d_name[0] != '.' && !strcmp(entry->d_name + len - 5, ".conf");
}

/* By bytes: alphasort() follows the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int registries_read(struct registries *r, const char *file, const char *dir,
		    struct cairn_error *err)
{
	struct dirent **names = NULL;
	int code = file ? read_one(r, AT_FDCWD, file, err) : 0, nr = 0;
	int fd cleanup_fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0)
		nr = scandirat(fd, ".", &names, is_conf, by_name);
	for (int i = 0; i < nr; i++) {
		if (code == 0) {
			code = read_one(r, fd, names[i]->d_name, err);
			if (code < 0)
				error_prepend(err, "%s", dir);
		}
		free(names[i]);
	}
	free(names);
	return code;
}

/* --- looking up ------------------------------------------------------------------------------ */

static const char *prefix_of(const struct registry_rule *rule)
{
	return rule->prefix ? rule->prefix : rule->location;
}

/* Bytes of @prefix that fit "host/name", up to the end of a component; 0: it does not fit. */
static size_t fits(const char *prefix, const char *host, const char *full)
{
	size_t len = strlen(prefix), host_len = strlen(host);

	if (!strncmp(prefix, "*.", 2)) {
		const char *slash = strchr(prefix, '/');

		if (slash || host_len < len || strcasecmp(host + host_len - (len - 1), prefix + 1))
			return 0;
		return len;
	}
	if (strncmp(full, prefix, len) || (full[len] && full[len] != '/'))
		return 0;
	return len;
}

const struct registry_rule *registries_find(const struct registries *r, const char *host,
					    const char *name)
{
	const struct registry_rule *best = NULL;
	size_t best_len = 0;
	char full[600];

	snprintf(full, sizeof(full), "%s/%s", host, name);
	for (size_t i = 0; i < r->nr_rules; i++) {
		size_t len = fits(prefix_of(&r->rules[i]), host, full);

		if (len && len >= best_len) {
			best = &r->rules[i];
			best_len = len;
		}
	}
	return best;
}

char *registry_rule_apply(const struct registry_rule *rule, const char *location, const char *host,
			  const char *name)
{
	const char *prefix = prefix_of(rule);
	char full[600], *out = NULL;
	size_t len = !strncmp(prefix, "*.", 2) ? strlen(host) : strlen(prefix);

	snprintf(full, sizeof(full), "%s/%s", host, name);
	if (asprintf(&out, "%s%s", location ? location : "", location ? full + len : full) < 0)
		return NULL;
	return out;
}
