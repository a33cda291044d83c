/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The entries of one layer: names, parents, marks, links (oci-layers §4-§7, oci-to-tree §3-§5). */
#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "tar/layer-internal.h"

#define SLOTS_FIRST 1024

int layer_bad_entry(const struct layer_builder *b, struct cairn_error *err, int code,
		    const char *words)
{
	const struct tar_entry *e = b->entry;
	char path[NODE_PATH_QUOTED_MAX];

	error_quote(e->path, MIN(e->path_len, 120u), path, sizeof(path));
	return error_set(err, code, CAIRN_ERROR_FORMAT, "%s%s (tar header at byte %llu): %s", path,
			 e->path_len > 120 ? "..." : "", (unsigned long long)e->offset, words);
}

static int out_of_memory(struct cairn_error *err)
{
	return error_errno(err, -ENOMEM, "read the layer");
}

/* --- names ----------------------------------------------------------------------------------- */

static uint32_t name_hash(const struct name *parent, const char *text, size_t len)
{
	return (uint32_t)XXH3_64bits_withSeed(text, len, parent ? parent->hash : 0);
}

struct name *layer_find(const struct layer_builder *b, const struct name *parent, const char *text,
			size_t len)
{
	uint32_t hash = name_hash(parent, text, len);
	struct name *n;

	for (uint32_t at = hash & b->mask; (n = b->slots[at]); at = (at + 1) & b->mask)
		if (n->hash == hash && n->parent == parent && n->len == len &&
		    !memcmp(n->text, text, len))
			return n;
	return NULL;
}

static int grow_table(struct layer_builder *b)
{
	uint32_t nr = b->slots ? (b->mask + 1) * 2 : SLOTS_FIRST;
	struct name **slots = (struct name **)calloc(nr, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; b->slots && i <= b->mask; i++) {
		uint32_t at;

		if (!b->slots[i])
			continue;
		for (at = b->slots[i]->hash & (nr - 1); slots[at];)
			at = (at + 1) & (nr - 1);
		slots[at] = b->slots[i];
	}
	free(b->slots);
	b->slots = slots;
	b->mask = nr - 1;
	return 0;
}

/* The record of @text in @parent, which is made if it was never mentioned. NULL: out of memory. */
static struct name *get_name(struct layer_builder *b, struct name *parent, const char *text,
			     size_t len)
{
	struct name *n = layer_find(b, parent, text, len);
	uint32_t at;

	if (n)
		return n;
	if (b->nr_names > b->mask / 2 && grow_table(b) < 0)
		return NULL;
	n = (struct name *)arena_alloc(&b->names, sizeof(*n) + len + 1);
	if (!n)
		return NULL;
	*n = (struct name){.parent = parent,
			   .sibling = parent ? parent->children : NULL,
			   .hash = name_hash(parent, text, len),
			   .len = (uint8_t)len};
	memcpy(n->text, text, len);
	n->text[len] = '\0';
	if (parent)
		parent->children = n;
	for (at = n->hash & b->mask; b->slots[at];)
		at = (at + 1) & b->mask;
	b->slots[at] = n;
	b->nr_names++;
	return n;
}

/* Removes all that is below @top. What was removed before is not walked again: a record without inode
 * and mark has no children that have one. Returns whether there was anything. */
static bool remove_below(struct name *top)
{
	struct name *n = top->children;
	bool any = false;

	while (n) {
		struct name *next = NULL;

		if (n->inode || n->flags) {
			any |= n->inode != NULL;
			n->inode = NULL;
			n->flags = 0;
			next = n->children;
		}
		while (!next && n != top) {
			next = n->sibling;
			n = n->parent;
		}
		n = n == top && !next ? NULL : next;
	}
	return any;
}

static struct layer_file *new_inode(struct layer_builder *b, uint16_t mode)
{
	struct layer_file *f = (struct layer_file *)arena_alloc(&b->shard.arena, sizeof(*f));

	if (f)
		*f = (struct layer_file){.facts = {.mode = mode, .nlink = 1}};
	return f;
}

