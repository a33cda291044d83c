/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * An image as a tree.
 *
 * Directories are read breadth first, which is the order of inode numbers in V0 and V1. So of
 * several names of a file the one that stands where the inode's number says is the file, and the
 * others are hard links to it, wherever they are; writing the tree again gives the same image. Where
 * no name stands there (V2, other writers) the first one is the file.
 *
 * Invariants while loading:
 *  1. nodes[] has the nodes in the order in which they were found; nids[] the inode of each.
 *  2. seen[nid] is 1 + the place in nodes[] of the node that holds the inode's facts, with the flag
 *     IN_PLACE when its name stands where the inode's number says; 0 for an inode not found yet.
 *  3. Work is bounded by the size of the span: no directory is read twice, and the bytes of
 *     directories and of xattr values that were decoded have ceilings.
 *  4. maybe[] has the inodes that look like whiteouts until settle_whiteouts().
 */
#include "erofs/load-internal.h"

#define IN_PLACE (UINT32_C(1) << 31)

/* Levels of directories: far more than any path can be walked through, few enough that printing
 * every path of a hostile image ends. */
#define DEPTH_MAX 16384

/* Stored size of a special file that has an extended inode for no other reason (image-format §2). */
#define SPECIAL_SIZE (UINT64_C(1) << 32)

/* --- one inode ------------------------------------------------------------------------------------- */

/* All data of a flat inode in one piece, NUL-terminated. */
static char *copy_data(struct loader *l, const struct inode *in)
{
	size_t whole = (size_t)in->nr_blocks * BLOCK_SIZE;
	char *out = (char *)arena_alloc_aligned(&l->shard.arena, whole + in->tail_size + 1, 1);

	if (!out)
		return NULL;
	if (whole)
		memcpy(out, in->blocks, whole);
	if (in->tail_size)
		memcpy(out + whole, in->tail, in->tail_size);
	out[whole + in->tail_size] = '\0';
	return out;
}

static int load_object(struct loader *l, const struct inode *in, const struct overlay *ovl,
		       struct node *n, struct cairn_error *err)
{
	const char *payload = ovl->redirect;
	uint32_t len = ovl->redirect_len;
	char path[OBJECT_PATH_MAX];
	uint8_t *digest;

	if (len > 1 && payload[0] == '/') {
		payload++;
		len--;
	}
	if (payload && (len > TREE_PATH_MAX || memchr(payload, '\0', len)))
		return bad_inode(err, in, "its redirect is too long or has a NUL");
	if (ovl->digest) {
		digest = (uint8_t *)arena_dup(&l->shard.arena, ovl->digest, ovl->digest_size);
		if (!digest)
			return out_of_memory(err);
		n->file.digest = digest;
		n->flags |= ovl->digest_size == 32 ? NODE_SHA256 : NODE_SHA512;
		if (payload && len == 2 * ovl->digest_size + 1) {
			object_path(path, digest, ovl->digest_size);
			if (!memcmp(path, payload, len)) {
				n->flags |= NODE_OBJECT_PATH;
				return 0;
			}
		}
	}
	if (len) {
		n->file.payload = arena_dup(&l->shard.arena, payload, len);
		if (!n->file.payload)
			return out_of_memory(err);
	}
	return 0;
}

static void make_whiteout(struct node *n)
{
	n->mode = (uint16_t)(S_IFCHR | (n->mode & 07777));
	n->size = 0;
	n->device.rdev = 0;
}

static int load_regular(struct loader *l, const struct inode *in, const struct overlay *ovl,
			struct node *n, struct cairn_error *err)
{
	bool compat = l->flags & CAIRN_LOAD_COMPAT;

	if (ovl->whiteout && compat) {
		make_whiteout(n);
		return 0;
	}
	/* What its directory says decides (settle_whiteouts). */
	if (ovl->whiteout && ovl->user_whiteout &&
	    buf_put(&l->maybe, &in->nid, sizeof(in->nid)) < 0)
		return out_of_memory(err);
	if (!n->size)
		return 0;
	if (in->layout == LAYOUT_CHUNK)
		return load_object(l, in, ovl, n, err);
	if (n->size > TREE_CONTENT_MAX)
		return bad_inode(err, in, "more than 5000 bytes of inline content");
	n->flags |= NODE_INLINE;
	n->inl.content = (uint8_t *)copy_data(l, in);
	return n->inl.content ? 0 : out_of_memory(err);
}

