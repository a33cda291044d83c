Three images: two share a file, two share another, one has one of its own.

  $ export PATH; mkdir a b c; seq 10000 >a/common; cp a/common b/common; seq 20000 >b/pair; cp b/pair c/pair; seq 30000 >c/own

  $ for i in a b c; do cairn build $i --use-epoch --store store --name images/$i -q; done | wc -l
  3

  $ cairn du --store store
  images/a: 63.7 KiB in 2 objects, 47.7 KiB shared; to delete it frees 16.0 KiB
  images/b: 170.1 KiB in 3 objects, 154.1 KiB shared; to delete it frees 16.0 KiB
  images/c: 287.3 KiB in 3 objects, 106.3 KiB shared; to delete it frees 180.9 KiB
  store: 3 images, 521.1 KiB one by one, 367.0 KiB together; 367.0 KiB in 6 objects, 0 B of it reclaimable

Some of them: what goes when they all go is more than what goes with each.

  $ cairn du --store store images/b ref:images/c
  images/b: 170.1 KiB in 3 objects, 154.1 KiB shared; to delete it frees 16.0 KiB
  images/c: 287.3 KiB in 3 objects, 106.3 KiB shared; to delete it frees 180.9 KiB
  to delete all 2 frees 303.3 KiB

A second name; and an image that has lost its name.

  $ cairn tag images/b second --store store; cairn du --store store images/b --json
  \{"image":"images/b","names":\["images/b","second"\],"stream":false,"digest":"[0-9a-f]{64}","objects":3,"bytes":174172,"unique_objects":1,"unique":16384,"shared":157788,"elsewhere":0,"missing":0,"frees":16384,"held":null,"problem":null\} (re)

  $ cairn untag images/c --store store; cairn du --store store | tail -1
  store: 2 images, 233.8 KiB one by one, 186.1 KiB together; 367.0 KiB in 6 objects, 180.9 KiB of it reclaimable

The page needs nothing else: the address in it is the name of SVG.

  $ cairn du --store store --html page.html >/dev/null; grep -c 'https\?://' page.html; head -1 page.html; sed -n 's/.*"figures">//p' page.html | head -1
  1
  <!DOCTYPE html>
  {"store":"store","bytes":375834,"objects":6,"needed":190556,"sum":239450,

What cannot be.

  $ cairn du --store store images/d
  2> cairn: du: images/d: no image of this name in store
  [1]

  $ rm store/objects/*/* -f; cairn du --store store images/a
  images/a: 0 B in 0 objects, 0 B shared; to delete it frees 0 B
    objects missing: 1
    image [0-9a-f]{16}…: open object [0-9a-f/]+: No such file or directory (re)

  $ cairn du --store nowhere
  2> cairn: du: open nowhere: No such file or directory
  [1]
