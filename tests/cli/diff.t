Nothing differs.

  $ cairn build -q $GOLDEN/05-hardlink.dump -o v0 >/dev/null
  $ cairn diff v0 $GOLDEN/05-hardlink.dump
  2> cairn: diff: Function not implemented
  [4]

  $ cairn diff --json v0 v0
  2> cairn: diff: Function not implemented
  [4]

Only the format differs.

  $ cairn build -q $GOLDEN/05-hardlink.dump -f 1 -o v1 >/dev/null
  $ cairn diff v0 v1
  2> cairn: diff: Function not implemented
  [4]

  $ cairn diff --json v0 v1
  2> cairn: diff: Function not implemented
  [4]

  $ cairn diff v1 $GOLDEN/05-hardlink.dump
  2> cairn: diff: Function not implemented
  [4]

Only bytes that carry nothing differ.

  $ cp v0 odd; printf x | dd of=odd bs=1 seek=100 conv=notrunc status=none
  $ cairn diff v0 odd
  2> cairn: diff: Function not implemented
  [4]

Trees.

  $ mkdir a; echo 1 >a/same; echo 2 >a/content; echo 3 >a/mode; echo 4 >a/gone; ln -s x a/link; echo 5 >a/type
  $ touch -d @1000000000 a/* a -h; chmod 644 a/*[!k]; cp -a a b; rm b/gone; echo 22 >b/content; chmod 600 b/mode
  $ ln -sf y b/link; rm b/type; mkdir b/type; echo 6 >b/new; touch -d @1000000000 b/* b -h; touch -d @1000000001.5 b/same
  $ cairn diff a b
  2> cairn: diff: Function not implemented
  [4]

  $ cairn diff -b a b
  2> cairn: diff: Function not implemented
  [4]

  $ cairn diff --json a b | head -n 3
  2> cairn: diff: Function not implemented

A directory and its image, however the image names its objects.

  $ seq 1000 >a/object; cairn build -q a -o a.cfs --alg sha512 >/dev/null
  2> cairn: build: format V0 has SHA-256 digests only
  [2]
  $ cairn diff a a.cfs; cairn diff a.cfs a
  2> cairn: diff: a.cfs: No files in dump file
  2> cairn: diff: a.cfs: No files in dump file
  [1]

  $ cairn build -q a -o epoch.cfs --use-epoch >/dev/null; cairn diff epoch.cfs a | head -n 2
  2> cairn: diff: Function not implemented

  $ cairn diff --use-epoch epoch.cfs a
  2> cairn: diff: epoch.cfs: options that leave things out are for directories only
  2> Try 'cairn diff -h'.
  [2]

Options for one side only.

  $ cairn diff --use-epoch epoch.cfs v0
  2> cairn: diff: epoch.cfs: options that leave things out are for directories only
  2> Try 'cairn diff -h'.
  [2]

  $ cairn diff a nothing
  2> cairn: diff: nothing: No such file or directory
  [1]

  $ cairn diff a /bin/true
  2> cairn: diff: /bin/true: neither a composefs image nor dump text
  [1]
