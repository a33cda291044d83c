/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* References: which image, and where it is. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "oci/name.h"

#define NAME_MAX_LEN 255 /* host, '/' and repository; what registries accept */
#define TAG_MAX_LEN  128

static const struct {
	const char *prefix;
	enum oci_transport transport;
} transports[] = {
	{"docker://", OCI_REGISTRY},
	{"oci:", OCI_LAYOUT},
	{"oci-archive:", OCI_ARCHIVE},
	{"docker-archive:", OCI_DOCKER_ARCHIVE},
	{"dir:", OCI_DIR},
	{"tar:", OCI_TAR},
	{"containers-storage:", OCI_STORAGE},
	{"store:", OCI_STORE},
};

static bool is_lower_alnum(char c)
{
	return islower((unsigned char)c) || isdigit((unsigned char)c);
}

bool oci_tag_is_valid(const char *tag)
{
	size_t len = strlen(tag);

	if (!len || len > TAG_MAX_LEN || *tag == '.' || *tag == '-')
		return false;
	for (const char *p = tag; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("_.-", *p))
			return false;
	}
	return true;
}

/* Runs of letters and digits, joined by one of -._:@+/ or by "--". */
bool oci_layout_name_is_valid(const char *name)
{
	const char *p = name;

	if (strlen(name) > NAME_MAX_LEN)
		return false;
	for (;;) {
		const char *start = p;

		while (isalnum((unsigned char)*p))
			p++;
		if (p == start)
			return false;
		if (!*p)
			return true;
		if (p[0] == '-' && p[1] == '-')
			p += 2;
		else if (strchr("-._:@+/", *p))
			p++;
		else
			return false;
	}
}

/* Runs of a-z0-9, joined by one of ".", "_", "__" or any number of "-"; components joined by "/". */
static bool repository_is_valid(const char *name)
{
	const char *p = name;

	for (;;) {
		const char *start = p;

		while (is_lower_alnum(*p))
			p++;
		if (p == start)
			return false;
		if (!*p)
			return true;
		if (*p == '-') {
			p += strspn(p, "-");
		} else if (*p == '_') {
			p += p[1] == '_' ? 2 : 1;
		} else if (*p == '.' || *p == '/') {
			p++;
		} else {
			return false;
		}
	}
}

static bool host_is_valid(const char *host)
{
	const char *p = host;

	if (*p == '[') { /* IPv6 */
		p += 1 + strspn(p + 1, "0123456789abcdefABCDEF:.");
		if (*p != ']')
			return false;
		p++;
	} else {
		while (isalnum((unsigned char)*p) || *p == '-' || *p == '.')
			p++;
		if (p == host || *host == '-' || *host == '.')
			return false;
	}
	if (*p == ':') {
		size_t digits = strspn(p + 1, "0123456789");

		return digits >= 1 && digits <= 5 && !p[1 + digits];
	}
	return !*p;
}

static bool looks_like_host(const char *component)
{
	if (strpbrk(component, ".:[") || !strcmp(component, "localhost"))
		return true;
	for (const char *p = component; *p; p++) {
		if (isupper((unsigned char)*p))
			return true;
	}
	return false;
}

static int bad(struct cairn_error *err, const char *text, const char *why)
{
	char quoted[400];

	error_quote(text, MIN(strlen(text), (size_t)300), quoted, sizeof(quoted));
	return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "'%s' is not a reference to an image: %s",
			 quoted, why);
}

/* Cuts "@digest" off the end of @rest, if there is one. */
static int take_digest(char *rest, struct oci_reference *ref)
{
	char *at = strrchr(rest, '@');

	if (!at)
		return 0;
	if (!oci_digest_is_valid(at + 1))
		return -EINVAL;
	*at = '\0';
	ref->digest = strdup(at + 1);
	return ref->digest ? 0 : -ENOMEM;
}

