/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Platforms: one spelling, and which fits. */
#include "oci/platform.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "oci/document.h"

#define ZSTD_MARK "io.github.containers.compression.zstd"

struct spelling {
	const char *other, *architecture, *variant; /* variant NULL: as it is given */
};

static const struct spelling spellings[] = {
	{"x86_64", "amd64", NULL},
	{"x86-64", "amd64", NULL},
	{"i386", "386", NULL},
	{"i486", "386", NULL},
	{"i586", "386", NULL},
	{"i686", "386", NULL},
	{"aarch64", "arm64", NULL},
	{"armhf", "arm", "v7"},
	{"armel", "arm", "v6"},
	{"armv5tel", "arm", "v5"},
	{"armv6l", "arm", "v6"},
	{"armv7l", "arm", "v7"},
	{"armv8l", "arm", "v7"},
	{"mips64el", "mips64le", NULL},
	{"loongarch64", "loong64", NULL},
};

static void copy_word(char out[OCI_WORD_MAX], const char *word)
{
	size_t len = strlen(word);

	if (len >= OCI_WORD_MAX) {
		strcpy(out, "?");
		return;
	}
	for (size_t i = 0; i <= len; i++)
		out[i] = (char)tolower((unsigned char)word[i]);
}

static void normalise_variant(struct oci_platform *p)
{
	char *v = p->variant;

	if (!strcmp(p->architecture, "amd64")) {
		if (!strcmp(v, "v1"))
			*v = '\0';
	} else if (!strcmp(p->architecture, "arm64")) {
		if (!strcmp(v, "8") || !strcmp(v, "v8") || !strcmp(v, "v8.0"))
			*v = '\0';
	} else if (!strcmp(p->architecture, "arm")) {
		if (!*v || !strcmp(v, "7"))
			strcpy(v, "v7");
		else if (!strcmp(v, "5") || !strcmp(v, "6") || !strcmp(v, "8"))
			snprintf(v, OCI_WORD_MAX, "v%c", *v);
	}
}

void oci_platform_set(struct oci_platform *p, const char *os, const char *architecture,
		      const char *variant)
{
	*p = (struct oci_platform){0};
	copy_word(p->os, os);
	copy_word(p->architecture, architecture);
	copy_word(p->variant, variant);
	if (!strcmp(p->os, "macos"))
		strcpy(p->os, "darwin");
	for (size_t i = 0; i < ARRAY_SIZE(spellings); i++) {
		const struct spelling *s = &spellings[i];

		if (strcmp(p->architecture, s->other))
			continue;
		strcpy(p->architecture, s->architecture);
		if (s->variant && !*p->variant)
			strcpy(p->variant, s->variant);
		break;
	}
	normalise_variant(p);
}

void oci_platform_of_machine(struct oci_platform *p, const char *machine)
{
	oci_platform_set(p, "linux", machine, "");
}

int oci_platform_parse(const char *text, struct oci_platform *ret, struct cairn_error *err)
{
	char copy[OCI_PLATFORM_TEXT_MAX], *word[3] = {copy};
	bool bad = !*text || strlen(text) >= sizeof(copy);
	unsigned int nr = 1;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *p = copy; *p && !bad; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		bad = nr == 3 || p == word[nr - 1] || !p[1];
		if (!bad)
			word[nr++] = p + 1;
	}
	if (bad)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "'%.100s' is not a platform: [OS/]ARCHITECTURE[/VARIANT]", text);
	if (nr == 1)
		oci_platform_set(ret, "linux", word[0], "");
	else
		oci_platform_set(ret, word[0], word[1], nr == 3 ? word[2] : "");
	return 0;
}

const char *oci_platform_format(const struct oci_platform *p, char out[OCI_PLATFORM_TEXT_MAX])
{
	snprintf(out, OCI_PLATFORM_TEXT_MAX, "%s/%s%s%s", p->os, p->architecture,
		 *p->variant ? "/" : "", p->variant);
	return out;
}

/* 5 of "v5", @none of "", -1 of anything else. */
static int level_of(const char *variant, int none)
{
	if (!*variant)
		return none;
	if (variant[0] != 'v' || !isdigit((unsigned char)variant[1]) || variant[2])
		return -1;
	return variant[1] - '0';
}

unsigned int oci_platform_rank(const struct oci_platform *image, const struct oci_platform *wanted)
{
	int none = !strcmp(wanted->architecture, "arm64") ? 8 : 1, have, want;

	if (strcmp(image->os, wanted->os) || strcmp(image->architecture, wanted->architecture))
		return 0;
	if (!strcmp(image->variant, wanted->variant))
		return 100;
	have = level_of(image->variant, none);
	want = level_of(wanted->variant, none);
	if (have < 0 || want < 0 || have > want)
		return 0;
	return 10 + (unsigned int)have;
}

bool oci_platform_is_unknown(const struct oci_platform *p)
{
	return !strcmp(p->os, "unknown") || !strcmp(p->architecture, "unknown");
}

static bool is_image(const struct oci_descriptor *d)
{
	const char *type = oci_annotation(d, "vnd.docker.reference.type");
	enum oci_kind kind = oci_kind_of(d->media_type);

	if (kind != OCI_KIND_MANIFEST && kind != OCI_KIND_INDEX)
		return false;
	if (type && !strcmp(type, "attestation-manifest"))
		return false;
	return d->has_platform ? !oci_platform_is_unknown(&d->platform) : !d->artifact_type;
}

const struct oci_descriptor *oci_platform_choose(const struct oci_document *index,
						 const struct oci_platform *wanted)
{
	const struct oci_descriptor *best = NULL, *unnamed = NULL;
	unsigned int best_rank = 0, images = 0;

	for (size_t i = 0; i < index->nr_parts; i++) {
		const struct oci_descriptor *d = &index->parts[i];
		const char *zstd;
		unsigned int rank;

		if (!is_image(d))
			continue;
		images++;
		if (!d->has_platform) {
			unnamed = d;
			continue;
		}
		zstd = oci_annotation(d, ZSTD_MARK);
		rank = 4 * oci_platform_rank(&d->platform, wanted);
		if (!rank)
			continue;
		rank += !d->platform.has_features ? 2 : 0;
		rank += zstd && !strcmp(zstd, "true") ? 1 : 0;
		if (rank > best_rank) {
			best = d;
			best_rank = rank;
		}
	}
	return best ? best : images == 1 ? unnamed : NULL;
}
