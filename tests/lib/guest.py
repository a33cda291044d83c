#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""guest.py [-k KERNEL] [-m MODULE]... COMMAND [ARG...]: runs COMMAND as root in a throw-away guest.

For tests that need what the machine's own kernel may lack: fs-verity, age, and freedom to break things.
The guest boots a Debian kernel (one of KERNELS) in QEMU, emulated: 3 to 6 s. Its root file system is
the machine's own, read-only, so the same programs and files are there; /tmp, /run, /var/tmp, /mnt and
/root are empty; $SCRATCH is an ext4 with fs-verity, with -k 6.12 $SCRATCH_BTRFS a btrfs; their disks are
$SCRATCH_DEV and $SCRATCH_BTRFS_DEV. What the command prints comes out here, and its exit status too, and
a file cases.xml that it leaves in its working directory. 77: there can be no guest here, and the last
line says why.

The kernels are fetched once with apt-get and kept in ${XDG_CACHE_HOME:-~/.cache}/cairn-guest. What the
machine's own sources do not have comes through an apt configuration of our own; theirs stays as it is.
"""

import argparse
import fcntl
import glob
import lzma
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

# Name: (the package that depends on the kernel, or the beginning of the kernel's own name; suite, or
# None: the machine's own sources). The newest that fits is taken.
KERNELS = {
    '6.12': ('linux-image-6.12-amd64', None),  # the first with EROFS from files
    '6.1': ('linux-image-amd64', None),  # Debian 12's: loop devices, no data-only layers, no verity=
    '6.18': ('linux-image-6.18.', 'trixie-backports'),  # overlayfs for users, with verity=
}
BASE = '6.12'
WITH_BTRFS = {'6.12'}  # its modules take seconds to load
MIRROR = 'http://deb.debian.org/debian'
KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
NO_KERNELS = ('cloud', 'rt-', 'dbg', 'unsigned')  # variants that lack 9p, or are no whole kernels

MODULES = ['virtio_pci', 'virtio_console', '9pnet_virtio', '9p', 'virtio_blk', 'crc32c_generic', 'ext4',
           'overlay', 'erofs', 'loop', 'fuse', 'btrfs', 'xfs']
LOADED = ['virtio_pci', 'virtio_console', '9pnet_virtio', '9p', 'virtio_blk', 'crc32c_generic', 'ext4',
          'overlay', 'erofs', 'loop', 'fuse']
SECONDS = 870  # a guest that lasts longer is killed
SKIP = 77

# The first program in the guest. Devices: root (9p), s0, s1 … (9p, as in /shares), vda (scratch).
INIT = r'''#!/bin/busybox sh
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for m in $(cat /modules/order); do insmod /modules/$m.ko 2>/dev/kmsg; done
p9=trans=virtio,version=9p2000.L,msize=262144,cache=loose
mount -t 9p -o ro,$p9 root /r
for d in proc sys dev; do mount --move /$d /r/$d; done
mkdir -p /r/dev/pts /r/dev/shm
mount -t devpts devpts /r/dev/pts; mount -t tmpfs shm /r/dev/shm
ln -s /proc/self/fd /r/dev/fd
for d in tmp run var/tmp mnt root; do mount -t tmpfs -o mode=755 tmpfs /r/$d; done
chmod 1777 /r/tmp /r/var/tmp
while read -r tag path; do
	mkdir -p "/r$path"
	mount -t 9p -o ro,$p9 "$tag" "/r$path"
done </shares
mkdir /r/mnt/scratch /r/run/guest
mount -t ext4 /r/dev/vda /r/mnt/scratch
chmod 755 /r/mnt/scratch
if [ -e /r/dev/vdb ]; then mkdir /r/mnt/btrfs; mount -t btrfs /r/dev/vdb /r/mnt/btrfs; fi
chmod 666 /r/dev/fuse
cp /second /command /bin/busybox /r/run/guest/
ip link set lo up
exec switch_root /r /run/guest/busybox sh /run/guest/second
'''

# After it has moved to the machine's root: runs the command, and hands over its status.
SECOND = r'''
port=$(echo /dev/vport*p1); port=${port%1}
/bin/bash /run/guest/command </dev/null >${port}1 2>&1
echo $? >${port}2
[ ! -e /tmp/cases.xml ] || cat /tmp/cases.xml >${port}3
/run/guest/busybox sync
/run/guest/busybox poweroff -f
'''


def skip(why):
    print(why)
    sys.exit(SKIP)


def apt_environment(suite, cache):
    """Environment for apt that knows only @suite. Leaves the machine's own apt alone."""
    home = f'{cache}/apt-{suite}'
    for folder in 'state/lists/partial', 'cache/archives/partial':
        os.makedirs(f'{home}/{folder}', exist_ok=True)
    with open(home + '/sources.list', 'w') as f:
        f.write(f'deb [signed-by={KEYRING}] {MIRROR} {suite} main\n')
    with open(home + '/apt.conf', 'w') as f:
        f.write(f'Dir::Etc::sourcelist "{home}/sources.list";\nDir::Etc::sourceparts "-";\n'
                f'Dir::Etc::preferencesparts "-";\nDir::State "{home}/state";\n'
                f'Dir::State::status "/dev/null";\nDir::Cache "{home}/cache";\n'
                'Acquire::Languages "none";\nAPT::Sandbox::User "root";\n')
    return dict(os.environ, APT_CONFIG=home + '/apt.conf')


