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

  $ mkdir dir store; cairn mount nothing dir --store store
  2> cairn: mount: nothing: no such file, and no image of this name in store
  [1]

  $ cairn mount nothing dir --store nostore
  2> cairn: mount: open nostore: No such file or directory
  [1]

  $ cairn build -q $GOLDEN/01-empty-root.dump -o image >/dev/null; cairn mount image dir --store store -o idmap=/nowhere
  2> cairn: mount: /nowhere: No such file or directory
  [1]

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
