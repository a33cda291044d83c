The program by itself.

  $ cairn
  2> cairn: a command is missing
  2> Try 'cairn -h'.
  [2]

  $ cairn -h
  Usage: cairn COMMAND [OPTION]... OPERAND...
  
  Verified file system images that share their files.
  
  Commands:
    build       make an image of a directory, a dump text or another image
    digest      print the digest of an image without writing it
    mount       mount an image, verified
    umount      unmount images
    mounts      list the images that are mounted, and how they are kept right
    run         run a command with an image as its root
    bundle      write a bundle for an OCI runtime
    features    tell what can be done here, what will be, and how to get more
    ls          list the names in an image
    dump        print a tree as composefs-dump(5) text
    objects     list the objects that images need
    missing     list the objects that images need and a store lacks
    cat         print files of an image, verified
    export-dir  write the tree of an image as files, verified
    tar         write the tree of an image as a tar stream, verified
    diff        tell why two images, directories or dumps differ
    check       prove that images are well formed and canonical
    measure     print the fs-verity digests of files
    images      list the images in a store
    refs        list the names of images and streams in a store
    tag         give names to an image in a store
    untag       take names from images in a store
    fsck        find damage in a store, and mend it
    gc          remove from a store what nothing names
    store       make a store, and tell what one is
    du          tell what images of a store cost, alone and together
    copy        copy an image and its contents into another store
    fetch       bring an image and its contents from a web server
    export      list the images of a store for 'cairn fetch' of others
    pull        bring a container image into a store
    push        send a container image from a store to a registry
    convert     make a zstd:chunked layer of a tar archive
    oci         look at container images in registries, layouts and stores
    version     print the version
    help        tell what there is
    completion  print the completion script for bash, zsh or fish
  
  'cairn help COMMAND' or 'cairn COMMAND -h' tells the options of one.

  $ cairn --help | head -n 1
  Usage: cairn COMMAND [OPTION]... OPERAND...

  $ cairn --version
  cairn 0.1.0

  $ cairn version --json
  {"version":"0.1.0"}

  $ cairn frobnicate
  2> cairn: unknown command 'frobnicate'
  2> Try 'cairn -h'.
  [2]

  $ cairn help frobnicate
  2> cairn: help: unknown command 'frobnicate'
  2> Try 'cairn help -h'.
  [2]

Help of one command; it is also said by `cairn help`.

  $ cairn build -h
  Usage: cairn build [OPTION]... SOURCE -o IMAGE | --name REF
  
  Make an image of a directory, a dump text or another image.
  Prints the fs-verity digest of the image.
  
  Options:
    -o, --output IMAGE      where to write the image, - for standard output
    -s, --store DIR         put the contents of the files of a directory there
    -n, --name REF          keep the image in the store and let this name refer to it
    -f, --format FORMAT     format of the image: auto (default), 0, 1 or 2
        --alg ALG           digest algorithm (default: that of the store or source, sha256)
        --use-epoch         set every modification time to 1970
        --skip-devices      leave out block and character devices
        --skip-xattrs       leave out extended attributes
        --user-xattrs       keep only extended attributes named user.*
        --split-hardlinks   make each name of a hard-linked file a file of its own
    -x, --one-file-system   do not enter other file systems
        --profile PROFILE   whose rules a tar archive is read by (default: runtime)
        --strict            refuse dump text that is only read by tolerance
        --lenient           read dump text as mkcomposefs does (default)
    -j, --jobs N            threads (default: one for each processor)
    -q, --quiet             no progress, no summary
        --no-cache          read every file, also those that an earlier build has read
        --verify-cache      read every file, and fail if the cache says something else of one
    -v, --verbose           the summary even where standard error is no terminal
        --json              print JSON, one object a line
    -h, --help              show this help

  $ cairn mount --help
  Usage: cairn mount [OPTION]... IMAGE DIR
  
  Mount an image, verified.
  With --spec, DIR is left out.
  
  Options:
    -s, --store DIR         store with the contents, may be given several times
    -o, --options OPTIONS   mount options, see below
        --backend HOW       how it is mounted; default: what keeps the promise best
        --require STATE     refuse to mount when it would be weaker
        --verify            verify all contents now, where the kernel will not
        --require-seal      only what was sealed when it was pulled
        --seal-cert FILE    and the seal be signed with this certificate
        --no-check          do not check an image that no digest pins
    -j, --jobs N            threads for verifying
    -f, --foreground        if a process serves it: do not return before it is unmounted
        --spec              mount nothing, print what would be
    -v, --verbose           tell how it was mounted
        --json              print JSON, one object a line
    -h, --help              show this help
  
  Mount options (-o, parted by commas; a backslash makes the next character literal):
    basedir=DIR[:DIR]...    object directories, after those of --store
    digest=HEX              the image must have this fs-verity digest; implies verity
    verity                  refuse to mount where contents cannot be verified
    tryverity               verify where it can be done (default)
    noverity                do not verify
    upperdir=DIR            changes go there, with workdir=
    workdir=DIR             scratch directory on the file system of upperdir
    ro, rw                  read-only, or not (default)
    idmap=PATH|PID          map owners by this user namespace
    nosuid, nodev, noexec, noatime
    statfs=image|store      whose numbers df shows (default: store)

  $ cairn diff -h --no-such-option | head -n 1
  Usage: cairn diff [OPTION]... A B

  $ cairn help --json check
  {"command":"check","operands":"IMAGE...","option":"store","short":"s","arg":"DIR","choices":null,"help":"store to look for an image in, may be given several times"}
  {"command":"check","operands":"IMAGE...","option":"json","short":null,"arg":null,"choices":null,"help":"print JSON, one object a line"}
  {"command":"check","operands":"IMAGE...","option":"help","short":"h","arg":null,"choices":null,"help":"show this help"}

