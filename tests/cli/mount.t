What is wrong with a command line is told before anything is done.

  $ cairn mount image
  2> cairn: mount: needs IMAGE DIR
  2> Try 'cairn mount -h'.
  [2]

  $ cairn build -q $GOLDEN/01-empty-root.dump -o image >/dev/null; cairn mount image dir
  2> cairn: mount: needs --store or -o basedir=
  2> Try 'cairn mount -h'.
  [2]

  $ cairn mount image dir -o ro,unknown
  2> cairn: mount: unknown mount option 'unknown'
  2> Try 'cairn mount -h'.
  [2]

  $ cairn mount image dir -o basedir=
  2> cairn: mount: -o basedir needs a value
  2> Try 'cairn mount -h'.
  [2]

  $ cairn mount image dir -o basedir=/a::/b
  2> cairn: mount: -o basedir: an empty name among the directories
  2> Try 'cairn mount -h'.
  [2]

  $ cairn mount image dir -o verity=on
  2> cairn: mount: -o verity takes no value
  2> Try 'cairn mount -h'.
  [2]

  $ cairn mount image dir -o digest=123
  2> cairn: mount: -o digest: 64 or 128 hexadecimal digits, not '123'
  2> Try 'cairn mount -h'.
  [2]

  $ cairn mount image dir -o basedir=/x,upperdir=/u
  2> cairn: mount: -o upperdir and -o workdir go together
  2> Try 'cairn mount -h'.
  [2]

  $ cairn mount image dir -o statfs=disk
  2> cairn: mount: -o statfs: image or store, not 'disk'
  2> Try 'cairn mount -h'.
  [2]

  $ mkdir -p dir store/objects; cairn mount nothing dir --store store
  2> cairn: mount: nothing: no such file, and no image of this name in store
  [1]

  $ cairn mount nothing dir --store nostore
  2> cairn: mount: open nostore: No such file or directory
  [1]

  $ cairn build -q $GOLDEN/01-empty-root.dump -o image >/dev/null; cairn mount image dir --store store -o idmap=/nowhere
  2> cairn: mount: /nowhere: No such file or directory
  [1]

  $ cairn mount --spec image dir --store store
  2> cairn: mount: --spec needs IMAGE alone
  2> Try 'cairn mount -h'.
  [2]

  $ cairn mount image dir --store store --require perfect
  2> cairn: mount: --require: one of checked|enforced, not 'perfect'
  2> Try 'cairn mount -h'.
  [2]

An image that no digest pins is checked.

  $ printf x | dd of=image bs=1 seek=100 conv=notrunc status=none; cairn mount image dir --store store
  2> cairn: mount: image: offset 100, padding after the header: expected 0x00, found 0x78
  [3]

  $ cairn umount dir
  2> cairn: umount: dir: not a mount point
  [1]

  $ cairn umount nothing
  2> cairn: umount: unmount nothing: No such file or directory
  [1]

What would be mounted, as data.

  $ cairn build -q $GOLDEN/01-empty-root.dump -o image >/dev/null
  $ cairn mount --spec image --store store -o noverity,upperdir=dir,workdir=store
  image erofs $TMP/image ro,noacl
  data - $TMP/store/objects
  upper - $TMP/dir
  work - $TMP/store
  stack overlay composefs:8f589e8f57ecb88823736b0d857ddca1e1068a23e264fad164b28f7038eb3682 metacopy=on,redirect_dir=on,lowerdir+=<image>,datadir+=$TMP/store/objects,upperdir=$TMP/dir,workdir=$TMP/store
  $ cairn mount --spec --json image --store store -o noverity
  {"layer":"image","type":"erofs","source":"$TMP/image","options":["ro","noacl"],"digest":"8f589e8f57ecb88823736b0d857ddca1e1068a23e264fad164b28f7038eb3682"}
  {"layer":"data","type":null,"source":"$TMP/store/objects","options":[],"digest":null}
  {"layer":"stack","type":"overlay","source":"composefs:8f589e8f57ecb88823736b0d857ddca1e1068a23e264fad164b28f7038eb3682","options":["metacopy=on","redirect_dir=on","lowerdir+=<image>","datadir+=$TMP/store/objects"],"digest":null}
  $ cairn mount --spec image --store store -o noverity --require checked --no-check
  2> cairn: mount: image: 'checked' is required, but the image is not to be checked
  [4]
  $ cairn mounts dir
  2> cairn: mounts: dir: no image is mounted there
  [1]
