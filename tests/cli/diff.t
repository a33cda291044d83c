Nothing differs.

  $ cairn build -q $GOLDEN/05-hardlink.dump -o v0 >/dev/null
  $ cairn diff v0 $GOLDEN/05-hardlink.dump
  no difference

  $ cairn diff --json v0 v0
  {"a":"v0","b":"v0","a_format":"V0","b_format":"V0","differs":"same","changed":0,"only_a":0,"only_b":0,"fields":0}

Only the format differs.

  $ cairn build -q $GOLDEN/05-hardlink.dump -f 1 -o v1 >/dev/null
  $ cairn diff v0 v1
  same tree, but a is V0 and b is V1
  [1]

  $ cairn diff --json v0 v1
  {"a":"v0","b":"v1","a_format":"V0","b_format":"V1","differs":"format","changed":0,"only_a":0,"only_b":0,"fields":0}
  [1]

  $ cairn diff v1 $GOLDEN/05-hardlink.dump
  no difference

Only bytes that carry nothing differ.

  $ cp v0 odd; printf x | dd of=odd bs=1 seek=100 conv=notrunc status=none
  $ cairn diff v0 odd
  same tree, same format V0, but not the same bytes: not both are canonical
  [1]

Trees.

  $ mkdir a; echo 1 >a/same; echo 2 >a/content; echo 3 >a/mode; echo 4 >a/gone; ln -s x a/link; echo 5 >a/type
  $ touch -d @1000000000 a/* a -h; chmod 644 a/*[!k]; cp -a a b; rm b/gone; echo 22 >b/content; chmod 600 b/mode
  $ ln -sf y b/link; rm b/type; mkdir b/type; echo 6 >b/new; touch -d @1000000000 b/* b -h; touch -d @1000000001.5 b/same
  $ cairn diff a b
  5 changed, 1 only in a, 1 only in b
  /content: size
    a: 2
    b: 3
  /content: content
    a: inline 2\x0a
    b: inline 22\x0a
  /gone: only in a, file
  /link: target
    a: x
    b: y
  /mode: mode
    a: 0644
    b: 0600
  /new: only in b, file
  /same: mtime
    a: 1000000000.000000000
    b: 1000000001.500000000
  /type: type
    a: file
    b: directory
  [1]

  $ cairn diff -b a b
  5 changed, 1 only in a, 1 only in b
  [1]

  $ cairn diff --json a b | head -n 3
  {"a":"a","b":"b","a_format":null,"b_format":null,"differs":"tree","changed":5,"only_a":1,"only_b":1,"fields":6}
  {"path":"/content","field":"size","a":"2","b":"3"}
  {"path":"/content","field":"content","a":"inline 2\\x0a","b":"inline 22\\x0a"}

A directory and its image, however the image names its objects.

  $ seq 1000 >a/object; cairn build -q a -o a.cfs --alg sha512 >/dev/null
  $ cairn diff a a.cfs; cairn diff a.cfs a
  no difference
  no difference

  $ cairn build -q a -o epoch.cfs --use-epoch >/dev/null; cairn diff epoch.cfs a | head -n 2
  8 changed, 0 only in a, 0 only in b
  /: mtime

  $ cairn diff --use-epoch epoch.cfs a
  no difference

Options for one side only.

  $ cairn diff --use-epoch epoch.cfs v0
  2> cairn: diff: epoch.cfs: not a directory, options for reading one do not apply
  2> Try 'cairn diff -h'.
  [2]

  $ cairn diff a nothing
  2> cairn: diff: nothing: No such file or directory
  [1]

  $ cairn diff a /bin/true
  2> cairn: diff: /bin/true: neither a composefs image, nor a tar archive, nor dump text
  [1]