Mistakes in options.

  $ cairn build --no-such-option x
  2> cairn: build: unknown option --no-such-option
  2> Try 'cairn build -h'.
  [2]

  $ cairn build -Z x
  2> cairn: build: unknown option -Z
  2> Try 'cairn build -h'.
  [2]

  $ cairn build --outp x y
  2> cairn: build: unknown option --outp
  2> Try 'cairn build -h'.
  [2]

  $ cairn build x -o
  2> cairn: build: -o needs IMAGE
  2> Try 'cairn build -h'.
  [2]

  $ cairn build x --output
  2> cairn: build: --output needs IMAGE
  2> Try 'cairn build -h'.
  [2]

  $ cairn build --json=yes x
  2> cairn: build: --json takes no argument
  2> Try 'cairn build -h'.
  [2]

  $ cairn build --format 3 x -o y
  2> cairn: build: --format: one of auto|0|1|2|v0|v1|v2, not '3'
  2> Try 'cairn build -h'.
  [2]

  $ cairn build --alg=md5 x -o y
  2> cairn: build: --alg: one of sha256|sha512, not 'md5'
  2> Try 'cairn build -h'.
  [2]

  $ cairn build --jobs 0 x -o y
  2> cairn: build: --jobs: a number from 1 to 1024, not '0'
  2> Try 'cairn build -h'.
  [2]

  $ cairn build -j 1x x -o y
  2> cairn: build: --jobs: a number from 1 to 1024, not '1x'
  2> Try 'cairn build -h'.
  [2]

  $ cairn build --jobs=99999999999999999999 x -o y
  2> cairn: build: --jobs: a number from 1 to 1024, not '99999999999999999999'
  2> Try 'cairn build -h'.
  [2]

Missing and superfluous operands.

  $ cairn build
  2> cairn: build: needs SOURCE -o IMAGE | --name REF
  2> Try 'cairn build -h'.
  [2]

  $ cairn build a b -o c
  2> cairn: build: unexpected operand 'b'
  2> Try 'cairn build -h'.
  [2]

  $ cairn build a
  2> cairn: build: --output or --name is missing
  2> Try 'cairn build -h'.
  [2]

  $ cairn diff a
  2> cairn: diff: needs A B
  2> Try 'cairn diff -h'.
  [2]

  $ cairn version now
  2> cairn: version: unexpected operand 'now'
  2> Try 'cairn version -h'.
  [2]

`--` ends the options, and `-xVALUE` is one.

  $ cairn measure -- --json
  2> cairn: measure: --json: No such file or directory
  [1]

  $ cairn build -onowhere/image -f1 none
  2> cairn: build: none: No such file or directory
  [1]

Names in messages are harmless for the terminal.

  $ cairn measure $'a\033[31m\nb'
  2> cairn: measure: a\x1b[31m\nb: No such file or directory
  [1]

  $ cairn completion csh
  2> cairn: completion: bash, zsh or fish, not 'csh'
  2> Try 'cairn completion -h'.
  [2]

  $ cairn measure $GOLDEN/01-empty-root.dump >/dev/full
  2> cairn: measure: standard output: No space left on device
  [1]
