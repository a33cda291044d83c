Looking at container images.

  $ mkdir layout; tar -xf $GOLDEN/oci/oci-layout.tar -C layout

  $ cairn oci ls oci:layout
  sha256:58facb783e2265841300435a5ced9d3fffe8ad583a766192cb49e134d735c225 linux/amd64 plain
  sha256:033182a3c9746138d91994dce344776cb766e2229f91bbff9f2eb24f1fc8055e linux/amd64 inline-sealed
  sha256:30e5ff2aa6fd19236f013535e673f2c5489cb5f6e8c097a9099152dd9def425d linux/amd64 label-sealed

  $ cairn oci inspect oci:layout:plain
  reference  oci:layout:plain
  digest     sha256:58facb783e2265841300435a5ced9d3fffe8ad583a766192cb49e134d735c225
  index      -
  type       application/vnd.oci.image.manifest.v1+json
  platform   linux/amd64
  created    2023-11-14T22:13:20Z
  config     sha256:fbdb96d47233127a1705467f18b191700921e72ceb552d2623fcf900c5f57815
  layers     2, 6.6 KiB

  $ cairn oci layers oci:layout:plain
    0 sha256:f2e131380257b9dd3c83779b7d8a90c7532edaf40aa441c5cc022091b240d6a4 sha256:1c319bc48b54ca5d4a34f4824fc6dab8389438b5f182ddf256a7d79ec6e78040 gzip 6.4 KiB
    1 sha256:835311abf408b79a39f65582b7cc7374275d047461a0dd901f3f62045a6e74bb sha256:2340bfd0e8891d5772a47a52288f5d3f71ba5e4a0f83dfb1c5902527adb783a2 zstd 188 B

  $ cairn oci layers --json oci:layout:plain | head -n 1
  {"layer":0,"digest":"sha256:f2e131380257b9dd3c83779b7d8a90c7532edaf40aa441c5cc022091b240d6a4","size":6590,"media_type":"application/vnd.oci.image.layer.v1.tar+gzip","compression":"gzip","created_by":"base","diff_id":"sha256:1c319bc48b54ca5d4a34f4824fc6dab8389438b5f182ddf256a7d79ec6e78040","stored":null,"by_table":null,"shared":null}

  $ cairn oci inspect --json oci:layout:plain
  {"reference":"oci:layout:plain","digest":"sha256:58facb783e2265841300435a5ced9d3fffe8ad583a766192cb49e134d735c225","index":null,"type":"application/vnd.oci.image.manifest.v1+json","platform":"linux/amd64","created":"2023-11-14T22:13:20Z","config":"sha256:fbdb96d47233127a1705467f18b191700921e72ceb552d2623fcf900c5f57815","config_type":"application/vnd.oci.image.config.v1+json","layers":2,"size":6778,"artifact_type":null}

  $ cairn oci inspect -m oci:layout:plain | sha256sum
  58facb783e2265841300435a5ced9d3fffe8ad583a766192cb49e134d735c225  -

  $ cairn oci inspect -c oci:layout:plain | sha256sum
  fbdb96d47233127a1705467f18b191700921e72ceb552d2623fcf900c5f57815  -

What was pulled is looked at in the store.

  $ cairn pull oci:layout:plain -n os/plain -s store
  c80449620920f329addb8afc8f5febf1a83d77f0b4794bbf6b31a4c6976b21f4

  $ cairn oci ls store: -s store
  os/plain

  $ cairn oci digest store:os/plain -s store
  c80449620920f329addb8afc8f5febf1a83d77f0b4794bbf6b31a4c6976b21f4

  $ cairn oci inspect -m store:os/plain -s store | sha256sum
  58facb783e2265841300435a5ced9d3fffe8ad583a766192cb49e134d735c225  -

  $ cairn oci layers store:os/plain -s store | cut -d ' ' -f 4,6-
  sha256:f2e131380257b9dd3c83779b7d8a90c7532edaf40aa441c5cc022091b240d6a4 gzip 6.4 KiB, stored: os/plain
  sha256:835311abf408b79a39f65582b7cc7374275d047461a0dd901f3f62045a6e74bb zstd 188 B, stored: os/plain

  $ cairn oci inspect store: -s store
  2> cairn: oci inspect: store: an image must be named, as in store:NAME
  [2]

  $ cairn oci inspect store:plain -s store
  2> cairn: oci inspect: store:plain: plain: no container image of that name is in the store
  [1]

  $ cairn pull store:os/plain -s store
  2> cairn: pull: store:os/plain: only what looks into a store can find it
  [2]

What cannot be meant.

  $ cairn oci inspect oci:layout
  2> cairn: oci inspect: 3 images are in it: name one, as in oci:DIR:NAME
  [2]

  $ cairn oci inspect oci:layout:none
  2> cairn: oci inspect: oci:layout:none: there is no image none in it
  [1]

  $ cairn oci inspect ./layout
  2> cairn: oci inspect: './layout' is not a reference to an image: a path needs a kind in front, such as oci:
  [2]

  $ cairn oci inspect oci:nowhere
  2> cairn: oci inspect: oci:nowhere: nowhere: No such file or directory
  [1]

  $ cairn oci inspect -p a/b/c/d oci:layout:plain
  2> cairn: oci inspect: 'a/b/c/d' is not a platform: [OS/]ARCHITECTURE[/VARIANT]
  [2]

  $ cairn oci inspect -p arm64 oci:layout:plain
  2> cairn: oci inspect: oci:layout:plain: the image is for linux/amd64, not linux/arm64
  [1]

  $ cairn oci inspect -m -c oci:layout:plain
  2> cairn: oci inspect: --manifest, --config and --json exclude each other
  2> Try 'cairn oci inspect -h'.
  [2]

  $ cairn oci inspect --creds x q.invalid/a
  2> cairn: oci inspect: --creds is not USER:PASSWORD
  2> Try 'cairn oci inspect -h'.
  [2]

  $ cairn oci nothing
  2> cairn: oci: unknown command 'nothing'
  2> Try 'cairn oci -h'.
  [2]

A manifest that is not what it was.

  $ printf x >> layout/blobs/sha256/58facb783e2265841300435a5ced9d3fffe8ad583a766192cb49e134d735c225

  $ cairn oci inspect oci:layout:plain
  2> cairn: oci inspect: oci:layout:plain: sha256:58facb783e2265841300435a5ced9d3fffe8ad583a766192cb49e134d735c225: it has 557 bytes, not 556
  [3]