int layer_builder_new(enum cairn_profile profile, struct layer_builder **ret)
{
	struct layer_builder *b cleanup(layer_builder) = (struct layer_builder *)malloc(sizeof(*b));

	if (!b)
		return -ENOMEM;
	*b = (struct layer_builder){.profile = profile};
	arena_init(&b->names);
	if (tree_shard_init(&b->shard) < 0 || grow_table(b) < 0)
		return -ENOMEM;
	b->root = get_name(b, NULL, "", 0);
	if (!b->root)
		return -ENOMEM;
	b->root->inode = new_inode(b, S_IFDIR | 0755);
	if (!b->root->inode)
		return -ENOMEM;
	b->root->flags = NAME_IMPLICIT | NAME_FOR_MARKS;
	*ret = take_ptr(b);
	return 0;
}

void layer_builder_free(struct layer_builder *b)
{
	if (!b)
		return;
	tree_shard_fini(&b->shard);
	arena_fini(&b->names);
	free(b->slots);
	free(b->pending);
	free(b);
}

/* --- paths ----------------------------------------------------------------------------------- */

/* Components between any number of slashes, without `.`, joined by one. Returns the length, or a
 * negative errno with *@ret_words. */
static int normalise(const char *from, size_t len, char *to, const char **ret_words)
{
	size_t used = 0, depth = 0;

	for (size_t at = 0, end; at < len; at = end + 1) {
		for (end = at; end < len && from[end] != '/';)
			end++;
		if (end == at || (end == at + 1 && from[at] == '.'))
			continue;
		if (end - at == 2 && !memcmp(from + at, "..", 2)) {
			*ret_words = "a name with `..` in it";
			return -EINVAL;
		}
		if (end - at > TREE_NAME_MAX) {
			*ret_words = "a name of more than 255 bytes";
			return -ENAMETOOLONG;
		}
		if (used + 1 + (end - at) > TREE_PATH_MAX || ++depth > LAYER_DEPTH_MAX) {
			*ret_words = "a path of more than 4095 bytes or 2048 names";
			return -ENAMETOOLONG;
		}
		if (used)
			to[used++] = '/';
		memcpy(to + used, from + at, end - at);
		used += end - at;
	}
	to[used] = '\0';
	return (int)used;
}

/* composefs takes a path that ends in `..` for the root. */
static bool ends_in_dotdot(const struct tar_entry *e)
{
	size_t len = e->path_len;

	while (len && e->path[len - 1] == '/')
		len--;
	return len >= 2 && !memcmp(e->path + len - 2, "..", 2) &&
	       (len == 2 || e->path[len - 3] == '/');
}

/* Where a walk is. */
struct walk {
	struct name *at;
	bool hidden; /* marks of this layer hide what the layers below have here */
	unsigned int links;
};

static bool has_mark_prefix(const char *text, size_t len)
{
	return len >= LAYER_MARK_LEN && !memcmp(text, LAYER_MARK, LAYER_MARK_LEN);
}

/* A directory that only has names below it. */
static int make_implicit(struct layer_builder *b, struct walk *w, struct name *n, bool for_mark,
			 struct cairn_error *err)
{
	if (b->profile == CAIRN_PROFILE_COMPOSEFS &&
	    (w->hidden || n->flags & NAME_REMOVED || has_mark_prefix(n->text, n->len)))
		return layer_bad_entry(b, err, -ENOENT, "its directory is not there");
	n->inode = new_inode(b, S_IFDIR | 0755);
	if (!n->inode)
		return out_of_memory(err);
	/* In composefs a directory must be there for a mark, too. */
	n->flags |= NAME_IMPLICIT;
	if (for_mark && b->profile == CAIRN_PROFILE_RUNTIME)
		n->flags |= NAME_FOR_MARKS;
	return 0;
}

static int enter(struct layer_builder *b, struct walk *w, const char *text, size_t len,
		 bool for_mark, struct cairn_error *err)
{
	struct name *n;
	int r;

	if (has_mark_prefix(text, len) && b->profile == CAIRN_PROFILE_RUNTIME &&
	    !(len > 8 && !memcmp(text, LAYER_MARK LAYER_MARK, 8)))
		return layer_bad_entry(b, err, -EINVAL, "a name below a mark (.wh.)");
	n = get_name(b, w->at, text, len);
	if (!n)
		return out_of_memory(err);
	if (!n->inode) {
		r = make_implicit(b, w, n, for_mark, err);
		if (r < 0)
			return r;
		if (has_mark_prefix(text, len))
			n->flags |= NAME_HIDDEN;
	} else if (!name_is_dir(n)) {
		return S_ISLNK(n->inode->facts.mode) && b->profile == CAIRN_PROFILE_RUNTIME
			       ? 1
			       : layer_bad_entry(b, err, -ENOTDIR,
						 "what should be its directory is none");
	}
	if (!for_mark)
		n->flags &= (uint8_t)~NAME_FOR_MARKS;
	w->hidden |= n->flags & (NAME_REMOVED | NAME_OPAQUE) ? true : false;
	w->at = n;
	return 0;
}

