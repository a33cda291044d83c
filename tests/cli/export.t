A tree comes out again as it went in.

  $ mkdir tree tree/d; seq 1000 >tree/d/numbers; echo small >tree/small; ln tree/small tree/link; ln -s d/numbers tree/symlink

  $ touch -d '2020-02-02 02:02:02.25' tree/small tree/d/numbers tree/d tree; cairn build tree -o image --store store | wc -c
  65

  $ cairn export-dir image out --store store
  out: 2 files, 3.8 KiB, 0 reflinked

  $ diff -r tree out; cairn diff tree out
  no difference

  $ cairn export-dir image out --store store
  2> cairn: export-dir: out: is not empty
  [2]

  $ mkdir again; cairn export-dir image again/ --store store --json
  {"directory":"again/","names":6,"files":2,"bytes":3899,"reflinked":0,"refused_owners":0,"refused_modes":0,"refused_xattrs":0,"refused_times":0,"refused_nodes":0}

As tar, of which the bytes depend on the tree alone.

  $ cairn tar image --store store | tar -tv --utc --full-time | sed 's, [^ ]*/[^ ]* *, ,'
  drwxr-xr-x 0 2020-02-02 02:02:02.25 ./
  drwxr-xr-x 0 2020-02-02 02:02:02.25 d/
  -rw-r--r-- 3893 2020-02-02 02:02:02.25 d/numbers
  -rw-r--r-- 6 2020-02-02 02:02:02.25 link
  hrw-r--r-- 0 2020-02-02 02:02:02.25 small link to link
  lrwxrwxrwx 0 .* symlink -> d/numbers (re)

  $ cairn tar image --store store -o one.tar; cairn tar --store store image | cmp - one.tar

What cannot be.

  $ cairn export-dir image other
  2> cairn: export-dir: /d/numbers: its content is not in the image, and no store is given
  [2]

  $ mkdir empty; cairn export-dir image other --store empty
  2> cairn: export-dir: /d/numbers: open object d0/9ddad512a4fd1a24d9cbf43a091d42c50b6c5179e68c81b00bfd27f43b1922: No such file or directory
  [1]

  $ chmod u+w store/objects/*/*; echo >>$(echo store/objects/*/*); cairn export-dir image other --store store
  2> cairn: export-dir: /d/numbers: object .*: its content does not have its digest (re)
  [3]

  $ cairn tar image --store store -o two.tar
  2> cairn: tar: /d/numbers: object .*: its content does not have its digest (re)
  [3]

Names that lead elsewhere do not even become a tree.

  $ printf '/ 0 40755 2 0 0 0 0.0 - - -\n/a\\x2f..\\x2f..\\x2fb 5 100644 1 0 0 0 0.0 - hello -\n' >dump; cairn export-dir dump other
  2> cairn: export-dir: dump: line 2, PATH: Parent directory missing for /a/../../b
  [1]

  $ ls
  again
  dump
  empty
  image
  one.tar
  out
  store
  tree
