An image in a store, and its name. The owner of the tree is in the digest, so it is taken from the store.

  $ cairn store init st --insecure >/dev/null; mkdir tree; seq 1000 >tree/large; echo small >tree/small

  $ cairn build tree --name site/web --store st >digest; wc -c <digest
  65

  $ cairn refs --store st | sed s/$(cat digest)/DIGEST/
  site/web  DIGEST

  $ cairn images --store st | sed s/$(cat digest)/DIGEST/
  DIGEST  V1  20[0-9-]* [0-9:]*  [0-9.]* KiB  site/web (re)

  $ cairn images --store st --json | sed s/$(cat digest)/DIGEST/g
  \{"image":"DIGEST","digest":"DIGEST","format":"V1","size":[0-9]+,"mtime":[0-9]+,"refs":1,"names":\["site/web"\],"problem":null\} (re)

  $ cairn digest site/web --store st | diff - digest

  $ (cd st && find images -type l -printf '%p %l\n' | sed s/$(cat ../digest)/DIGEST/ | sort)
  images/DIGEST ../objects/[0-9a-f]{2}/[0-9a-f]{62} (re)
  images/refs/site/web ../../DIGEST

Into a file as well: it is the same image.

  $ cairn build tree --name site/web --output file -s st | diff - digest; cairn digest file | diff - digest

  $ cairn build tree --name site/web -s st --json | sed s/$(cat digest)/DIGEST/
  \{"source":"tree","image":null,"name":"site/web","digest":"DIGEST","alg":"sha256","format":"V1","size":[0-9]+,"inodes":259,"files":2,"bytes":0,"cached":2,"new_objects":0,"new_bytes":0,"reflinked":0,"seconds":[0-9.]+\} (re)

Other names.

  $ cairn tag site/web a b --store st --json | sed s/$(cat digest)/DIGEST/
  {"ref":"a","digest":"DIGEST"}
  {"ref":"b","digest":"DIGEST"}

  $ cairn tag $(head -c 10 digest) c --store st; cairn tag sha256:$(cat digest) d --store st

  $ cairn untag a site/web --store st; cairn refs --store st | cut -d ' ' -f 1
  b
  c
  d

  $ ls st/images/refs
  b
  c
  d

  $ cairn untag a ref:d --store st
  2> cairn: untag: a: no such name in st
  [1]

  $ cairn untag a --store st
  2> cairn: untag: a: no such name in st
  [1]

A name moves only when it is told to; a build moves it always.

  $ cairn build $GOLDEN/01-empty-root.dump --name empty --store st
  14a26c957c84f6eb774b91205476adc13196c7c33b9dd97d08d43725ecb90b63

  $ cairn tag empty b --store st
  2> cairn: tag: b: is the name of another image (--move gives it to this one)
  [2]

  $ cairn tag empty b --move --store st; cairn digest b --store st
  14a26c957c84f6eb774b91205476adc13196c7c33b9dd97d08d43725ecb90b63

  $ cairn build tree --name empty --store st | diff - digest

What an image is called: as it is given, whole, shortened, with and without the kind.

  $ cairn ls b --store st --json | wc -l
  1

  $ cairn ls sha256:$(cairn digest empty --store st) --store st
  /large	@ d0/9ddad512a4fd1a24d9cbf43a091d42c50b6c5179e68c81b00bfd27f43b1922
  /small

  $ cairn ls $(head -c 6 digest) --store st | wc -l; cairn ls ref:c --store st | wc -l
  2
  2

  $ CAIRN_STORE=st cairn cat c small; CAIRN_STORE=st cairn cat c large | cmp - tree/large
  small

  $ CAIRN_STORE=st cairn check b c
  b: OK canonical V1
  c: OK canonical V1

  $ CAIRN_STORE=st cairn objects c | wc -l
  1

  $ CAIRN_STORE=st cairn diff c tree
  no difference

  $ cairn cat c small --store nowhere --store st
  2> cairn: cat: open nowhere: No such file or directory
  [1]

  $ cairn cat c large --store bare --store st
  2> cairn: cat: open bare: No such file or directory
  [1]

A file wins, unless it is said that a name is meant.

  $ echo '/ 4096 40755 2 0 0 0 0.0 - - -' >c; CAIRN_STORE=st cairn ls c; CAIRN_STORE=st cairn ls ref:c | wc -l
  2

  $ CAIRN_STORE=st cairn ls ./b
  2> cairn: ls: ./b: No such file or directory
  [1]

  $ rm c