/* Walks through symbolic links of this layer, as an unpacked one would be (profile runtime). What is
 * left to walk is @rest, the next name of it a link in @w. */
static int follow(struct layer_builder *b, struct walk *w, const char *rest, bool for_mark,
		  struct cairn_error *err)
{
	struct buf left cleanup_buf = BUF_INIT(64u << 10);
	size_t at = 0;

	if (buf_put(&left, rest, strlen(rest)) < 0)
		return out_of_memory(err);
	while (at < left.len) {
		const char *text = left.data + at;
		const char *slash = (const char *)memchr(text, '/', left.len - at);
		size_t len = slash ? (size_t)(slash - text) : left.len - at;
		struct name *n;
		int r;

		at += len + (slash != NULL);
		if (!len || (len == 1 && *text == '.'))
			continue;
		if (len == 2 && !memcmp(text, "..", 2)) {
			w->at = w->at->parent ? w->at->parent : w->at;
			continue;
		}
		if (len > TREE_NAME_MAX)
			return layer_bad_entry(b, err, -ENAMETOOLONG,
					       "a name of more than 255 bytes");
		n = layer_find(b, w->at, text, len);
		r = enter(b, w, text, len, for_mark, err);
		if (r < 0)
			return r;
		if (r == 1) {
			struct buf longer = BUF_INIT(64u << 10);
			const struct node *link = &n->inode->facts;

			if (++w->links > LAYER_LINKS_MAX)
				return layer_bad_entry(b, err, -ELOOP,
						       "more than 40 symbolic links in its path");
			r = buf_put(&longer, link->symlink.target, (size_t)link->size);
			r |= buf_put(&longer, "/", 1);
			r |= buf_put(&longer, left.data + at, left.len - at);
			if (link->symlink.target[0] == '/')
				w->at = b->root;
			buf_fini(&left);
			left = longer;
			at = 0;
			if (r < 0)
				return layer_bad_entry(b, err, -ENAMETOOLONG,
						       "symbolic links make its path too long");
		}
	}
	return 0;
}

/* The record of the directory path[0..@len), and what is on the way to it, made where they are not. */
static int find_directory(struct layer_builder *b, size_t len, bool for_mark, struct walk *w,
			  struct cairn_error *err)
{
	size_t at = 0;

	*w = (struct walk){.at = b->root, .hidden = b->root->flags & NAME_OPAQUE};
	if (!for_mark)
		b->root->flags &= (uint8_t)~NAME_FOR_MARKS;
	while (at < len) {
		const char *text = b->path + at;
		const char *slash = (const char *)memchr(text, '/', len - at);
		size_t n = slash ? (size_t)(slash - text) : len - at;
		int r = enter(b, w, text, n, for_mark, err);

		if (r < 0)
			return r;
		if (r == 1) {
			char rest[TREE_PATH_MAX + 1];

			memcpy(rest, text, len - at);
			rest[len - at] = '\0';
			return follow(b, w, rest, for_mark, err);
		}
		at += n + 1;
	}
	return 0;
}

/* --- marks ----------------------------------------------------------------------------------- */

static int add_opaque(struct layer_builder *b, struct name *dir)
{
	bool composefs = b->profile == CAIRN_PROFILE_COMPOSEFS;
	bool any = false;

	if (composefs) {
		any = remove_below(dir);
	} else {
		for (struct name *n = dir->children; n && !any; n = n->sibling)
			any = n->inode != NULL;
	}
	b->stats.order_sensitive += any;
	dir->flags |= NAME_OPAQUE;
	return 0;
}

static int add_removal(struct layer_builder *b, struct name *dir, const char *text, size_t len,
		       struct cairn_error *err)
{
	struct name *n = get_name(b, dir, text, len);