def apt(env, *args, **more):
    done = subprocess.run(args, env=env, capture_output=True, text=True, **more)
    if done.returncode:
        skip(f'no kernel for a guest: {" ".join(args)}: {(done.stderr.strip() or "failed").splitlines()[-1]}')
    return done.stdout


def version_key(name):
    return [int(w) if w.isdigit() else w for w in re.split(r'(\d+)', name)]


def find_package(name, env):
    """The name of the kernel's own package; KERNELS has @name."""
    if name.endswith('-amd64'):
        names = apt(env, 'apt-cache', 'depends', '--important', name).split()
    else:
        names = apt(env, 'apt-cache', '--names-only', 'search', '^' + re.escape(name)).split()
    names = [n for n in names if n.startswith('linux-image-') and n.endswith('-amd64') and n != name
             and not any(word in n for word in NO_KERNELS)]
    if not names:
        skip(f'no kernel for a guest: apt knows no {name}')
    return max(names, key=version_key)


def fetch_kernel(cache, name):
    """The directory with the kernel and its modules; fetched if it is not there."""
    for tool in 'qemu-system-x86_64', 'busybox', 'dpkg-deb', 'mke2fs':
        if not shutil.which(tool):
            skip(f'no {tool}')
    os.makedirs(cache, exist_ok=True)
    place = f'{cache}/{name}'
    with open(cache + '/lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(place):
            return place
        package, suite = KERNELS[name]
        env = os.environ
        if suite:
            env = apt_environment(suite, cache)
            apt(env, 'apt-get', '-qq', 'update')
        package = find_package(package, env)
        with tempfile.TemporaryDirectory(dir=cache) as work:
            fetch = ['apt-get', '-qq', '-o', 'APT::Sandbox::User=root', 'download']
            apt(env, *fetch, package, cwd=work)
            # From 6.19 on the package is empty, and these two have what was in it.
            depends = subprocess.run(['dpkg-deb', '-f', glob.glob(work + '/*.deb')[0], 'Depends'],
                                     check=True, capture_output=True, text=True).stdout
            for part in re.findall(r'linux-(?:binary|modules)-[^ ,]+', depends):
                apt(env, *fetch, part, cwd=work)
            for deb in glob.glob(work + '/*.deb'):
                subprocess.run(['dpkg-deb', '-x', deb, work + '/x'], check=True)
            unpack(work + '/x', work + '/k')
            os.rename(work + '/k', place)
    return place


def module_name(path):
    return os.path.basename(path).split('.ko')[0].replace('-', '_')


def depends_of(data):
    """The modules that a module's .modinfo section names."""
    names = []
    for key in b'\0depends=', b'\0softdep=pre: ':
        at = data.find(key)
        if at >= 0:
            value = data[at + len(key):data.index(b'\0', at + 1)].decode()
            names += value.replace(',', ' ').split()
    return [n.replace('-', '_') for n in names]


def without_signature(data):
    """A module without its signature, which an emulated machine takes tens of ms to check."""
    if not data.endswith(b'~Module signature appended~\n'):
        return data
    size = int.from_bytes(data[-32:-28], 'big')
    return data[:-40 - size]


def unpack(tree, out):
    """Takes the kernel and the modules that a guest may need out of an unpacked package."""
    os.makedirs(out + '/new')
    shutil.copy(glob.glob(tree + '/boot/vmlinuz-*')[0], out + '/vmlinuz')
    paths = {module_name(p): p for p in glob.glob(tree + '/**/*.ko*', recursive=True)}
    wanted = [m.replace('-', '_') for m in MODULES]
    while wanted:
        name = wanted.pop()
        target = f'{out}/new/{name}.ko'
        if name not in paths or os.path.exists(target):  # not there: built into the kernel
            continue
        if paths[name].endswith('.xz'):
            with lzma.open(paths[name]) as f:
                data = f.read()
        elif paths[name].endswith('.zst'):
            data = subprocess.run(['zstd', '-dcq', paths[name]], check=True,
                                  stdout=subprocess.PIPE).stdout
        else:
            with open(paths[name], 'rb') as f:
                data = f.read()
        with open(target, 'wb') as f:
            f.write(without_signature(data))
        wanted += depends_of(data)
    os.rename(out + '/new', out + '/modules')


def load_order(kernel, names, order):
    for name in names:
        path = f'{kernel}/modules/{name}.ko'
        if name in order or not os.path.exists(path):
            continue
        with open(path, 'rb') as f:
            load_order(kernel, depends_of(f.read()), order)
        order.append(name)
    return order


def archive_entry(name, mode, data):
    """One file of a cpio archive in the `newc` form, as the kernel unpacks it."""
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b'070701' + b''.join(b'%08X' % f for f in fields) + name.encode() + b'\0'
    head += b'\0' * (-len(head) % 4)
    return head + data + b'\0' * (-len(data) % 4)


def make_initramfs(kernel, modules, shares, command, path):
    order = load_order(kernel, [m.replace('-', '_') for m in LOADED + modules], [])
    with open(shutil.which('busybox'), 'rb') as f:
        busybox = f.read()
    files = {'init': INIT, 'second': SECOND, 'command': command,
             'modules/order': '\n'.join(order) + '\n',
             'shares': ''.join(f'{tag} {share}\n' for tag, share in shares)}
    with open(path, 'wb') as out:
        for folder in 'bin', 'modules', 'r', 'proc', 'sys', 'dev':
            out.write(archive_entry(folder, 0o40755, b''))
        out.write(archive_entry('bin/busybox', 0o100755, busybox))
        for applet in 'sh', 'mount', 'mkdir', 'insmod', 'cp', 'cat', 'ln', 'chmod', 'ip', 'switch_root':
            out.write(archive_entry('bin/' + applet, 0o120777, b'busybox'))
        for name in order:
            with open(f'{kernel}/modules/{name}.ko', 'rb') as f:
                out.write(archive_entry(f'modules/{name}.ko', 0o100644, f.read()))
        for name, text in files.items():
            out.write(archive_entry(name, 0o100755, text.encode()))
        out.write(archive_entry('TRAILER!!!', 0, b''))


def shares_for(paths):
    """Directories that the guest's own /tmp and so on would hide."""
    hidden = ('/tmp/', '/run/', '/var/tmp/', '/mnt/', '/root/')
    return [(f's{i}', p) for i, p in enumerate(p for p in sorted(set(paths)) if p.startswith(hidden))]


def ext4(*features):
    """The command that makes a scratch disk."""
    return ['mke2fs', '-q', '-F', '-t', 'ext4', '-O', ','.join(['verity', *features]), '-b', '4096', '-E',
            'lazy_itable_init=1,nodiscard']


def make_disk(path, *command):
    with open(path, 'wb') as f:
        f.truncate(2 << 30)
    subprocess.run([*command, path], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return path


def machine(kernel, work, disks, shares):
    """The command that starts a guest; initramfs and the files that it writes are in @work."""
    qemu = ['qemu-system-x86_64', '-machine', 'q35,usb=off', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp',
            '1', '-m', '1G', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
            '-serial', f'file:{work}/console', '-kernel', kernel + '/vmlinuz', '-initrd',
            work + '/initramfs', '-append',
            'console=ttyS0 quiet panic=-1 oops=panic tsc=reliable lpj=4000000 mitigations=off '
            'no_timer_check random.trust_cpu=1 cryptomgr.notests',
            '-device', 'virtio-serial-pci']
    for number, disk in enumerate(disks):
        qemu += ['-drive', f'file={disk},if=none,id=disk{number},format=raw,cache=unsafe', '-device',
                 f'virtio-blk-pci,drive=disk{number}']
    for number, name in (1, 'output'), (2, 'status'), (3, 'cases'):
        qemu += ['-chardev', f'file,id={name},path={work}/{name}', '-device',
                 f'virtserialport,chardev={name},nr={number}']
    for tag, path in [('root', '/')] + shares:
        qemu += ['-fsdev', f'local,id={tag},path={path},security_model=none,multidevs=remap,readonly=on',
                 '-device', f'virtio-9p-pci,fsdev={tag},mount_tag={tag}']
    return qemu


def run(kernel, args, work):
    source = os.environ.get('CAIRN_SOURCE', os.getcwd())
    shares = shares_for([source, os.environ.get('CAIRN_BUILD', source)])
    env = {k: v for k, v in os.environ.items()
           if k.startswith('CAIRN_') or k.endswith('SAN_OPTIONS') or k in ('PATH', 'LC_ALL', 'LANG')}
    env.update(HOME='/root', TERM='dumb', TMPDIR='/tmp', SCRATCH='/mnt/scratch', SCRATCH_DEV='/dev/vda')
    disks = [make_disk(work + '/disk', *ext4('^has_journal'))]
    if args.kernel in WITH_BTRFS and shutil.which('mkfs.btrfs'):
        args.module.append('btrfs')
        disks.append(make_disk(work + '/btrfs', 'mkfs.btrfs', '-K'))
        env.update(SCRATCH_BTRFS='/mnt/btrfs', SCRATCH_BTRFS_DEV='/dev/vdb')
    command = ''.join(f'export {k}={shlex.quote(v)}\n' for k, v in env.items())
    command += 'cd /tmp\nexec ' + shlex.join(args.command) + '\n'
    make_initramfs(kernel, args.module, shares, command, work + '/initramfs')

    for name in 'output', 'status', 'cases', 'console':
        open(f'{work}/{name}', 'w').close()

    qemu = machine(kernel, work, disks, shares)
    try:
        subprocess.run(qemu, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=open(work + '/console', 'a'), timeout=SECONDS)
    except subprocess.TimeoutExpired:
        print(f'the guest did not end within {SECONDS} s', file=sys.stderr)

    with open(work + '/output', 'rb') as f:
        sys.stdout.buffer.write(f.read())
    if os.path.getsize(work + '/cases'):
        shutil.copy(work + '/cases', 'cases.xml')
    with open(work + '/status') as f:
        status = f.read().strip()
    if not status.isdigit():
        with open(work + '/console', errors='replace') as f:
            print('the guest ended without a status; its console:\n' + ''.join(f.readlines()[-40:]),
                  file=sys.stderr)
        return 1
    return int(status)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('-k', '--kernel', choices=KERNELS, default=BASE, help=f'default: {BASE}')
    parser.add_argument('-m', '--module', action='append', default=[], help='one more to load')
    parser.add_argument('command', nargs=argparse.REMAINDER)
    args = parser.parse_args()
    cache = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'),
                         'cairn-guest')
    kernel = fetch_kernel(cache, args.kernel)
    with tempfile.TemporaryDirectory() as work:
        return run(kernel, args, work)


if __name__ == '__main__':
    sys.exit(main())
