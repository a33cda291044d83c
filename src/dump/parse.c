/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * composefs-dump(5) text to tree.
 *
 * Only one complaint about a line is late: two lines for one name are found when a directory is
 * sorted. When any other complaint is about to be made, that one is looked for first
 * (fail_first_duplicate).
 */
#include "dump/parse.h"

#include <errno.h>

#include "dump/parse-internal.h"

DEFINE_CLEANUP(struct dump_parser *, dump_parser, dump_parser_free)

int dump_parser_new(unsigned int flags, struct dump_parser **ret)
{
	struct dump_parser *p cleanup(dump_parser) = NULL;

	p = (struct dump_parser *)calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->flags = flags;
	p->partial = BUF_INIT(DUMP_LINE_MAX);
	p->scratch = BUF_INIT(DUMP_LINE_MAX);
	p->scratch2 = BUF_INIT(DUMP_LINE_MAX);
	if (dirs_init(&p->dirs, DUMP_LINE_MAX) < 0 || tree_new(&p->tree) < 0 ||
	    tree_shard_init(&p->shard) < 0)
		return -ENOMEM;
	*ret = take_ptr(p);
	return 0;
}

void dump_parser_free(struct dump_parser *p)
{
	if (!p)
		return;
	tree_shard_fini(&p->shard);
	tree_free(p->tree);
	dirs_fini(&p->dirs);
	buf_fini(&p->partial);
	buf_fini(&p->scratch);
	buf_fini(&p->scratch2);
	free(p);
}

/* Nodes are numbered as the lines come, one for each. */
static int fail_duplicate(struct dump_parser *p, const struct node *n, struct cairn_error *err)
{
	char path[NODE_PATH_QUOTED_MAX];

	p->line = (uint64_t)n->index + 1;
	return dump_fail(p, FIELD_PATH, err, "Can't add child%s%s",
			 p->flags & CAIRN_DUMP_COMPAT ? "" : ": there is already a line for ",
			 p->flags & CAIRN_DUMP_COMPAT ? "" : node_path_quoted(n, path));
}

/* A second line for the same name comes before any complaint about a later line. @r: the complaint
 * that is in @err. Consumes the tree. */
static int fail_first_duplicate(struct dump_parser *p, int r, struct cairn_error *err)
{
	struct node *duplicate = NULL;

	p->tree->root = p->root;
	if (!p->root || r == -ENOMEM ||
	    tree_index(p->tree, &p->shard, 1, &duplicate, NULL) != -EEXIST)
		return r;
	return fail_duplicate(p, duplicate, err);
}

int dump_parser_feed(struct dump_parser *p, const char *data, size_t size, struct cairn_error *err)
{
	const char *end = data + size;
	int r;

	/* Asked once for many lines; a NUL that was seen may be in the line that is not yet complete. */
	p->has_nul = (p->has_nul && p->partial.len) || memchr(data, '\0', size);
	while (data < end) {
		const char *lf = (const char *)memchr(data, '\n', (size_t)(end - data));
		size_t len = (size_t)((lf ? lf : end) - data);

		if (!lf || p->partial.len) {
			if (buf_put(&p->partial, data, len) < 0)
				return error_set(err, -EFBIG, CAIRN_ERROR_FORMAT,
						 "line %llu: longer than %u bytes",
						 (unsigned long long)p->line + 1, DUMP_LINE_MAX);
			if (!lf)
				return 0;
			r = dump_parse_line(p, p->partial.data, p->partial.len, err);
			p->partial.len = 0;
		} else {
			r = dump_parse_line(p, data, len, err);
		}
		if (r < 0)
			return fail_first_duplicate(p, r, err);
		data = lf + 1;
	}
	return 0;
}

/* --- the end --------------------------------------------------------------------------------- */

/* The reference resolves the last line first, so of several complaints the last counts; in order the
 * look-ups are cheap. */
int dump_resolve_links(const struct tree *t, struct node *first, unsigned int flags,
		       struct cairn_error *err)
{
	char quoted[NODE_PATH_QUOTED_MAX];
	uint32_t hint = 0;
	int r = 0;

	for (struct node *n = first, *next; n; n = next) {
		const char *path = n->link.path;
		struct node *target = path ? tree_lookup(t, path, strlen(path), &hint) : NULL;

		next = n->link.target;
		n->link.target = target;
		if (target && target != n)
			continue;
		r = -EINVAL;
		if (!path)
			error_set(err, r, CAIRN_ERROR_FORMAT, "No target path for the hardlink");
		else if (!target)
			error_set(err, r, CAIRN_ERROR_FORMAT, "No target at %s for hardlink", path);
		else
			error_set(err, r, CAIRN_ERROR_FORMAT, "Self-referential hardlink %s", path);
		if (!(flags & CAIRN_DUMP_COMPAT))
			error_prepend(err, "%s", node_path_quoted(n, quoted));
	}
	return r;
}

int dump_parser_finish(struct dump_parser *p, struct tree **ret, struct cairn_error *err)
{
	struct node *duplicate = NULL;
	int r;

	if (p->partial.len) {
		r = dump_parse_line(p, p->partial.data, p->partial.len, err);
		if (r < 0)
			return fail_first_duplicate(p, r, err);
		if (p->flags & CAIRN_DUMP_STRICT)
			return fail_first_duplicate(
				p, dump_fail(p, FIELD_NONE, err, "Missing trailing newline"), err);
	}
	if (!p->root)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "No files in dump file");

	p->tree->root = p->root;
	r = tree_index(p->tree, &p->shard, 1, &duplicate, err);
	if (r == -EEXIST)
		return fail_duplicate(p, duplicate, err);
	if (r < 0)
		return r;
	r = dump_resolve_links(p->tree, p->first_link, p->flags, err);
	if (r < 0)
		return r;
	r = tree_seal(p->tree, p->flags & CAIRN_DUMP_COMPAT, err);
	if (r < 0) {
		/* The reference finds these only when it writes the image. */
		if (err && p->flags & CAIRN_DUMP_COMPAT)
			err->kind = CAIRN_ERROR_USAGE;
		return r;
	}
	*ret = take_ptr(p->tree);
	return 0;
}