	if (!n)
		return out_of_memory(err);
	b->stats.order_sensitive += n->inode != NULL;
	if (b->profile == CAIRN_PROFILE_COMPOSEFS) {
		(void)remove_below(n);
		n->inode = NULL;
		n->flags = 0;
	}
	n->flags |= NAME_REMOVED;
	return 0;
}

/* An entry whose name begins with `.wh.`. @text: that name, in directory path[0..@dir_len). */
static int add_mark(struct layer_builder *b, const char *text, size_t len, size_t dir_len,
		    struct cairn_error *err)
{
	const char *name = text + LAYER_MARK_LEN;
	struct walk w;
	int r;

	len -= LAYER_MARK_LEN;
	if (b->profile == CAIRN_PROFILE_RUNTIME &&
	    (!len || !strcmp(name, ".") || !strcmp(name, "..")))
		return layer_bad_entry(b, err, -EINVAL, "a mark (.wh.) that names nothing");
	r = find_directory(b, dir_len, true, &w, err);
	/* All that the layers below have there is covered by what is no directory. */
	if (r == -ENOTDIR && b->profile == CAIRN_PROFILE_RUNTIME)
		return 0;
	if (r < 0)
		return r;
	if (!strcmp(text, LAYER_OPAQUE))
		return add_opaque(b, w.at);
	/* Nothing has such a name: there is nothing to remove. Others are AUFS's. */
	if (!len || !strcmp(name, ".") || !strcmp(name, "..") || has_mark_prefix(name, len))
		return 0;
	return add_removal(b, w.at, name, len, err);
}

/* --- entries --------------------------------------------------------------------------------- */

static int set_xattrs(struct layer_builder *b, struct node *n, const struct tar_entry *e,
		      struct cairn_error *err)
{
	int r;

	for (size_t i = 0; i < e->nr_xattrs; i++)
		if (e->xattrs[i].name_len >= sizeof(LAYER_XATTR_PREFIX) - 1 &&
		    !memcmp(e->xattrs[i].name, LAYER_XATTR_PREFIX, sizeof(LAYER_XATTR_PREFIX) - 1))
			return layer_bad_entry(b, err, -EINVAL,
					       "an extended attribute named " LAYER_XATTR_PREFIX
					       "*, which is reserved");
	r = tree_xattrs(&b->shard, e->xattrs, e->nr_xattrs, &n->xattrs);
	if (r == -ENOMEM)
		return out_of_memory(err);
	return r < 0 ? layer_bad_entry(b, err, r, "more extended attributes than an image can hold")
		     : 0;
}

static int set_times(struct layer_builder *b, struct node *n, const struct tar_entry *e,
		     struct cairn_error *err)
{
	bool composefs = b->profile == CAIRN_PROFILE_COMPOSEFS;

	if (composefs && e->mtime < 0)
		return layer_bad_entry(b, err, -EINVAL,
				       "a time before 1970, which profile composefs has not");
	if (!composefs && e->flags & TAR_BAD_FRACTION)
		return layer_bad_entry(b, err, -EINVAL, "the fraction of its time is no number");
	n->mtime = e->mtime;
	n->mtime_nsec = composefs ? e->first_nsec : e->mtime_nsec;
	return 0;
}

static uint32_t device_number(const struct tar_entry *e)
{
	return (e->minor & 0xff) | e->major << 8 | (e->minor & ~0xffu) << 12;
}

static uint16_t mode_of(const struct tar_entry *e, enum tar_type type)
{
	static const uint16_t types[] = {
		[TAR_FILE - '0'] = S_IFREG,      [TAR_SYMLINK - '0'] = S_IFLNK,
		[TAR_CHARDEV - '0'] = S_IFCHR,   [TAR_BLOCKDEV - '0'] = S_IFBLK,
		[TAR_DIRECTORY - '0'] = S_IFDIR, [TAR_FIFO - '0'] = S_IFIFO,
	};

	return (uint16_t)(types[type - '0'] | e->mode);
}

/* The facts of the entry into @f. */
static int set_facts(struct layer_builder *b, struct layer_file *f, enum tar_type type,
		     struct cairn_error *err)
{
	const struct tar_entry *e = b->entry;
	struct node *n = &f->facts;
	int r;

