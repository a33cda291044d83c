Layers upon each other. The digest is the one that composefs-rs gives.

  $ cairn oci merge $GOLDEN/oci/seal/layer0.tar $GOLDEN/oci/seal/layer1.tar -o image --store store --json
  {"layers":2,"image":"image","digest":"c80449620920f329addb8afc8f5febf1a83d77f0b4794bbf6b31a4c6976b21f4","alg":"sha256","format":"V1","size":16384,"inodes":268,"files":7,"bytes":6137,"new_objects":2,"new_bytes":6065}
  $ cmp image $GOLDEN/oci/seal/allowlist.v1.erofs

From metadata images, with and without the base.

  $ cairn oci merge -q --partial $GOLDEN/oci/seal/layer0.tar -o m0
  fe461caf174e78d49913d3b833185b1e3007472d56f1472223d9f61346b349a8
  $ cairn oci merge -q --partial $GOLDEN/oci/seal/layer1.tar -o m1
  0169336916b244cc7984ae67422ffdf1e27dff5ca60b0c93a6e9921b6ac13ff6
  $ cairn oci merge -q m0 m1
  c80449620920f329addb8afc8f5febf1a83d77f0b4794bbf6b31a4c6976b21f4

By which rules?

  $ cairn oci merge --match c80449620920f329addb8afc8f5febf1a83d77f0b4794bbf6b31a4c6976b21f4 $GOLDEN/oci/seal/layer0.tar $GOLDEN/oci/seal/layer1.tar
  profile composefs, xattrs allowlist, format V1, times in nanoseconds

  $ cairn oci merge --match $(cairn oci merge -f 2 --xattrs all $GOLDEN/oci/seal/layer0.tar $GOLDEN/oci/seal/layer1.tar) $GOLDEN/oci/seal/layer0.tar $GOLDEN/oci/seal/layer1.tar --json
  {"digest":"8c6de62e7f9b73b04024f16f4389e6f37478888feec83dfbb938f97f5d1205b8","profile":"composefs","xattrs":"user","format":"V2","times":"nanoseconds"}

  $ cairn oci merge --match 0000000000000000000000000000000000000000000000000000000000000000 $GOLDEN/oci/seal/layer0.tar $GOLDEN/oci/seal/layer1.tar
  2> cairn: oci merge: no rules that are known give 0000000000000000000000000000000000000000000000000000000000000000
  [3]

What does not fit.

  $ cairn oci merge $GOLDEN/oci/seal/layer1.tar
  2> cairn: oci merge: /usr is not there, and profile composefs takes the root's owner, mode and time from it
  [1]
  $ cairn oci merge $GOLDEN/oci/layer-cases/dotdot.0.tar $GOLDEN/oci/layer-cases/dotdot.1.tar
  2> cairn: oci merge: $GOLDEN/oci/layer-cases/dotdot.1.tar: ../evil (tar header at byte 0): a name with `..` in it
  [1]
  $ cairn oci merge --match x $GOLDEN/oci/seal/layer1.tar
  2> cairn: oci merge: --match: 'x' is no digest (64 or 128 hexadecimal digits)
  2> Try 'cairn oci merge -h'.
  [2]
  $ cairn oci merge --xattrs all --profile runtime $GOLDEN/oci/seal/layer1.tar
  2> cairn: oci merge: --xattrs is for profile composefs only
  2> Try 'cairn oci merge -h'.
  [2]

A tar archive is a source like others.

  $ cairn build $GOLDEN/oci/tiny.tar -o tiny --store s2 -q
  099398dc800bc531d05dfbe0390910f849771bfbaf5d2b8cd9cda3a33a7d6429
  $ cairn diff -q $GOLDEN/oci/tiny.tar tiny
  no difference
  $ gzip -c $GOLDEN/oci/tiny.tar | cairn digest tar:-
  099398dc800bc531d05dfbe0390910f849771bfbaf5d2b8cd9cda3a33a7d6429
  $ cairn digest --profile composefs $GOLDEN/05-hardlink.dump
  2> cairn: digest: $GOLDEN/05-hardlink.dump: --profile is for tar archives only
  2> Try 'cairn digest -h'.
  [2]
