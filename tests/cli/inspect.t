What is in an image.

  $ cairn build -q $GOLDEN/05-hardlink.dump -o image >/dev/null
  $ cairn ls image
  /a
  /b
  /d/	
  /d/c

  $ cairn ls image | diff - $GOLDEN/05-hardlink.ls

  $ cairn ls -l image
  drwxr-xr-x   3     0     0          0 2023-11-14 22:13:20 /
  -rw-r--r--   2     0     0          3 2023-11-14 22:13:20 /a
  -rw-r--r--   2     0     0          3 2023-11-14 22:13:20 /b = /a
  drwxr-xr-x   2     0     0          0 2023-11-14 22:13:20 /d
  -rw-r--r--   2     0     0          3 2023-11-14 22:13:20 /d/c = /a

  $ cairn ls --json image | head -n 2
  {"path":"/","type":"directory","mode":"40755","nlink":3,"uid":0,"gid":0,"size":0,"mtime":1700000000,"target":null,"object":null,"hardlink":null}
  {"path":"/a","type":"file","mode":"100644","nlink":2,"uid":0,"gid":0,"size":3,"mtime":1700000000,"target":null,"object":null,"hardlink":null}

  $ cairn dump image | diff - $GOLDEN/05-hardlink.info

  $ cairn dump image | cairn build -q - -o again; cmp image again
  90f4482ba835da82248752be9ff0118ca6e40f9ad32fe57bdf0e282170b59975

  $ cairn dump --json $GOLDEN/18-xattr-prefixes.dump | head -n 2
  {"path":"/","type":"directory","mode":"40755","nlink":2,"uid":0,"gid":0,"size":0,"mtime":1700000000,"target":null,"object":null,"hardlink":null,"mtime_nsec":0,"rdev":0,"digest":null,"content":null,"xattrs":[]}
  {"path":"/all","type":"file","mode":"100644","nlink":1,"uid":0,"gid":0,"size":0,"mtime":1700000000,"target":null,"object":null,"hardlink":null,"mtime_nsec":0,"rdev":0,"digest":null,"content":null,"xattrs":[{"name":"lustre.lov","value":"E"},{"name":"noprefix","value":"F"},{"name":"security.capability","value":"\u0001\u0000\u0000\u0002"},{"name":"security.selinux","value":"sys\u0000"},{"name":"system.nfs4_acl","value":"D"},{"name":"system.posix_acl_access","value":"A"},{"name":"system.posix_acl_accessX","value":"B"},{"name":"system.posix_acl_default","value":"C"},{"name":"trusted.overlay","value":"G"},{"name":"trusted.t","value":"2"},{"name":"user.","value":"empty-suffix"},{"name":"user.a","value":"1"},{"name":"user.bin","value":"\u0000\u0001�\\\u000a","value_hex":"0001ff5c0a"},{"name":"user.empty","value":""},{"name":"user.eq=key","value":"a=b"},{"name":"user.kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk","value":"longkey"}]}

  $ cairn objects image | diff - $GOLDEN/05-hardlink.objects

  $ cairn objects --json image

Of several images each object once.

  $ cairn build -q $GOLDEN/04-external-forms.dump -o other >/dev/null
  $ cairn objects image other | sort -c && cairn objects image other image | uniq -d

