/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The -o list of `cairn mount`. */
#include "mount_options.h"

enum word_kind {
	WORD_FLAG,   /* sets @value in flags */
	WORD_CLEAR,  /* clears it */
	WORD_VERITY, /* @value: enum cairn_verity */
	WORD_DIGEST, /* hexadecimal */
	WORD_STATFS, /* image or store */
	WORD_TEXT,   /* const char * at offset @value */
	WORD_BASEDIRS,
};

#define TEXT(field) WORD_TEXT, offsetof(struct mount_args, field), "="

static const struct word {
	const char *name;
	enum word_kind kind;
	size_t value;
	const char *arg; /* NULL: takes no value */
} words[] = {
	{"basedir", WORD_BASEDIRS, 0, "="},
	{"digest", WORD_DIGEST, 0, "="},
	{"verity", WORD_VERITY, CAIRN_VERITY_REQUIRE, NULL},
	{"tryverity", WORD_VERITY, CAIRN_VERITY_TRY, NULL},
	{"noverity", WORD_VERITY, CAIRN_VERITY_OFF, NULL},
	{"upperdir", TEXT(options.upperdir)},
	{"workdir", TEXT(options.workdir)},
	{"idmap", TEXT(idmap)},
	{"ro", WORD_FLAG, CAIRN_MOUNT_READ_ONLY, NULL},
	{"rw", WORD_CLEAR, CAIRN_MOUNT_READ_ONLY, NULL},
	{"nosuid", WORD_FLAG, CAIRN_MOUNT_NOSUID, NULL},
	{"nodev", WORD_FLAG, CAIRN_MOUNT_NODEV, NULL},
	{"noexec", WORD_FLAG, CAIRN_MOUNT_NOEXEC, NULL},
	{"noatime", WORD_FLAG, CAIRN_MOUNT_NOATIME, NULL},
	{"statfs", WORD_STATFS, 0, "="},
};

const char mount_options_help[] =
	"Mount options (-o, parted by commas; a backslash makes the next character literal):\n"
	"  basedir=DIR[:DIR]...    object directories, after those of --store\n"
	"  digest=HEX              the image must have this fs-verity digest; implies verity\n"
	"  verity                  refuse to mount where contents cannot be verified\n"
	"  tryverity               verify where it can be done (default)\n"
	"  noverity                do not verify\n"
	"  upperdir=DIR            changes go there, with workdir=\n"
	"  workdir=DIR             scratch directory on the file system of upperdir\n"
	"  ro, rw                  read-only, or not (default)\n"
	"  idmap=PATH|PID          map owners by this user namespace\n"
	"  nosuid, nodev, noexec, noatime\n"
	"  statfs=image|store      whose numbers df shows (default: store)";

/* Cuts @*list at the first unescaped @sep and moves it behind; returns the part before. */
static char *cut(char **list, char sep)
{
	char *part = *list, *p = part;

	while (*p && *p != sep)
		p += *p == '\\' && p[1] ? 2 : 1;
	*list = *p ? p + 1 : NULL;
	*p = '\0';
	return part;
}

static char *unescape(char *text)
{
	char *out = text;

	for (const char *p = text; *p; p++) {
		if (*p == '\\' && p[1])
			p++;
		*out++ = *p;
	}
	*out = '\0';
	return text;
}

static int set_basedirs(char *list, struct mount_args *a)
{
	while (list) {
		char *dir = unescape(cut(&list, ':'));

		if (!*dir)
			return talk_usage("-o basedir: an empty name among the directories");
		if (a->basedirs.nr == OPT_LIST_MAX)
			return talk_usage("-o basedir: more than %d directories", OPT_LIST_MAX);
		a->basedirs.text[a->basedirs.nr++] = dir;
	}
	return EXIT_DONE;
}

static int set_statfs(const char *value, struct mount_args *a)
{
	if (!strcmp(value, "image"))
		a->options.flags |= CAIRN_MOUNT_IMAGE_STATFS;
	else if (!strcmp(value, "store"))
		a->options.flags &= ~(unsigned int)CAIRN_MOUNT_IMAGE_STATFS;
	else
		return talk_usage("-o statfs: image or store, not '%s'", value);
	return EXIT_DONE;
}

static int set_word(const struct word *w, char *value, struct mount_args *a)
{
	switch (w->kind) {
	case WORD_FLAG:
		a->options.flags |= (unsigned int)w->value;
		return EXIT_DONE;
	case WORD_CLEAR:
		a->options.flags &= ~(unsigned int)w->value;
		return EXIT_DONE;
	case WORD_VERITY:
		a->options.verity = (enum cairn_verity)w->value;
		a->verity_given = true;
		return EXIT_DONE;
	case WORD_BASEDIRS:
		return set_basedirs(value, a);
	case WORD_STATFS:
		return set_statfs(unescape(value), a);
	case WORD_DIGEST:
		if (cairn_digest_from_hex(value, &a->digest) < 0)
			return talk_usage("-o digest: 64 or 128 hexadecimal digits, not '%s'",
					  value);
		return EXIT_DONE;
	case WORD_TEXT:
		*(const char **)((char *)a + w->value) = unescape(value);
		return EXIT_DONE;
	}
	return EXIT_USAGE;
}

static int parse_word(char *text, struct mount_args *a)
{
	const size_t len = strcspn(text, "=");
	char *value = text[len] ? text + len + 1 : NULL;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const struct word *w = &words[i];

		if (strncmp(w->name, text, len) || w->name[len])
			continue;
		if (w->arg && (!value || !*value))
			return talk_usage("-o %s needs a value", w->name);
		if (!w->arg && value)
			return talk_usage("-o %s takes no value", w->name);
		return set_word(w, value, a);
	}
	return talk_usage("unknown mount option '%s'", text);
}

int mount_options_parse(char *list, struct mount_args *a)
{
	while (list) {
		char *text = cut(&list, ',');
		int status = *text ? parse_word(text, a) : EXIT_DONE;

		if (status != EXIT_DONE)
			return status;
	}
	return EXIT_DONE;
}