	*n = (struct node){.mode = mode_of(e, type), .uid = e->uid, .gid = e->gid, .nlink = 1};
	if (type == TAR_FILE) {
		n->size = e->size;
		b->stats.files++;
		b->stats.bytes += e->size;
	} else if (type == TAR_SYMLINK) {
		if (!e->target_len || e->target_len > TREE_PATH_MAX)
			return layer_bad_entry(b, err, -EINVAL,
					       "the target of a symbolic link has 1 to 4095 bytes");
		/* To the image specification the mode of a link is nothing. */
		if (b->profile == CAIRN_PROFILE_RUNTIME)
			n->mode = S_IFLNK | 0777;
		n->size = e->target_len;
		n->symlink.target = arena_dup(&b->shard.arena, e->target, e->target_len);
		if (!n->symlink.target)
			return out_of_memory(err);
	} else if (type == TAR_CHARDEV || type == TAR_BLOCKDEV) {
		n->device.rdev = device_number(e);
	}
	r = set_times(b, n, e, err);
	return r ? r : set_xattrs(b, n, e, err);
}

/* Gives the name a new inode in place of what it had. */
static void replace(struct layer_builder *b, struct name *n, struct layer_file *f, bool dir)
{
	if (n->inode && !(n->flags & NAME_IMPLICIT))
		b->stats.duplicates++;
	if (name_is_dir(n) && !dir)
		(void)remove_below(n);
	/* A directory behind something else of the same name: nothing of the layers below is left. */
	if (n->inode && !name_is_dir(n) && dir)
		n->flags |= NAME_REMOVED;
	n->flags &= (uint8_t) ~(NAME_IMPLICIT | NAME_FOR_MARKS);
	if (!dir)
		n->flags &= (uint8_t)~NAME_OPAQUE;
	n->inode = f;
}

static int add_plain(struct layer_builder *b, struct name *n, enum tar_type type,
		     struct layer_file **ret_file, struct cairn_error *err)
{
	struct layer_file *f = new_inode(b, 0);
	int r;

	if (!f)
		return out_of_memory(err);
	r = set_facts(b, f, type, err);
	if (r < 0)
		return r;
	replace(b, n, f, type == TAR_DIRECTORY);
	if (type == TAR_FILE && f->facts.size)
		*ret_file = f;
	return 0;
}

static int add_root(struct layer_builder *b, enum tar_type type, struct cairn_error *err)
{
	struct layer_file *f;

	if (type != TAR_DIRECTORY)
		return layer_bad_entry(b, err, -ENOTDIR, "the root can only be a directory");
	return add_plain(b, b->root, type, &f, err);
}

/* --- hard links ------------------------------------------------------------------------------ */

/* Looks for @path in this layer. Returns the record, or NULL, and then *@ret_hidden tells whether the
 * layers below cannot have it either; *@ret_wrong: something on the way is no directory. */
static struct name *look_up(const struct layer_builder *b, const char *path, bool *ret_hidden,
			    bool *ret_wrong)
{
	struct name *at = b->root;
	bool hidden = at->flags & NAME_OPAQUE;

	*ret_wrong = false;
	for (const char *text = path; *text;) {
		const char *slash = strchrnul(text, '/');
		struct name *n = layer_find(b, at, text, (size_t)(slash - text));

		/* What the name itself has, a mark beside it does not hide. */
		hidden |= n && n->flags & NAME_REMOVED;
		if (!n || !n->inode) {
			*ret_hidden = hidden;
			return NULL;
		}
		if (*slash && !name_is_dir(n)) {
			*ret_hidden = *ret_wrong = true;
			return NULL;
		}
		hidden |= *slash && n->flags & NAME_OPAQUE;
		at = n;
		text = *slash ? slash + 1 : slash;
	}
	*ret_hidden = hidden;
	return at;
}

bool layer_path_hidden(const struct layer_builder *b, const char *path)
{
	bool hidden, wrong;

	(void)look_up(b, path, &hidden, &wrong);
	return hidden && !wrong;
}

/* A hard link to what only the layers below can have. */
static int add_pending(struct layer_builder *b, struct name *n, const char *path, size_t len,
		       struct cairn_error *err)
{
	struct layer_file *f = new_inode(b, S_IFREG);

	if (b->nr_pending == b->room_pending) {
		size_t room = MAX(b->room_pending * 2, (size_t)64);
		struct layer_file **more = (struct layer_file **)realloc(
			b->pending, room * sizeof(struct layer_file *));

		if (!more)
			return out_of_memory(err);
		b->pending = more;
		b->room_pending = room;
	}
	if (f)
		f->pending = arena_dup(&b->shard.arena, path, len);
	if (!f || !f->pending)
		return out_of_memory(err);
	b->pending[b->nr_pending++] = f;
	replace(b, n, f, false);
	return 0;
}