static int take_tag(char *rest, struct oci_reference *ref)
{
	char *colon = strrchr(rest, ':');

	if (!colon || strchr(colon, '/'))
		return 0;
	if (!oci_tag_is_valid(colon + 1))
		return -EINVAL;
	*colon = '\0';
	ref->tag = strdup(colon + 1);
	return ref->tag ? 0 : -ENOMEM;
}

static int parse_registry(const char *text, const char *body, struct oci_reference *ref,
			  struct cairn_error *err)
{
	char *rest cleanup_free = strdup(body), *slash;
	const char *host = "docker.io", *name;

	if (!rest)
		return error_errno(err, -ENOMEM, "reference");
	if (take_digest(rest, ref) < 0)
		return bad(err, text, "what follows '@' is not a digest");

	slash = strchr(rest, '/');
	name = rest;
	if (slash) {
		*slash = '\0';
		if (looks_like_host(rest)) {
			host = rest;
			name = slash + 1;
		} else {
			*slash = '/';
		}
	}
	if (take_tag((char *)name, ref) < 0)
		return bad(err, text, "what follows the last ':' is not a tag");
	if (*body == '/' || *body == '.')
		return bad(err, text, "a path needs a kind in front, such as oci:");
	if (!host_is_valid(host))
		return bad(err, text, "there is no such host name");
	if (!repository_is_valid(name))
		return bad(err, text, "the name may have a-z 0-9 and . _ - / between them");
	if (strlen(host) + 1 + strlen(name) > NAME_MAX_LEN)
		return bad(err, text, "it is longer than 255 bytes");

	if (!strcasecmp(host, "index.docker.io") || !strcasecmp(host, "registry-1.docker.io"))
		host = "docker.io";
	ref->host = strdup(host);
	if (!strcmp(host, "docker.io") && !strchr(name, '/')) {
		if (asprintf(&ref->name, "library/%s", name) < 0)
			ref->name = NULL;
	} else {
		ref->name = strdup(name);
	}
	ref->tag_implied = !ref->tag && !ref->digest;
	if (ref->tag_implied)
		ref->tag = strdup("latest");
	return ref->host && ref->name && (ref->tag || ref->digest)
		       ? 0
		       : error_errno(err, -ENOMEM, "reference");
}

/* "PATH[:NAME][@DIGEST]". The name follows the last ':' that has no '/' behind it. */
static int parse_layout(const char *text, const char *body, struct oci_reference *ref,
			struct cairn_error *err)
{
	char *rest cleanup_free = strdup(body), *colon, *at;

	if (!rest)
		return error_errno(err, -ENOMEM, "reference");
	/* A path may have '@' in it: only a whole digest at the end is one. */
	at = strrchr(rest, '@');
	if (at && oci_digest_is_valid(at + 1) && take_digest(rest, ref) < 0)
		return error_errno(err, -ENOMEM, "reference");
	colon = strrchr(rest, ':');
	if (colon && !strchr(colon, '/')) {
		*colon = '\0';
		if (!oci_layout_name_is_valid(colon + 1))
			return bad(err, text,
				   "what follows the last ':' is not the name of an image");
		ref->tag = strdup(colon + 1);
	}
	if (!*rest)
		return bad(err, text, "the path is missing");
	ref->path = take_ptr(rest);
	return 0;
}

/* "FILE[:NAME]" or "FILE[:@N]"; the name follows the first ':' and may have more of them. */
static int parse_docker_archive(const char *text, const char *body, struct oci_reference *ref,
				struct cairn_error *err)
{
	const char *colon = strchr(body, ':');
	char *end;

