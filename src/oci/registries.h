/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * registries.conf, version 2: mirrors of registries, and how to speak to them.
 *
 *	[[registry]]
 *	prefix = "example.com/a"		# which names; default: location. "*.example.com" too
 *	location = "other.example/b"		# where they are instead
 *	insecure = false			# no TLS, or TLS with any certificate
 *	blocked = false
 *	mirror-by-digest-only = false
 *	[[registry.mirror]]			# tried first, in this order
 *	location = "mirror.local:5000/a"
 *	insecure = true
 *	pull-from-mirror = "all"		# or "digest-only", "tag-only"
 *
 * Of TOML what such files use: comments, tables, arrays of tables, strings, integers, booleans, arrays,
 * inline tables. Unknown names are ignored; malformed files are refused.
 */
#ifndef OCI_REGISTRIES_H
#define OCI_REGISTRIES_H

#include <cairn/error.h>

#include "base/macro.h"

#define REGISTRIES_FILE_MAX (1u << 20)
#define REGISTRIES_MAX      1024 /* registries, and mirrors of one */

enum mirror_use { MIRROR_ALL = 0, MIRROR_DIGEST_ONLY, MIRROR_TAG_ONLY };

struct registry_mirror {
	char *location;
	bool insecure;
	enum mirror_use use;
};

struct registry_rule {
	char *prefix, *location; /* each may be NULL when it is that of the other */
	bool insecure, blocked, digest_only;
	struct registry_mirror *mirrors;
	size_t nr_mirrors;
};

struct registries {
	struct registry_rule *rules;
	size_t nr_rules;
};

/* Adds what the text of a file says. Of two rules with one prefix the later counts. Returns 0; -EINVAL
 * (FORMAT), naming the line. */
int registries_parse(struct registries *r, const char *text, size_t size, struct cairn_error *err);

/* Reads @file and then every *.conf of directory @dir in the order of their names; each may be NULL or
 * missing. */
int registries_read(struct registries *r, const char *file, const char *dir,
		    struct cairn_error *err);

void registries_fini(struct registries *r);
#define cleanup_registries __attribute__((__cleanup__(registries_fini)))

/* The rule with the longest prefix of "host/name"; NULL: none. */
const struct registry_rule *registries_find(const struct registries *r, const char *host,
					    const char *name);

/* Where "host/name" is by @rule, with @location in place of the rule's prefix (which a wildcard prefix does
 * not have: then @location replaces the host). On the heap, "host/name"; NULL: no memory. */
char *registry_rule_apply(const struct registry_rule *rule, const char *location, const char *host,
			  const char *name);

#endif