Below a path.

  $ mkdir -p tree/a/b; seq 100 >tree/a/b/file; echo hello >tree/a/small; ln -s ../../a/./b tree/a/b/up
  $ ln -s b/file tree/a/rel; ln -s /a/rel tree/abs; ln -s loop tree/loop; ln tree/a/b/file tree/a/hard
  $ ln -s ../../../../a tree/a/out; mkfifo tree/fifo; ln -s nothing tree/dangling
  $ cairn build -q tree -o tree.cfs --store store | wc -c
  65

  $ cairn ls tree.cfs /a
  /a/	
  /a/b/	
  /a/b/file	@ fe/fa97c3a2277c88d9e650b723c8af6dfc9b147c1862d4c4e28b5bcfc4cfae39
  /a/b/up	-> ../../a/./b
  /a/hard
  /a/out	-> ../../../../a
  /a/rel	-> b/file
  /a/small

  $ cairn ls tree.cfs a/b/
  /a/b/	
  /a/b/file	@ fe/fa97c3a2277c88d9e650b723c8af6dfc9b147c1862d4c4e28b5bcfc4cfae39
  /a/b/up	-> ../../a/./b

  $ cairn dump tree.cfs /a/small | cut -d ' ' -f 1,2,9-
  /a/small 6 - hello\n -

  $ cairn ls tree.cfs /nothing
  2> cairn: ls: tree.cfs: /nothing: No such file or directory
  [1]

  $ cairn ls tree.cfs /a/small/x
  2> cairn: ls: tree.cfs: /a/small/x: No such file or directory
  [1]

Contents, verified.

  $ cairn cat tree.cfs /a/small
  hello

  $ cairn cat tree.cfs -s store a/b/file /a/hard abs a/out/b/up/file | md5sum; cat tree/a/b/file{,,,}| md5sum
  15c3549114c25e65d7bcd2ccc8f4c386  -
  15c3549114c25e65d7bcd2ccc8f4c386  -

  $ cairn cat tree.cfs /a/b/file
  2> cairn: cat: /a/b/file: its content is not in the image; --store is needed
  2> Try 'cairn cat -h'.
  [2]

  $ cairn cat tree.cfs --store store /a
  2> cairn: cat: /a: not a file but a directory
  [1]

  $ cairn cat tree.cfs --store store /fifo
  2> cairn: cat: /fifo: not a file but a fifo
  [1]

  $ cairn cat tree.cfs --store store /loop
  2> cairn: cat: /loop: Too many levels of symbolic links
  [1]

  $ cairn cat tree.cfs --store store /dangling
  2> cairn: cat: /dangling: No such file or directory
  [1]

  $ cairn cat tree.cfs --store store /a/small/x
  2> cairn: cat: /a/small/x: Not a directory
  [1]

Missing objects.

  $ cairn objects tree.cfs --store store --missing

  $ mkdir empty; cairn objects tree.cfs --store store -s empty --json
  {"object":"fe/fa97c3a2277c88d9e650b723c8af6dfc9b147c1862d4c4e28b5bcfc4cfae39","missing":false}

  $ cairn cat tree.cfs --store empty /a/b/file
  2> cairn: cat: /a/b/file: open object fe/fa97c3a2277c88d9e650b723c8af6dfc9b147c1862d4c4e28b5bcfc4cfae39: No such file or directory
  [1]

  $ cairn cat tree.cfs --store empty -s store /a/b/file | wc -l
  100

  $ cairn objects tree.cfs --store empty --missing | diff - <(cairn objects tree.cfs)

  $ cairn objects tree.cfs --missing
  2> cairn: objects: --missing needs --store
  2> Try 'cairn objects -h'.
  [2]

  $ cairn objects tree.cfs --store nothing
  2> cairn: objects: open nothing: No such file or directory
  [1]

An object that has been tampered with is not printed.

  $ object=store/objects/$(cairn objects tree.cfs); chmod u+w $object; echo 1 | dd of=$object conv=notrunc status=none seek=3
  $ cairn cat tree.cfs --store store /a/b/file
  2> cairn: cat: /a/b/file: object fe/fa97c3a2277c88d9e650b723c8af6dfc9b147c1862d4c4e28b5bcfc4cfae39: its content does not have its digest
  [3]

  $ cairn ls $GOLDEN/01-empty-root.dump; cairn ls nothing
  2> cairn: ls: nothing: No such file or directory
  [1]

  $ cairn ls /bin/true
  2> cairn: ls: /bin/true: neither a composefs image, nor a tar archive, nor dump text
  [1]

A reader that has seen enough ends the command silently.

  $ cairn dump /usr/share | head -n 1 | cut -c 1; echo "${PIPESTATUS[@]}"
  /
  141 0 0