static int load_symlink(struct loader *l, const struct inode *in, struct node *n,
			struct cairn_error *err)
{
	if (in->layout == LAYOUT_CHUNK || !n->size || n->size > TREE_PATH_MAX)
		return bad_inode(err, in, "the target of a symbolic link has 1 to 4095 bytes");
	n->symlink.target = copy_data(l, in);
	if (!n->symlink.target)
		return out_of_memory(err);
	if (strlen(n->symlink.target) != n->size)
		return bad_inode(err, in, "the target of a symbolic link has a NUL");
	return 0;
}

/* A record that is larger than it need be tells that the size was. */
static bool was_large(const struct image *img, const struct inode *in)
{
	return img->format != CAIRN_FORMAT_V2 && in->extended && in->mtime == img->build_time &&
	       in->mtime_nsec == img->build_nsec && in->nlink <= UINT16_MAX &&
	       in->uid <= UINT16_MAX && in->gid <= UINT16_MAX;
}

/* A directory gets its xattrs at the end (load_directory_xattrs). */
static int fill_node(struct loader *l, const struct inode *in, struct node *n,
		     struct cairn_error *err)
{
	struct overlay ovl = {0};
	int r;

	n->mode = in->mode;
	n->nlink = in->nlink;
	n->uid = in->uid;
	n->gid = in->gid;
	n->size = in->size;
	n->mtime = in->mtime;
	n->mtime_nsec = in->mtime_nsec;
	if (!S_ISDIR(in->mode)) {
		r = load_xattrs(l, in, false, &n->xattrs, &ovl, err);
		if (r < 0)
			return r;
	}

	switch (in->mode & S_IFMT) {
	case S_IFREG:
		return load_regular(l, in, &ovl, n, err);
	case S_IFLNK:
		return load_symlink(l, in, n, err);
	case S_IFDIR:
		if (in->layout == LAYOUT_CHUNK)
			return bad_inode(err, in, "a directory without data of its own");
		return 0;
	case S_IFCHR:
	case S_IFBLK:
		n->device.rdev = in->u;
		n->size = was_large(l->img, in) ? SPECIAL_SIZE : 0;
		return 0;
	case S_IFIFO:
	case S_IFSOCK:
		n->size = was_large(l->img, in) ? SPECIAL_SIZE : 0;
		return 0;
	default:
		return bad_inode(err, in, "unknown file type");
	}
}

/* --- names ----------------------------------------------------------------------------------------- */

static struct node *node_at(const struct loader *l, uint32_t i)
{
	return ((struct node **)(void *)l->nodes.data)[i];
}

static bool is_filtered_out(const struct loader *l, const struct node *dir,
			    const struct image_dirent *d)
{
	if (!l->filter || dir->parent)
		return false;
	for (const char *const *name = l->filter; *name; name++)
		if (strlen(*name) == d->name_len && !memcmp(*name, d->name, d->name_len))
			return false;
	return true;
}

/* The writer's whiteouts in the root (image-format §4.5); the reference takes any device 0:0 for
 * one. */
static bool is_stub(const struct loader *l, const struct node *dir, const struct image_dirent *d,
		    const struct inode *in)
{
	static const char digits[] = "0123456789abcdef";

	if (l->img->format == CAIRN_FORMAT_V2 || !S_ISCHR(in->mode) || in->u)
		return false;
	if (l->flags & CAIRN_LOAD_COMPAT)
		return true;
	return !dir->parent && d->name_len == 2 && memchr(digits, d->name[0], 16) &&
	       memchr(digits, d->name[1], 16);
}

static struct node *add_node(struct loader *l, struct node *parent, const char *name, uint32_t len,
			     uint32_t nid)
{
	struct node *n = tree_add(&l->shard, parent, name, len);

	if (!n || buf_put(&l->nodes, &n, sizeof(n)) < 0 || buf_put(&l->nids, &nid, sizeof(nid)) < 0)
		return NULL;
	return n;
}

