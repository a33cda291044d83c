A store without parents, and an image whose objects it lacks.

  $ mkdir tree; seq 1000 >tree/numbers; cp tree/numbers tree/same; seq 2000 >tree/more; cairn build tree -o image --store vendor | wc -c
  65

  $ cairn store init site >/dev/null; cairn store parents --store site

  $ cairn missing image --store site
  c6/db919427ebd009358abc8f7a39afeab6971dcbd04bef756c09e4c86ac1916e
  d0/9ddad512a4fd1a24d9cbf43a091d42c50b6c5179e68c81b00bfd27f43b1922

  $ cairn missing image --store site --json
  {"object":"c6/db919427ebd009358abc8f7a39afeab6971dcbd04bef756c09e4c86ac1916e","size":8893,"paths":["/more"]}
  {"object":"d0/9ddad512a4fd1a24d9cbf43a091d42c50b6c5179e68c81b00bfd27f43b1922","size":3893,"paths":["/numbers","/same"]}

  $ cairn missing image --store site -q
  [1]

  $ cairn missing image --store site --store vendor

It looks into another one.

  $ cairn store parents --store site --add vendor; cairn store parents --store site
  $TMP/vendor

  $ cairn missing image --store site

  $ cairn cat image numbers --store site | cmp - tree/numbers

Nothing is copied that is there.

  $ seq 3000 >tree/own; cairn build tree -o image --store site --json | grep -o '"new_objects":[0-9]*'
  "new_objects":1

  $ find site/objects -type f | wc -l
  1

  $ cairn export-dir image out --store site; cairn diff tree out
  out: 4 files, 29.9 KiB, 0 reflinked
  no difference

Parents of parents, a circle, and one that is gone.

  $ mkdir deep; cairn store init deep/child >/dev/null; mkdir deep/child/cairn; echo ../../site >deep/child/cairn/parents

  $ cairn store parents --store vendor --add deep/child; cairn missing image --store deep/child

  $ mv vendor away; cairn missing image --store deep/child
  2> cairn: missing: parent of deep/child/../../site: open $TMP/vendor: No such file or directory
  [1]

  $ cairn store parents --store site --json
  {"parent":"$TMP/vendor"}

  $ cairn store parents --store site --remove $TMP/nowhere
  2> cairn: store parents: $TMP/nowhere: is no parent
  2> Try 'cairn store parents -h'.
  [2]

  $ cairn store parents --store site --remove vendor
  2> cairn: store parents: vendor: is no parent
  2> Try 'cairn store parents -h'.
  [2]

  $ cairn store parents --store site --remove $TMP/vendor; cairn store parents --store site

What cannot be.

  $ cairn store parents --store site --add nowhere
  2> cairn: store parents: nowhere: No such file or directory
  [1]

  $ cairn store init --alg sha512 other >/dev/null; cairn store parents --store site --add other
  2> cairn: store parents: $TMP/other: its objects are named by sha512, those of the store by sha256
  2> Try 'cairn store parents -h'.
  [2]

  $ cairn store parents --store away/objects --add site
  2> cairn: store parents: away/objects: a directory of objects only has no parents
  [4]
