Images that we write are canonical.

  $ for format in 0 1 2; do cairn build -q $GOLDEN/05-hardlink.dump -o v$format -f $format >/dev/null; done
  $ cairn check v0
  OK canonical V0

  $ cairn check v0 v1 v2
  v0: OK canonical V0
  v1: OK canonical V1
  v2: OK canonical V2

  $ cairn check --json v1
  {"image":"v1","ok":true,"format":"V1","alg":"sha256","size":16384,"inodes":259,"digest":"abba7276c1014a5e6bcb2d4150a99256997293fce6eb9e89b8d4be8d31c3cb34","offence":null}

Offences are told with offset and field, status 3.

  $ cp v1 odd; printf x | dd of=odd bs=1 seek=100 conv=notrunc status=none; cairn check odd
  2> cairn: check: odd: offset 100, padding after the header: expected 0x00, found 0x78
  [3]

  $ cairn check v0 odd
  v0: OK canonical V0
  2> cairn: check: odd: offset 100, padding after the header: expected 0x00, found 0x78
  [3]

  $ cairn check --json odd
  {"image":"odd","ok":false,"format":null,"alg":null,"size":null,"inodes":null,"digest":null,"offence":"offset 100, padding after the header: expected 0x00, found 0x78"}
  [3]

  $ head -c 5000 v1 >short; cairn check short
  2> cairn: check: short: xattr_blkaddr at offset 1068 is 2, past the end of the image
  [3]

  $ cairn check /bin/true
  2> cairn: check: /bin/true: not a composefs image: magic at offset 0 is 0x464c457f, expected 0xd078629a
  [3]

  $ : >empty; cairn check empty
  2> cairn: check: empty: not an image: 0 bytes, expected at least 4096
  [3]

A version of the future.

  $ cp v1 future; printf '\7' | dd of=future bs=1 seek=12 conv=notrunc status=none; cairn check future
  2> cairn: check: future: format at offset 12 is 7, known are 0 to 2
  [4]

What cannot be looked at is no offence.

  $ cairn check nothing
  2> cairn: check: nothing: No such file or directory
  [1]

  $ cairn check .
  2> cairn: check: .: read the image: Is a directory
  [1]

The worst of several counts.

  $ cairn check nothing odd v0
  v0: OK canonical V0
  2> cairn: check: nothing: No such file or directory
  2> cairn: check: odd: offset 100, padding after the header: expected 0x00, found 0x78
  [3]