/* Another name of an inode that was found before. */
static int add_name(struct loader *l, const struct inode *in, struct node *n,
		    struct cairn_error *err)
{
	uint32_t *seen = &l->seen[in->nid];
	struct node *file = node_at(l, (*seen & ~IN_PLACE) - 1);

	if (S_ISDIR(in->mode) && !(l->flags & CAIRN_LOAD_COMPAT))
		return bad_inode(err, in, "a directory with more than one name");
	if (!S_ISDIR(in->mode) && in->ino == l->next_ino && !(*seen & IN_PLACE)) {
		const char *name = n->name;
		struct node *parent = n->parent, *next = n->next;
		uint32_t index = n->index;
		uint8_t name_len = n->name_len;

		/* The facts move here, and the name before becomes a link. */
		*n = *file;
		n->name = name;
		n->name_len = name_len;
		n->parent = parent;
		n->next = next;
		n->index = index;
		file->flags = NODE_HARDLINK;
		file->link.target = n;
		*seen = (n->index + 1) | IN_PLACE;
		l->next_ino++;
		return 0;
	}
	n->mode = in->mode;
	n->flags = NODE_HARDLINK;
	n->link.target = file;
	return 0;
}

static int load_entry(struct loader *l, struct node *dir, const struct image_dirent *d,
		      struct cairn_error *err)
{
	struct inode in;
	struct node *n;
	int r;

	if (d->name_len <= 2 && d->name[0] == '.' && d->name[d->name_len - 1] == '.')
		return 0;
	r = image_inode(l->img, d->nid, &in, err);
	if (r < 0)
		return r;
	if (is_stub(l, dir, d, &in)) {
		l->next_ino++;
		return 0;
	}
	if (is_filtered_out(l, dir, d))
		return 0;
	n = add_node(l, dir, d->name, d->name_len, in.nid);
	if (!n)
		return out_of_memory(err);
	if (l->seen[in.nid])
		return add_name(l, &in, n, err);

	l->seen[in.nid] = n->index + 1;
	if (in.ino == l->next_ino) {
		l->seen[in.nid] |= IN_PLACE;
		l->next_ino++;
	}
	return fill_node(l, &in, n, err);
}