	ref->path = colon ? strndup(body, (size_t)(colon - body)) : strdup(body);
	if (!ref->path)
		return error_errno(err, -ENOMEM, "reference");
	if (!*ref->path)
		return bad(err, text, "the path is missing");
	if (!colon)
		return 0;
	if (colon[1] == '@') {
		ref->index = isdigit((unsigned char)colon[2]) ? strtol(colon + 2, &end, 10) : -1;
		if (ref->index < 0 || *end)
			return bad(err, text, "what follows ':@' is not a number");
		return 0;
	}
	if (!colon[1])
		return bad(err, text, "the name of an image must follow ':'");
	ref->tag = strdup(colon + 1);
	return ref->tag ? 0 : error_errno(err, -ENOMEM, "reference");
}

/* "[DIR]NAME" with the brackets, or NAME. */
static int parse_storage(const char *text, const char *body, struct oci_reference *ref,
			 struct cairn_error *err)
{
	if (*body == '[') {
		const char *end = strchr(body, ']');

		if (!end || end == body + 1)
			return bad(err, text, "the directory in [] is not complete");
		ref->path = strndup(body + 1, (size_t)(end - body) - 1);
		body = end + 1;
	}
	if (!*body)
		return bad(err, text, "the name of an image is missing");
	ref->tag = strdup(body);
	return 0;
}

int oci_reference_parse(const char *text, struct oci_reference *ret, struct cairn_error *err)
{
	struct oci_reference ref = {.transport = OCI_REGISTRY, .index = -1};
	const char *body = text;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(transports); i++) {
		size_t len = strlen(transports[i].prefix);

		if (strncmp(text, transports[i].prefix, len))
			continue;
		ref.transport = transports[i].transport;
		body = text + len;
	}
	switch (ref.transport) {
	case OCI_REGISTRY:
		r = parse_registry(text, body, &ref, err);
		break;
	case OCI_LAYOUT:
	case OCI_ARCHIVE:
		r = parse_layout(text, body, &ref, err);
		break;
	case OCI_DOCKER_ARCHIVE:
		r = parse_docker_archive(text, body, &ref, err);
		break;
	case OCI_STORAGE:
		r = parse_storage(text, body, &ref, err);
		break;
	case OCI_STORE:
		ref.tag_implied = !*body;
		ref.tag = *body ? strdup(body) : NULL;
		break;
	case OCI_DIR:
	case OCI_TAR:
		ref.path = strdup(body);
		if (!*body)
			r = bad(err, text, "the path is missing");
		break;
	}
	if (r < 0) {
		oci_reference_fini(&ref);
		return r;
	}
	*ret = ref;
	return 0;
}

void oci_reference_fini(struct oci_reference *ref)
{
	free(ref->path);
	free(ref->host);
	free(ref->name);
	free(ref->tag);
	free(ref->digest);
	*ref = (struct oci_reference){.index = -1};
}

char *oci_reference_format(const struct oci_reference *ref)
{
	const char *prefix = "", *tag = ref->tag ? ref->tag : "";
	char *text = NULL;
	int n;

	for (size_t i = 0; i < ARRAY_SIZE(transports); i++) {
		if (transports[i].transport == ref->transport)
			prefix = transports[i].prefix;
	}
	if (ref->transport == OCI_REGISTRY)
		n = asprintf(&text, "%s%s/%s%s%s%s%s", prefix, ref->host, ref->name,
			     ref->tag ? ":" : "", tag, ref->digest ? "@" : "",
			     ref->digest ? ref->digest : "");
	else if (ref->transport == OCI_STORAGE)
		n = asprintf(&text, "%s%s%s%s%s", prefix, ref->path ? "[" : "",
			     ref->path ? ref->path : "", ref->path ? "]" : "", tag);
	else if (ref->transport == OCI_STORE)
		n = asprintf(&text, "%s%s", prefix, tag);
	else if (ref->index >= 0)
		n = asprintf(&text, "%s%s:@%lld", prefix, ref->path, (long long)ref->index);
	else
		n = asprintf(&text, "%s%s%s%s%s%s", prefix, ref->path, ref->tag ? ":" : "", tag,
			     ref->digest ? "@" : "", ref->digest ? ref->digest : "");
	return n < 0 ? NULL : text;
}
