The digest without the image.

  $ cairn digest $GOLDEN/05-hardlink.dump | diff - $GOLDEN/05-hardlink.fsverity

  $ cairn digest --all $GOLDEN/05-hardlink.dump
  V0 sha256 90f4482ba835da82248752be9ff0118ca6e40f9ad32fe57bdf0e282170b59975
  V1 sha256 abba7276c1014a5e6bcb2d4150a99256997293fce6eb9e89b8d4be8d31c3cb34
  V1 sha512 f3ebba21515dcc60eb3e7357703cf390fe392e6188abb08545c3d06917c31fa45d39856b4e2702f3fd3f40964a9ad3173d6b8044eb7ebfa48894489f4c2a990b
  V2 sha256 6a561cf9f14cc85cfaf05ce5f5c8107cc1deaaf2047a6f400cc9e8e4f3ef5304
  V2 sha512 6cd994d79cb7d0ec64605052fbceb8cc1cdc6e6643efe60e55340787d06e11498440ada88b59dfb8838cb250ca3589167bda8416becbc7360cc17659ddf30b41

  $ cairn digest --format 1 $GOLDEN/05-hardlink.dump $GOLDEN/07-whiteout.dump
  abba7276c1014a5e6bcb2d4150a99256997293fce6eb9e89b8d4be8d31c3cb34  $GOLDEN/05-hardlink.dump
  c84f7ddf527ee67e891008f1d5f1d9c0db29482bc0eb2ca6d6191f96de7aa3f9  $GOLDEN/07-whiteout.dump

  $ cairn digest --json -a $GOLDEN/05-hardlink.dump
  {"source":"$GOLDEN/05-hardlink.dump","format":"V0","alg":"sha256","size":16384,"inodes":259,"digest":"90f4482ba835da82248752be9ff0118ca6e40f9ad32fe57bdf0e282170b59975"}
  {"source":"$GOLDEN/05-hardlink.dump","format":"V1","alg":"sha256","size":16384,"inodes":259,"digest":"abba7276c1014a5e6bcb2d4150a99256997293fce6eb9e89b8d4be8d31c3cb34"}
  {"source":"$GOLDEN/05-hardlink.dump","format":"V1","alg":"sha512","size":16384,"inodes":259,"digest":"f3ebba21515dcc60eb3e7357703cf390fe392e6188abb08545c3d06917c31fa45d39856b4e2702f3fd3f40964a9ad3173d6b8044eb7ebfa48894489f4c2a990b"}
  {"source":"$GOLDEN/05-hardlink.dump","format":"V2","alg":"sha256","size":4096,"inodes":3,"digest":"6a561cf9f14cc85cfaf05ce5f5c8107cc1deaaf2047a6f400cc9e8e4f3ef5304"}
  {"source":"$GOLDEN/05-hardlink.dump","format":"V2","alg":"sha512","size":4096,"inodes":3,"digest":"6cd994d79cb7d0ec64605052fbceb8cc1cdc6e6643efe60e55340787d06e11498440ada88b59dfb8838cb250ca3589167bda8416becbc7360cc17659ddf30b41"}

Of an image: that of its bytes, unless it is to be made anew.

  $ cairn build -q -f 1 $GOLDEN/05-hardlink.dump -o image; cairn digest image
  abba7276c1014a5e6bcb2d4150a99256997293fce6eb9e89b8d4be8d31c3cb34
  abba7276c1014a5e6bcb2d4150a99256997293fce6eb9e89b8d4be8d31c3cb34

  $ cairn digest -f auto image
  90f4482ba835da82248752be9ff0118ca6e40f9ad32fe57bdf0e282170b59975

  $ cairn digest --json image
  {"source":"image","format":"V1","alg":"sha256","size":16384,"inodes":null,"digest":"abba7276c1014a5e6bcb2d4150a99256997293fce6eb9e89b8d4be8d31c3cb34"}

Of a directory every variant, from one reading; the same as `build` makes.

  $ mkdir tree; seq 1000 >tree/file
  $ cairn digest --all tree | while read -r format alg digest; do
  > [ "$(cairn build -q tree -o x --format $format --alg $alg)" = "$digest" ] && echo "$format $alg ${#digest}"
  > done
  V0 sha256 64
  V1 sha256 64
  V1 sha512 128
  V2 sha256 64
  V2 sha512 128

  $ cairn digest tree --format 0 --alg sha512
  2> cairn: digest: tree: format V0 has SHA-256 digests only
  [2]

  $ cairn digest --all --alg sha256 tree
  2> cairn: digest: --all excludes --format and --alg
  2> Try 'cairn digest -h'.
  [2]

  $ cairn digest $GOLDEN/05-hardlink.dump --alg sha512
  f3ebba21515dcc60eb3e7357703cf390fe392e6188abb08545c3d06917c31fa45d39856b4e2702f3fd3f40964a9ad3173d6b8044eb7ebfa48894489f4c2a990b

What one source does wrong does not keep the others from being told.

  $ cairn digest nothing $GOLDEN/01-empty-root.dump
  8f589e8f57ecb88823736b0d857ddca1e1068a23e264fad164b28f7038eb3682  $GOLDEN/01-empty-root.dump
  2> cairn: digest: nothing: No such file or directory
  [1]

A tree that one format cannot hold.

  $ cairn digest --all $GOLDEN/10-inline-sizes.dump
  V0 sha256 bcf88d9fcb2a5d28aa433d8869a288ce15b37ec8e596d65187e32bc74083fdc6
  V1 sha256 9ce9c649ccdb8e595f43889744b0cc89022ac293b1fd00457de6414c7627b896
  V1 sha512 1e84638cdb1a5163bc79322094e1b075deb250f3c4a31802f8024bb69bfad068e95e541bc3ad52c3977abf3b8c592077f7005f5145bf89422b3a609d273db371
  2> cairn: digest: V2 sha256: /i2047: more than 512 bytes of inline content, which V2 cannot hold
  2> cairn: digest: V2 sha512: /i2047: more than 512 bytes of inline content, which V2 cannot hold
  [1]