static int load_directory(struct loader *l, uint32_t i, struct cairn_error *err)
{
	struct node *dir = node_at(l, i);
	uint32_t nid = ((const uint32_t *)(const void *)l->nids.data)[i];
	struct image_dir_iter it = {0};
	struct image_dirent d;
	struct inode in;
	int r;

	r = image_inode(l->img, nid, &in, err);
	if (r < 0)
		return r;
	l->dir_bytes += in.size;
	if (l->dir_bytes > l->img->size)
		return bad_inode(err, &in, "directories overlap: more bytes than the image has");
	while ((r = image_dir_next(&in, &it, &d, err)) > 0) {
		r = load_entry(l, dir, &d, err);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (dir->flags & NODE_UNSORTED)
		return bad_inode(err, &in, "the names of a directory are not in order");
	return 0;
}

static uint32_t nid_of(const struct loader *l, const struct node *n)
{
	return ((const uint32_t *)(const void *)l->nids.data)[n->index];
}

/* An empty file with the marks of a whiteout is one if the directory that it is in has them too; else
 * they are the user's. */
static int settle_whiteout(struct loader *l, uint32_t nid, int8_t *known, struct cairn_error *err)
{
	struct node *n = node_at(l, (l->seen[nid] & ~IN_PLACE) - 1);
	struct overlay ovl;
	struct inode in;
	int r;

	if (!known[n->parent->index]) {
		r = load_has_marks(l, nid_of(l, n->parent), err);
		if (r < 0)
			return r;
		known[n->parent->index] = r ? 1 : -1;
	}
	if (known[n->parent->index] < 0)
		return 0;
	make_whiteout(n);
	r = image_inode(l->img, nid, &in, err);
	return r < 0 ? r : load_xattrs(l, &in, true, &n->xattrs, &ovl, err);
}

static int settle_whiteouts(struct loader *l, struct cairn_error *err)
{
	const uint32_t *nids = (const uint32_t *)(const void *)l->maybe.data;
	size_t nr = l->maybe.len / sizeof(*nids);
	cleanup_free int8_t *known = NULL; /* by place in nodes[]: 1 marked, -1 not */
	int r = 0;

	if (!nr)
		return 0;
	known = (int8_t *)calloc(l->shard.nr_nodes, 1);
	if (!known)
		return out_of_memory(err);
	for (size_t i = 0; !r && i < nr; i++)
		r = settle_whiteout(l, nids[i], known, err);
	return r;
}

static int load_directory_xattrs(struct loader *l, struct node *dir, struct cairn_error *err)
{
	struct overlay ovl;
	struct inode in;
	bool marked = false;
	int r;

	for (const struct node *n = dir->dir.newest; n && !marked; n = n->next)
		marked = node_is_whiteout(n);
	r = image_inode(l->img, nid_of(l, dir), &in, err);
	return r < 0 ? r : load_xattrs(l, &in, marked, &dir->xattrs, &ovl, err);
}

static int load_root(struct loader *l, struct cairn_error *err)
{
	struct inode in;
	int r;

	r = image_inode(l->img, l->img->root_nid, &in, err);
	if (r < 0)
		return r;
	if (!S_ISDIR(in.mode))
		return bad_inode(err, &in, "the root is not a directory");
	l->tree->root = add_node(l, NULL, "", 0, in.nid);
	if (!l->tree->root)
		return out_of_memory(err);
	l->seen[in.nid] = 1 | IN_PLACE;
	l->next_ino = 1;
	return fill_node(l, &in, l->tree->root, err);
}

static int load_all(struct loader *l, struct cairn_error *err)
{
	uint32_t level_end = 1, depth = 0;
	int r;

	r = load_root(l, err);
	for (uint32_t i = 0; !r && i < l->shard.nr_nodes; i++) {
		if (i == level_end) {
			level_end = l->shard.nr_nodes;
			if (++depth > DEPTH_MAX)
				return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
						 "directories more than %d levels deep", DEPTH_MAX);
		}
		if (node_is_dir(node_at(l, i)))
			r = load_directory(l, i, err);
	}
	if (!r)
		r = settle_whiteouts(l, err);
	for (uint32_t i = 0; !r && i < l->shard.nr_nodes; i++)
		if (node_is_dir(node_at(l, i)))
			r = load_directory_xattrs(l, node_at(l, i), err);
	if (r < 0)
		return r;

	l->tree->team = l->img->team;
	r = tree_index(l->tree, &l->shard, 1, NULL, err);
	if (!r)
		r = tree_seal(l->tree, l->flags & CAIRN_LOAD_COMPAT, err);
	l->tree->source_format = l->img->format;
	return r;
}

int image_load(const struct image *img, unsigned int flags, const char *const *filter,
	       struct tree **ret, struct cairn_error *err)
{
	struct loader *l = (struct loader *)calloc(1, sizeof(*l));
	int r = -ENOMEM;

	if (!l)
		return out_of_memory(err);
	l->img = img;
	l->flags = flags;
	l->filter = filter;
	l->nodes = BUF_INIT(SIZE_MAX / 2);
	l->maybe = BUF_INIT(SIZE_MAX / 2);
	l->nids = BUF_INIT(SIZE_MAX / 2);
	l->inputs = BUF_INIT((size_t)UINT16_MAX * sizeof(struct xattr_input));
	l->names = BUF_INIT((size_t)UINT16_MAX * 576);
	/* A slot for each place where an inode may be; pages that no inode is in are never touched. */
	l->seen = (uint32_t *)calloc((size_t)(img->size / SLOT_SIZE) + 1, sizeof(*l->seen));
	if (l->seen && !tree_new(&l->tree) && !tree_shard_init(&l->shard))
		r = load_all(l, err);
	else
		out_of_memory(err);
	if (!r)
		*ret = take_ptr(l->tree);

	tree_free(l->tree);
	tree_shard_fini(&l->shard);
	free(l->seen);
	buf_fini(&l->nodes);
	buf_fini(&l->maybe);
	buf_fini(&l->nids);
	buf_fini(&l->inputs);
	buf_fini(&l->names);
	free(l);
	return r;
}