What is not there.

  $ CAIRN_STORE=st cairn ls frob
  2> cairn: ls: frob: no such file, and no image of this name in st
  [1]

  $ CAIRN_STORE=st cairn ls ref:frob
  2> cairn: ls: ref:frob: no image of this name in st
  [1]

  $ CAIRN_STORE=st cairn ls sha256:00112233
  2> cairn: ls: sha256:00112233: no image of this name in st
  [1]

  $ CAIRN_STORE=st cairn ls sha512:00112233
  2> cairn: ls: sha512:00112233: no image of this name in st
  [1]

  $ CAIRN_STORE=st cairn ls sha256:0011
  2> cairn: ls: sha256:0011: no image of this name in st
  [1]

  $ CAIRN_STORE=nowhere cairn ls frob
  2> cairn: ls: frob: No such file or directory
  [1]

  $ CAIRN_STORE=nowhere cairn ls ref:frob
  2> cairn: ls: open nowhere: No such file or directory
  [1]

  $ cairn ls frob --store st
  2> cairn: ls: frob: no such file, and no image of this name in st
  [1]

  $ CAIRN_STORE=st cairn tag frob x
  2> cairn: tag: frob: no image of this name in st
  [1]

  $ CAIRN_STORE=nowhere cairn refs
  2> cairn: refs: open nowhere: No such file or directory
  [1]

Names that cannot be.

  $ cairn tag c c/d --store st
  2> cairn: tag: c/d: a part of it is a name already, or no directory
  [2]

  $ cairn tag c site/x --store st; cairn tag c site --store st
  2> cairn: tag: site: there are names below it
  [2]

  $ cairn tag c ../../x --store st
  2> cairn: tag: '../../x' cannot be a name: a part that is . or ..
  [2]

  $ cairn tag c '' --store st
  2> cairn: tag: '' cannot be a name: an empty part
  [2]

  $ cairn tag c $(cat digest) --store st 2>&1 | sed s/$(cat digest)/DIGEST/
  cairn: tag: 'DIGEST' cannot be a name: it would be taken for something else

  $ cairn tag c ref:c --store st
  2> cairn: tag: 'ref:c' cannot be a name: it would be taken for something else
  [2]

  $ cairn tag c $'a\nb' --store st
  2> cairn: tag: 'a\x0ab' cannot be a name: control characters, or no UTF-8
  [2]

  $ cairn tag c a//b --store st
  2> cairn: tag: 'a//b' cannot be a name: an empty part
  [2]

  $ cairn tag c $(printf %0256d 0) --store st 2>&1 | tail -c 40
  be a name: a part longer than 255 bytes

An image is named only with all its objects.

  $ seq 1001 >tree/large; cairn build tree -o file >/dev/null; cairn build file --name file --store st
  2> cairn: build: /large: its object is missing in st
  [1]

  $ cairn build tree --store st -o file >/dev/null; cairn build file --name file --store st | wc -l
  1

A bare directory of objects has no names.

  $ mkdir -p bare/ab; cairn build tree --name x --store bare
  2> cairn: build: tree: bare: a bare directory of objects has no names
  [2]

Damage.

  $ ln -s ../nothing st/images/refs/dangling; ln -s /etc/passwd st/images/refs/out; touch st/images/refs/plain

  $ ln -s ../objects/ab/cd st/images/short; cairn refs --store st | grep -v '[0-9a-f]$'
  dangling  nothing  dangling: what it names is missing
  plain    st/images/refs/plain: not a symbolic link

  $ cairn images --store st | sed 's/^[0-9a-f]* .*  //' | sort
  b
  c,empty,site/x
  file
  short  st/images/short: its link does not end in an object's name

  $ cairn ls out --store st
  2> cairn: ls: st/images/refs/out: its link has not one ../ for each part of its name
  [1]

  $ cairn ls plain --store st
  2> cairn: ls: st/images/refs/plain: not a symbolic link
  [1]

  $ cairn ls dangling --store st
  2> cairn: ls: dangling: refers to nothing, which is no image
  [1]

What is in the image must be what its name says.

  $ chmod u+w st/objects/$(cut -c 1-2 digest)/*; echo >>st/objects/$(cut -c 1-2 digest)/$(cut -c 3- digest)

  $ cairn ls ref:c --store st 2>&1 | sed s/$(cat digest)/DIGEST/
  cairn: ls: image DIGEST: its content does not have its digest

