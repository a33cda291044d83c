fs-verity digests of files.

  $ echo 'hello world' >hello; : >empty
  $ cairn measure hello
  sha256:37061ef2ac4c21bec68489b56138c5780306a4ad7fe6676236ecdf2c9027cd92  hello

  $ cairn measure --all hello empty
  sha256:37061ef2ac4c21bec68489b56138c5780306a4ad7fe6676236ecdf2c9027cd92  hello
  sha512:4098b052d2427dc9029c85062215dd6e6c41667bfae09f5ce90a49f7e01fca295c89b16a4d2703ac5b0593f476ca174675ee51829c2f1fd07c4133a87041c1d7  hello
  sha256:3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95  empty
  sha512:ccf9e5aea1c2a64efa2f2354a6024b90dffde6bbc017825045dce374474e13d10adb9dadcc6ca8e17a3c075fbd31336e8f266ae6fa93a6c3bed66f9e784e5abf  empty

  $ cairn measure --alg sha512 -l empty
  sha512:ccf9e5aea1c2a64efa2f2354a6024b90dffde6bbc017825045dce374474e13d10adb9dadcc6ca8e17a3c075fbd31336e8f266ae6fa93a6c3bed66f9e784e5abf  computed  empty

  $ cairn measure --json --all hello
  {"path":"hello","alg":"sha256","digest":"37061ef2ac4c21bec68489b56138c5780306a4ad7fe6676236ecdf2c9027cd92","source":"computed"}
  {"path":"hello","alg":"sha512","digest":"4098b052d2427dc9029c85062215dd6e6c41667bfae09f5ce90a49f7e01fca295c89b16a4d2703ac5b0593f476ca174675ee51829c2f1fd07c4133a87041c1d7","source":"computed"}

  $ cairn measure - <hello
  sha256:37061ef2ac4c21bec68489b56138c5780306a4ad7fe6676236ecdf2c9027cd92  -

  $ cat hello | cairn measure -
  sha256:37061ef2ac4c21bec68489b56138c5780306a4ad7fe6676236ecdf2c9027cd92  -

  $ cairn measure nothing hello
  sha256:37061ef2ac4c21bec68489b56138c5780306a4ad7fe6676236ecdf2c9027cd92  hello
  2> cairn: measure: nothing: No such file or directory
  [1]

  $ cairn measure .
  2> cairn: measure: .: read: Is a directory
  [1]

  $ cairn measure --all --alg sha256 hello
  2> cairn: measure: --all and --alg exclude each other
  2> Try 'cairn measure -h'.
  [2]
