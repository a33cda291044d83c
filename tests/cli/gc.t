What no name leads to is removed.

  $ mkdir a b; seq 1000 >a/one; seq 2000 >a/two; cp a/two b/; seq 3000 >b/three; cairn store init st --insecure >/dev/null
  $ for i in a b; do cairn build $i --name $i --store st >$i.digest; done
  $ cairn gc --store st
  removed 0 of 5 objects, 0 B on disk; 0 images, 0 streams; 0 leftovers
  $ cairn untag b --store st; cairn gc --dry-run --store st | sed 's/, [0-9.]* KiB on disk//'
  would remove 2 of 5 objects; 1 image, 0 streams
  $ cairn gc --store st --json | sed 's/"bytes":[0-9]*,"size":[0-9]*/"bytes":N,"size":N/'
  {"store":"st","objects":5,"removed":2,"bytes":N,"size":N,"images":1,"streams":0,"leftovers":0,"dangling":0,"dry_run":false,"blocked":false}
  $ find st/objects -type f | wc -l; cairn diff a ref:a --store st
  3
  no difference
  $ ls st/images | grep -c -v refs
  1

An image outside, and a list of digests, are kept when they are given.

  $ cairn build b -o image --store st >b.digest; cairn gc -n --store st | sed 's/, .*;/;/'
  would remove 1 of 4 objects; 0 images, 0 streams
  $ cairn gc --root image --store st
  removed 0 of 4 objects, 0 B on disk; 0 images, 0 streams; 0 leftovers
  $ cairn build b --name b --store st >b.digest; cairn untag b --store st
  $ mkdir entries; echo "options composefs=$(cat b.digest) ro" >entries/b.conf; cairn gc --root entries --store st
  removed 0 of 5 objects, 0 B on disk; 0 images, 0 streams; 0 leftovers
  $ echo "$(cat b.digest)0" >list; cairn gc --root list --store st | sed 's/, .*;/;/'
  removed 2 of 5 objects; 0 leftovers
  $ cairn gc --root entries --store st 2>&1 | sed "s/$(cat b.digest)/DIGEST/"
  cairn: gc: the root DIGEST is not in the store
  removed 0 of 3 objects, 0 B on disk; 0 images, 0 streams; 0 leftovers
  $ cairn gc --root nothing --store st
  2> cairn: gc: nothing: No such file or directory
  [1]

A name that leads nowhere is told, and no reason to stop.

  $ ln -s ../nothing st/images/refs/dangling; cairn gc --store st
  removed 0 of 3 objects, 0 B on disk; 0 images, 0 streams; 0 leftovers
  2> cairn: gc: images/refs/dangling: dangling: what it names is missing

An image that cannot be read is one: what it needs is not known.

  $ cairn build b --name b --store st >b.digest; ln -s st/objects/$(cut -c 1-2 b.digest)/$(cut -c 3- b.digest) b.image
  $ cp b.image kept; rm $(readlink b.image); head -c 5000 kept >b.image; cairn gc --store st 2>&1 | sed "s/$(cat b.digest)/DIGEST/"
  cairn: gc: images/refs/dangling: dangling: what it names is missing
  cairn: gc: image DIGEST: its content does not have its digest
  $ find st/objects -type f | wc -l; cp kept b.image
  5

Somebody else's lock: he may use what no name leads to yet.

  $ cairn untag b --store st; (exec 9<st; flock -s 9; exec sleep 5) & sleep 0.5; cairn gc --wait 1 --store st 2>&1 | sed 's/process [0-9]*/process N/; s/, [0-9.]* KiB on disk//'; kill $!; wait
  cairn: gc: images/refs/dangling: dangling: what it names is missing
  cairn: gc: st: process N has it locked, nothing was removed
  would remove 2 of 5 objects; 1 image, 0 streams
  $ cairn gc --store st | sed 's/, [0-9.]* KiB on disk//'
  removed 2 of 5 objects; 1 image, 0 streams; 0 leftovers
  2> cairn: gc: images/refs/dangling: dangling: what it names is missing

Nothing is named at all: is that meant?

  $ cairn untag a dangling --store st; cairn gc --store st
  2> cairn: gc: st: no reference and no image given names anything in it; all 3 objects would go
  [2]
  $ cairn gc --empty --store st | sed 's/, [0-9.]* KiB on disk//'
  removed 3 of 3 objects; 1 image, 0 streams; 0 leftovers
  $ find st/objects -type f; cairn gc --store st
  removed 0 of 0 objects, 0 B on disk; 0 images, 0 streams; 0 leftovers

What has no names.

  $ mkdir -p bare/ab; cairn gc --store bare
  2> cairn: gc: bare: a bare directory of objects has no references to go by
  [2]

An empty directory is still one that can become a store.

  $ mkdir none; cairn gc --store none; ls none
  removed 0 of 0 objects, 0 B on disk; 0 images, 0 streams; 0 leftovers
