Making a store.

  $ cairn store init st --insecure
  st: repository, version 1, sha256, secure: no, images: V1

  $ cat st/meta.json
  {
    "version": 1,
    "algorithm": "fsverity-sha256-12",
    "features": {
      "compatible": [],
      "read-only-compatible": [
        "v1_erofs"
      ],
      "incompatible": []
    },
    "erofs_formats": {
      "default": 1
    }
  }

  $ cairn store init st; cairn store init st --alg sha256 --format 1
  st: repository, version 1, sha256, secure: no, images: V1
  st: repository, version 1, sha256, secure: no, images: V1

  $ cairn store init st --alg sha512
  2> cairn: store init: st: is there already, with another algorithm
  [2]

  $ cairn store init --store st --format 2
  2> cairn: store init: st: is there already, with another format of images
  [2]

  $ cairn store init other --alg sha512 --format 2 --insecure --json
  {"store":"other","layout":"repository","version":1,"algorithm":"sha512","secure":false,"format":"V2","formats":"V2","read_only":false,"feature":null}

  $ cairn store init --store a b
  2> cairn: store init: DIR and --store name two stores
  2> Try 'cairn store init -h'.
  [2]

  $ cairn store init --secure --insecure
  2> cairn: store init: --secure and --insecure exclude each other
  2> Try 'cairn store init -h'.
  [2]

Where it is: --store, then CAIRN_STORE, then below the home directory.

  $ CAIRN_STORE=other cairn store info
  other: repository, version 1, sha512, secure: no, images: V2

  $ CAIRN_STORE=other cairn store info --store st
  st: repository, version 1, sha256, secure: no, images: V1

  $ CAIRN_STORE=other cairn store info st
  st: repository, version 1, sha256, secure: no, images: V1

  $ CAIRN_STORE=nowhere cairn store info
  2> cairn: store info: open nowhere: No such file or directory
  [1]

A store that is filled without having been made.

  $ mkdir tree; seq 1000 >tree/file; cairn build tree -o image --store new --alg sha512 >/dev/null
  $ cairn store info new --json | sed 's/"secure":[a-z]*,//'
  {"store":"new","layout":"repository","version":1,"algorithm":"sha512","format":"V1","formats":"V1","read_only":false,"feature":null}

An old one, and what is none.

  $ mkdir -p old/objects/ab; cairn store info old
  old: repository without meta.json, sha256

  $ touch old/objects/ab/$(printf %0126d 0); cairn store info old
  old: repository without meta.json, sha512

  $ mkdir old/images; cairn store init old --insecure
  old: repository, version 1, sha512, secure: no, images: V2

  $ mkdir -p bare/ab; cairn store info bare --json
  {"store":"bare","layout":"objects","version":null,"algorithm":"sha256","secure":false,"format":null,"formats":null,"read_only":false,"feature":null}

  $ cairn store init bare
  2> cairn: store init: bare: a bare directory of objects, not a repository
  [2]

  $ cairn store init tree
  2> cairn: store init: tree: neither a repository nor a directory of objects
  [2]

Of a newer time.

  $ sed -i s/v1_erofs/holes/ st/meta.json; cairn store info st --loud
  2> cairn: store info: unknown option --loud
  2> Try 'cairn store info -h'.
  [2]

  $ cairn store info st
  st: repository, version 1, sha256, secure: no, images: V1; read-only, feature holes is not known here

  $ cairn build tree -o image --store st
  2> cairn: build: st: read-only for us, its feature holes is not known here
  [4]

  $ sed -i 's/"incompatible": \[\]/"incompatible": ["sp\\u0061rse"]/' st/meta.json; cairn store info st
  2> cairn: store info: st/meta.json: incompatible feature sparse is not known here
  [4]

  $ sed -i 's/"version": 1/"version": 9/' st/meta.json; cairn store info st
  2> cairn: store info: st/meta.json: version 9 is not known here
  [4]

  $ echo '{' >st/meta.json; cairn store info st
  2> cairn: store info: st/meta.json: line 2, column 0: not JSON
  [1]

  $ yes | head -c 1M >st/meta.json; cairn store info st
  2> cairn: store info: st/meta.json: larger than 64 KiB
  [1]

  $ rm st/meta.json; ln -s ../other/meta.json st/; cairn store info st
  2> cairn: store info: st: neither a repository nor a directory of objects
  [2]

  $ rm st/meta.json; mkfifo st/meta.json; cairn store info st
  2> cairn: store info: st: neither a repository nor a directory of objects
  [2]

Groups of commands.

  $ cairn store
  2> cairn: store: a command is missing
  2> Try 'cairn store -h'.
  [2]

  $ cairn store frobnicate
  2> cairn: store: unknown command 'frobnicate'
  2> Try 'cairn store -h'.
  [2]

  $ cairn store -h
  Usage: cairn store COMMAND [OPTION]... OPERAND...
  
  Make a store, and tell what one is.
  
  Commands:
    init        make a store, or give an old one its meta.json
    info        tell what a store is
    parents     list or change the stores that a store looks into
  
  'cairn store COMMAND -h' tells the options of one.

  $ cairn help store | head -n 1
  Usage: cairn store COMMAND [OPTION]... OPERAND...

  $ cairn help store info | head -n 1
  Usage: cairn store info [OPTION]... [DIR]

  $ cairn help build info
  2> cairn: help: unknown command 'build info'
  2> Try 'cairn help -h'.
  [2]
