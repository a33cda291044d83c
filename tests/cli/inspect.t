What is in an image.

  $ cairn build -q $GOLDEN/05-hardlink.dump -o image >/dev/null
  $ cairn ls image
  2> cairn: ls: image: Function not implemented
  [4]

  $ cairn ls image | diff - $GOLDEN/05-hardlink.ls
  0a1,4
  > /a
  > /b
  > /d/	
  > /d/c
  2> cairn: ls: image: Function not implemented
  [1]

  $ cairn ls -l image
  2> cairn: ls: image: Function not implemented
  [4]

  $ cairn ls --json image | head -n 2
  2> cairn: ls: image: Function not implemented

  $ cairn dump image | diff - $GOLDEN/05-hardlink.info
  0a1,5
  > / 4096 40755 3 0 0 0 1700000000.0 - - -
  > /a 3 100644 2 0 0 0 1700000000.0 - abc -
  > /b 3 @100644 2 0 0 0 1700000000.0 /a abc -
  > /d 40 40755 2 0 0 0 1700000000.0 - - -
  > /d/c 3 @100644 2 0 0 0 1700000000.0 /a abc -
  2> cairn: dump: image: Function not implemented
  [1]

  $ cairn dump image | cairn build -q - -o again; cmp image again
  2> cairn: dump: image: Function not implemented
  2> cairn: build: standard input: No files in dump file
  2> cmp: again: No such file or directory
  [2]

  $ cairn dump --json $GOLDEN/18-xattr-prefixes.dump | head -n 2
  2> cairn: dump: $GOLDEN/18-xattr-prefixes.dump: Function not implemented

  $ cairn objects image | diff - $GOLDEN/05-hardlink.objects

  $ cairn objects --json image
  [1]

Of several images each object once.

  $ cairn build -q $GOLDEN/04-external-forms.dump -o other >/dev/null
  $ cairn objects image other | sort -c && cairn objects image other image | uniq -d

Below a path.

  $ mkdir -p tree/a/b; seq 100 >tree/a/b/file; echo hello >tree/a/small; ln -s ../a/./b tree/a/b/up
  $ ln -s b/file tree/a/rel; ln -s /a/rel tree/abs; ln -s loop tree/loop; ln tree/a/b/file tree/a/hard
  $ ln -s ../../../../a tree/a/out; mkfifo tree/fifo; ln -s nothing tree/dangling
  $ cairn build -q tree -o tree.cfs --store store | wc -c
  65

  $ cairn ls tree.cfs /a
  2> cairn: ls: tree.cfs: Function not implemented
  [4]

  $ cairn ls tree.cfs a/b/
  2> cairn: ls: tree.cfs: Function not implemented
  [4]

  $ cairn dump tree.cfs /a/small | cut -d ' ' -f 1,2,9-
  2> cairn: dump: tree.cfs: Function not implemented

  $ cairn ls tree.cfs /nothing
  2> cairn: ls: tree.cfs: Function not implemented
  [4]

  $ cairn ls tree.cfs /a/small/x
  2> cairn: ls: tree.cfs: Function not implemented
  [4]

Contents, verified.

  $ cairn cat tree.cfs /a/small
  2> cairn: cat: /a/small: Function not implemented
  [4]

  $ cairn cat tree.cfs -s store a/b/file /a/hard abs a/out/b/up/file | md5sum; cat tree/a/b/file{,,,}| md5sum
  d41d8cd98f00b204e9800998ecf8427e  -
  15c3549114c25e65d7bcd2ccc8f4c386  -
  2> cairn: cat: a/b/file: Function not implemented

  $ cairn cat tree.cfs /a/b/file
  2> cairn: cat: /a/b/file: Function not implemented
  [4]

  $ cairn cat tree.cfs --store store /a
  2> cairn: cat: /a: Function not implemented
  [4]

  $ cairn cat tree.cfs --store store /fifo
  2> cairn: cat: /fifo: Function not implemented
  [4]

  $ cairn cat tree.cfs --store store /loop
  2> cairn: cat: /loop: Function not implemented
  [4]

  $ cairn cat tree.cfs --store store /dangling
  2> cairn: cat: /dangling: Function not implemented
  [4]

  $ cairn cat tree.cfs --store store /a/small/x
  2> cairn: cat: /a/small/x: Function not implemented
  [4]

Missing objects.

  $ cairn objects tree.cfs --store store --missing
  [1]

  $ mkdir empty; cairn objects tree.cfs --store store -s empty --json
  [1]

  $ cairn cat tree.cfs --store empty /a/b/file
  2> cairn: cat: /a/b/file: Function not implemented
  [4]

  $ cairn cat tree.cfs --store empty -s store /a/b/file | wc -l
  0
  2> cairn: cat: /a/b/file: Function not implemented

  $ cairn objects tree.cfs --store empty --missing | diff - <(cairn objects tree.cfs)

  $ cairn objects tree.cfs --missing
  2> cairn: objects: --missing needs --store
  2> Try 'cairn objects -h'.
  [2]

  $ cairn objects tree.cfs --store nothing
  2> cairn: objects: open nothing: No such file or directory
  [1]

An object that has been tampered with is not printed.

  $ object=store/objects/$(cairn objects tree.cfs); chmod u+w $object; echo 1 | dd of=$object conv=notrunc status=none seek=3
  2> dd: failed to open 'store/objects/': Is a directory
  [1]
  $ cairn cat tree.cfs --store store /a/b/file
  2> cairn: cat: /a/b/file: Function not implemented
  [4]

  $ cairn ls $GOLDEN/01-empty-root.dump; cairn ls nothing
  2> cairn: ls: $GOLDEN/01-empty-root.dump: Function not implemented
  2> cairn: ls: nothing: No such file or directory
  [1]

  $ cairn ls /bin/true
  2> cairn: ls: /bin/true: neither a composefs image nor dump text
  [1]

A reader that has seen enough ends the command silently.

  $ cairn dump /usr/share | head -n 1 | cut -c 1; echo "${PIPESTATUS[@]}"
  4 0 0
  2> cairn: dump: /usr/share: Function not implemented
