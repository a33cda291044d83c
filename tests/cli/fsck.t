A store that is well.

  $ mkdir tree; seq 1000 >tree/one; seq 2000 >tree/two; seq 300000 >tree/large; cairn store init st --insecure >/dev/null
  $ cairn build tree --name a --store st >digest; cairn fsck --store st | sed 's/[0-9.]* MiB/SIZE/'
  4 objects, SIZE, 1 image, 0 streams, 1 reference: 0 damaged, 0 mended; 0 leftovers
  $ cp -a st good; cairn fsck --store st --json | sed 's/"bytes":[0-9]*/"bytes":N/'
  {"objects":4,"bytes":N,"images":1,"streams":0,"refs":1,"damage":0,"repaired":0,"leftovers":0,"complete":true}

A changed object, one that is too short, one that is missing; and whom that hurts.

  $ object() { cairn ls ref:a --store st --json | sed -n "s,.*\"path\":\"/$1\".*\"object\":\"\\([^\"]*\\)\".*,st/objects/\\1,p"; }; for i in one two large; do ln -s $(object $i) $i.object; done
  $ chmod u+w st/objects/*/*; printf x | dd of=large.object bs=1 seek=1000000 conv=notrunc status=none; truncate -s 100 two.object; rm $(readlink one.object)
  $ cairn fsck --store st | sed -e "s/$(cat digest)/DIGEST/" -e 's/ [0-9a-f]\{64\}:/ ID:/' -e 's/[0-9.]* MiB/SIZE/' | sort
    hurts a: /large
    hurts a: /one
    hurts a: /two
  3 objects, SIZE, 1 image, 0 streams, 1 reference: 3 damaged, 0 mended; 0 leftovers
  missing ID: missing
  object ID: its content does not have its digest
  object ID: its content does not have its digest
  $ cairn fsck --store st -q >/dev/null
  [3]
  $ cairn fsck --store st --json -q | grep -c '"uses":1,"image":"'$(cat digest)
  3
  $ cairn fsck --metadata-only --store st | sed -e "s/$(cat digest)/DIGEST/" -e 's/ [0-9a-f]\{64\}:/ ID:/'
  missing ID: missing
    hurts a: /one
  3 objects, 0 B, 1 image, 0 streams, 1 reference: 1 damaged, 0 mended; 0 leftovers
  $ ls st/cairn; find st -newer digest -name '*.0'
  cache
  leases

Mended from another store; nothing else is changed.

  $ cairn fsck --repair --from good --store st | sed -e "s/$(cat digest)/DIGEST/" -e 's/ [0-9a-f]\{64\}:/ ID:/' -e 's/[0-9.]* MiB/SIZE/' | sort
    hurts a: /large
    hurts a: /one
    hurts a: /two
  3 objects, SIZE, 1 image, 0 streams, 1 reference: 3 damaged, 3 mended; 0 leftovers
  missing ID: missing (mended)
  object ID: its content does not have its digest (mended)
  object ID: its content does not have its digest (mended)
  $ cairn fsck --store st -q; diff -r st/objects good/objects; ls st/cairn/quarantine | wc -l
  2

Without a right one what is bad is put aside, and a build makes it anew.

  $ truncate -s 100 two.object; cairn fsck --repair -q --store st | sed -e "s/$(cat digest)/DIGEST/" -e 's/ [0-9a-f]\{64\}:/ ID:/'
  object ID: its content does not have its digest
    hurts a: /two
  $ test -e two.object
  [1]
  $ cairn build tree --name a --store st --no-cache | diff - digest; cairn fsck -q --store st; cmp two.object tree/two

A source that is damaged itself is no help.

  $ truncate -s 100 two.object; cp two.object good/$(readlink two.object | cut -d / -f 2-); cairn fsck --repair --from good -q --store st >/dev/null
  [3]
  $ cairn build tree --name a --store st --no-cache | diff - digest

An image, names, and what lies about.

  $ ln -s $(cut -c 1-2 digest)/$(cut -c 3- digest) image; printf x | dd of=st/objects/$(readlink image) bs=1 seek=100 conv=notrunc status=none
  $ ln -s ../nothing st/images/refs/b; touch st/images/c st/objects/00x st/.symlink-0123456789ab st/objects/.tmp-object-x; mkdir st/objects/0A
  $ cairn fsck -q --store st | sed -e "s/$(cat digest)/DIGEST/g"
  object DIGEST: its content does not have its digest
    hurts a
  leftover .symlink-0123456789ab: of a process that did not live to finish it
  name images/c: st/images/c: not a symbolic link
  name images/refs/b: leads to nothing, which is missing
  leftover objects/.tmp-object-x: an object that was not finished
  stray objects/00x: not a directory of objects
  stray objects/0A: not a directory of objects
  $ cairn fsck -q --store st --repair --from good | sed -e "s/$(cat digest)/DIGEST/g" | grep mended
  object DIGEST: its content does not have its digest (mended)
  $ rm -r st/images/refs/b st/images/c st/objects/00x st/objects/0A; cairn fsck -q --store st
  leftover .symlink-0123456789ab: of a process that did not live to finish it
  leftover objects/.tmp-object-x: an object that was not finished
  $ cairn gc --store st | sed 's/.*; //'; cairn fsck -q --store st
  2 leftovers

Hostile: nothing is followed.

  $ mv st/objects/$(cut -c 1-2 digest) aside; ln -s ../../aside st/objects/$(cut -c 1-2 digest); cairn fsck -q --store st | sed -e "s/$(cat digest)/DIGEST/g" -e 's,objects/..:,objects/XX:,'
  missing DIGEST: the image is missing
    hurts a
  stray objects/XX: not a directory
  $ rm st/objects/$(cut -c 1-2 digest); mv aside st/objects/$(cut -c 1-2 digest); for i in a0 a1 a2 a3 a4; do [ -e st/objects/$i ] || break; done; mkfifo st/objects/$i; cairn fsck -q --store st | sed 's,objects/..:,objects/XX:,'; rm st/objects/$i
  stray objects/XX: not a directory

Scrubbing.

  $ cairn fsck --scrub --store st | sed 's/[0-9.]* MiB/SIZE/'
  4 objects, SIZE: 0 damaged, 0 mended
  $ timeout -s INT 3 cairn fsck --scrub --rate 100K --store st --json | sed -e 's/.*"complete"/"complete"/'; wc -c <st/cairn/scrub
  64
  $ cairn fsck --scrub --rate 1G --store st | sed 's/^[0-9]* objects, [0-9.]* [KM]iB/N objects/'; test -e st/cairn/scrub
  N objects: 0 damaged, 0 mended
  [1]

Mistakes.

  $ cairn fsck --rate 5 --store st
  2> cairn: fsck: --rate is for --scrub
  2> Try 'cairn fsck -h'.
  [2]
  $ cairn fsck --scrub --rate 5X --store st
  2> cairn: fsck: --rate: a number and K, M or G, not '5X'
  2> Try 'cairn fsck -h'.
  [2]
  $ cairn fsck --from good --store st
  2> cairn: fsck: --from is for --repair
  2> Try 'cairn fsck -h'.
  [2]
  $ cairn fsck --scrub -m --store st
  2> cairn: fsck: --scrub and --metadata-only exclude each other
  2> Try 'cairn fsck -h'.
  [2]
  $ cairn fsck --repair --from nowhere --store st
  2> cairn: fsck: open nowhere: No such file or directory
  [1]

A bare directory of objects.

  $ cairn fsck --store good/objects | sed -e 's/ [0-9a-f]\{64\}:/ ID:/' -e 's/[0-9.]* MiB/SIZE/'
  object ID: its content does not have its digest
  4 objects, SIZE, 0 images, 0 streams, 0 references: 1 damaged, 0 mended; 0 leftovers