static int add_link(struct layer_builder *b, struct name *n, const char *own,
		    struct cairn_error *err)
{
	const struct tar_entry *e = b->entry;
	char path[TREE_PATH_MAX + 1];
	const char *words = NULL;
	struct name *target;
	bool hidden, wrong;
	int len = normalise(e->target, e->target_len, path, &words);

	if (len <= 0)
		return layer_bad_entry(b, err, -EINVAL,
				       len ? "a hard link to a name that cannot be there"
					   : "a hard link to nothing, or to the root");
	target = look_up(b, path, &hidden, &wrong);
	if (target && name_is_dir(target) && !(target->flags & NAME_IMPLICIT))
		return layer_bad_entry(b, err, -EISDIR, "a hard link to a directory");
	if (b->profile == CAIRN_PROFILE_RUNTIME && !strcmp(path, own))
		return layer_bad_entry(b, err, -EINVAL, "a hard link to itself");
	if (target && target->inode && !name_is_dir(target)) {
		struct layer_file *f = target->inode;

		if (target != n)
			replace(b, n, f, false);
		return 0;
	}
	if (target)
		return layer_bad_entry(b, err, -EISDIR, "a hard link to a directory");
	if (hidden)
		return layer_bad_entry(b, err, -ENOENT,
				       wrong ? "a hard link through what is no directory"
					     : "the target of the hard link is not there");
	return add_pending(b, n, path, (size_t)len, err);
}

/* --- all ------------------------------------------------------------------------------------- */

/* The entry's type, and its path into b->path. Returns the length of the path or a negative errno. */
static int prepare(struct layer_builder *b, enum tar_type *ret_type, struct cairn_error *err)
{
	const struct tar_entry *e = b->entry;
	bool runtime = b->profile == CAIRN_PROFILE_RUNTIME;
	const char *words = NULL;
	int len;

	*ret_type = e->type;
	if (e->flags & TAR_OLD_DIRECTORY && runtime) {
		if (e->size)
			return layer_bad_entry(b, err, -EINVAL,
					       "only files have content, this has a size");
		*ret_type = TAR_DIRECTORY;
	}
	if (++b->stats.entries > LAYER_ENTRIES_MAX || b->nr_names > LAYER_ENTRIES_MAX)
		return layer_bad_entry(b, err, -EFBIG, "more than 4194304 entries in one layer");
	if (!runtime && ends_in_dotdot(e))
		return 0;
	len = normalise(e->path, e->path_len, b->path, &words);
	return words ? layer_bad_entry(b, err, len, words) : len;
}

int layer_add(struct layer_builder *b, const struct tar_entry *entry, struct layer_file **ret_file,
	      struct cairn_error *err)
{
	enum tar_type type;
	const char *text;
	struct name *n;
	struct walk w;
	size_t dir_len;
	int len, r;

	*ret_file = NULL;
	b->entry = entry;
	len = prepare(b, &type, err);
	if (len < 0)
		return len;
	if (!len)
		return add_root(b, type, err);
	text = (const char *)memrchr(b->path, '/', (size_t)len);
	dir_len = text ? (size_t)(text - b->path) : 0;
	text = text ? text + 1 : b->path;
	/* AUFS keeps its hard links in a directory that is named like a mark. */
	if (has_mark_prefix(text, strlen(text)) &&
	    !(b->profile == CAIRN_PROFILE_RUNTIME && type == TAR_DIRECTORY &&
	      !strncmp(text, LAYER_MARK LAYER_MARK, 8) && strcmp(text, LAYER_OPAQUE)))
		return add_mark(b, text, strlen(text), dir_len, err);

	r = find_directory(b, dir_len, false, &w, err);
	if (r < 0)
		return r;
	n = get_name(b, w.at, text, (size_t)len - (size_t)(text - b->path));
	if (!n)
		return out_of_memory(err);
	if (has_mark_prefix(text, n->len))
		n->flags |= NAME_HIDDEN;
	return type == TAR_HARDLINK ? add_link(b, n, b->path, err)
				    : add_plain(b, n, type, ret_file, err);
}
