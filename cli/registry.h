/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Options of all commands that speak to registries, and what the environment says about them. */
#ifndef CLI_REGISTRY_H
#define CLI_REGISTRY_H

#include <cairn/oci.h>

#include "cli.h"

struct registry_args {
	const char *authfile, *creds, *registries_conf, *cert_dir;
	bool plain_http, insecure;
};

#define OPTS_REGISTRY(type, field)                                                                 \
	OPT_FILE(type, field.authfile, 0, "authfile", "FILE",                                      \
		 "credentials (default: where podman and docker keep them)"),                      \
		OPT_TEXT(type, field.creds, 0, "creds", "USER:PASSWORD",                           \
			 "credentials, instead of those in files"),                                \
		OPT_DIR(type, field.cert_dir, 0, "cert-dir", "DIR",                                \
			"certificates, in HOST:PORT/ below it"),                                   \
		OPT_FILE(type, field.registries_conf, 0, "registries-conf", "FILE",                \
			 "mirrors (default: /etc/containers/registries.conf)"),                    \
		OPT_BOOL(type, field.plain_http, 0, "plain-http", 1,                               \
			 "speak http, not https, to registries"),                                  \
		OPT_BOOL(type, field.insecure, 0, "insecure", 1,                                   \
			 "accept any certificate, or http")

#define HELP_STORE_OF "store that has store:NAME (default: see cairn.1)"

#define OPT_PLATFORM(type, field)                                                                  \
	OPT_TEXT(type, field, 'p', "platform", "PLATFORM",                                         \
		 "image for this machine, such as linux/arm64 (default: this one)")

/* How layers become an image. */
#define OPTS_PROFILE(type, profile, xattrs)                                                        \
	OPT_CHOICE(type, profile, 0, "profile", "PROFILE", "composefs|runtime",                    \
		   "whose rules: composefs (default) or runtime"),                                 \
		OPT_CHOICE(type, xattrs, 0, "xattrs", "WHICH", "allowlist|user|all",               \
			   "extended attributes that composefs keeps (default: allowlist)")

static inline enum cairn_profile profile_of_choice(unsigned int choice)
{
	return choice ? (enum cairn_profile)choice : CAIRN_PROFILE_COMPOSEFS;
}

static inline enum cairn_xattr_mode xattrs_of_choice(unsigned int choice)
{
	return choice ? (enum cairn_xattr_mode)(choice - 1) : CAIRN_XATTRS_ALLOWLIST;
}

/* What options and environment say; texts live until the call after the next. Interruption is noticed between
 * interrupt_hold() and interrupt_release(). Returns EXIT_DONE, or an exit status after telling why not. */
int registry_options(const struct registry_args *a, const char *platform,
		     struct cairn_oci_options *ret);

/* The store in which "store:NAME" is looked up: opens that at @place, or the default one, if @reference is such.
 * Returns EXIT_DONE, or an exit status after telling why not. */
int registry_store(const char *reference, const char *place, struct cairn_oci_options *options,
		   struct cairn_store **ret);

/* What registries wanted to be read, which must not get between the lines of a terminal's progress. */
void registry_tell_warnings(void);

static inline void cleanup_oci_p(struct cairn_oci **oci)
{
	cairn_oci_close(*oci);
}
#define cleanup_oci __attribute__((__cleanup__(cleanup_oci_p)))

#endif
