An image of a dump text: its digest is the golden one, and so is every byte.

  $ cairn build $GOLDEN/04-external-forms.dump -o image | diff - $GOLDEN/04-external-forms.fsverity

  $ sha256sum <image | cut -d ' ' -f 1 | diff - $GOLDEN/04-external-forms.sha256

  $ cairn build --format 1 -o v1 - <$GOLDEN/04-external-forms.dump
  910397a9f1e0085973ecfae21e3e6e9a7f9338d39c8de8ca40f6e1d43d22149c

  $ cairn build --format v1 -v -o again v1
  910397a9f1e0085973ecfae21e3e6e9a7f9338d39c8de8ca40f6e1d43d22149c
  2> again: V1 sha256, 16.0 KiB, [0-9]+ inodes; [0-9.]+ s (re)

  $ cmp v1 again

  $ cairn build -q - -o v2 -fv2 <v1
  2056b230d1e543df78a021d5debc52cf0bfec3dd9e07342f720f23eb05f5738a

  $ cairn build --json -f auto $GOLDEN/07-whiteout.dump -o whiteout
  {"source":"\$GOLDEN/07-whiteout.dump","image":"whiteout",.*"format":"V1".*,"seconds":[0-9.]+} (re)

On standard output.

  $ cairn build $GOLDEN/04-external-forms.dump -o - | cmp - image

  $ cairn build --json image -o -
  2> cairn: build: --json and the image cannot both go to standard output
  2> Try 'cairn build -h'.
  [2]

An image is replaced as a whole, and only by a whole one.

  $ cp image kept; cairn build $GOLDEN/errors/dotdot-nested.dump -o kept
  2> cairn: build: $GOLDEN/errors/dotdot-nested.dump: line 3, PATH: Invalid . or .. in path: /d/..
  [1]

  $ cmp image kept

  $ cairn build $GOLDEN/01-empty-root.dump -o kept; ls
  8f589e8f57ecb88823736b0d857ddca1e1068a23e264fad164b28f7038eb3682
  again
  image
  kept
  v1
  v2
  whiteout

A directory and its store.

  $ mkdir tree; seq 100000 >tree/large; echo small >tree/small; ln tree/large tree/link
  $ cairn build tree -o tree.cfs --store store -v | wc -c
  65
  2> tree.cfs: V0 sha256, [0-9.]+ KiB, 259 inodes; 2 files, 575.1 KiB read, 0 unchanged; stored 1 new objects, 575.1 KiB, [01] reflinked; [0-9.]+ s (re)

  $ find store -type f | sed 's,.*/objects/../,,' | wc -L
  62

  $ cairn build tree -o second.cfs --store store --json
  {"source":"tree",.*,"new_objects":0,"new_bytes":0,"reflinked":0,.*} (re)

  $ sleep 0.1; cairn build tree -o kept.cfs --store store -q >digest; cairn build tree -o second.cfs --store store --json
  {"source":"tree",.*"files":2,"bytes":0,"cached":2,"new_objects":0,.*} (re)

  $ cairn build tree -o second.cfs --store store --verify-cache | cmp - digest

  $ cairn build tree -o second.cfs --store store --no-cache --json | grep -o '"cached":[0-9]*'
  "cached":0

  $ cairn build tree -o second.cfs --no-cache
  2> cairn: build: the cache is in the store: --store is missing
  2> Try 'cairn build -h'.
  [2]

  $ cairn build tree -o second.cfs --store store --no-cache --verify-cache
  2> cairn: build: --no-cache and --verify-cache exclude each other
  2> Try 'cairn build -h'.
  [2]

  $ cmp tree.cfs second.cfs

  $ cairn build tree -o third.cfs --store store/objects --jobs 4 >/dev/null; cmp tree.cfs third.cfs

  $ cairn build tree -o x --store store --alg sha512
  2> cairn: build: store: has objects of the other algorithm, not --alg sha512
  2> Try 'cairn build -h'.
  [2]

  $ cairn build tree -o x --store new512 --alg sha512 --json
  {"source":"tree",.*"alg":"sha512","format":"V1",.*"new_objects":1,.*} (re)

  $ cairn build tree -o split --split-hardlinks --use-epoch --skip-xattrs >/dev/null; cairn diff -b tree.cfs split
  4 changed, 0 only in a, 0 only in b
  [1]

What cannot be.

  $ cairn build nothing -o x
  2> cairn: build: nothing: No such file or directory
  [1]

  $ cairn build tree -o nowhere/x
  2> cairn: build: nowhere/x: No such file or directory
  [1]

  $ cairn build tree -o tree
  2> cairn: build: tree: Is a directory
  [1]

  $ cairn build tree -o x --store small --store tree/small
  2> cairn: build: open tree/small: Not a directory
  [1]

  $ cairn build image -o x --store store
  2> cairn: build: image: --store needs a directory or a tar archive, this has no contents to store
  2> Try 'cairn build -h'.
  [2]

  $ cairn build image -o x --use-epoch
  2> cairn: build: image: not a directory, options for reading one do not apply
  2> Try 'cairn build -h'.
  [2]

  $ cairn build image -o x --strict
  2> cairn: build: image: --strict is for dump text only
  2> Try 'cairn build -h'.
  [2]

  $ cairn build tree -o x --skip-xattrs --user-xattrs
  2> cairn: build: --skip-xattrs and --user-xattrs exclude each other
  2> Try 'cairn build -h'.
  [2]

  $ cairn build /bin/true -o x
  2> cairn: build: /bin/true: neither a composefs image, nor a tar archive, nor dump text
  [1]

  $ cairn build --strict $GOLDEN/errors/strict-rdev.dump -o x
  2> cairn: build: $GOLDEN/errors/strict-rdev.dump: line 2, RDEV: Non-zero devnum on non-device
  [1]

  $ cairn build --strict --lenient $GOLDEN/errors/strict-rdev.dump -o x | wc -c
  65

  $ cairn build $GOLDEN/errors/empty-input.dump -o x
  2> cairn: build: $GOLDEN/errors/empty-input.dump: No files in dump file
  [1]

  $ cairn build $GOLDEN/31-dir-hardlink.dump -o x
  2> cairn: build: $GOLDEN/31-dir-hardlink.dump: /l: hard link to a directory, which no file system allows
  [1]

  $ cairn build tree -o - --format 2 >/dev/full
  2> cairn: build: standard output: No space left on device
  [1]

  $ ls
  again
  digest
  image
  kept
  kept.cfs
  new512
  second.cfs
  split
  store
  third.cfs
  tree
  tree.cfs
  v1
  v2
  whiteout
  x
