#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""guest.py [-m MODULE]... COMMAND [ARG...]: runs COMMAND as root in a throw-away guest.

For tests that need what the machine's own kernel may lack: fs-verity, and freedom to break things.
The guest boots a Debian kernel in QEMU (with KVM where it works, else emulated: 3 to 6 s). Its root
file system is the machine's own, read-only, so the same programs and files are there; /tmp, /run,
/var/tmp, /mnt and /root are empty; $SCRATCH is an ext4 with fs-verity. What the command prints comes
out here, and its exit status too. 77: there can be no guest here, and the last line says why.

The kernel is fetched once with apt-get and kept in ${XDG_CACHE_HOME:-~/.cache}/cairn-guest.
"""

import argparse
import fcntl
import glob
import lzma
import os
import shlex
import shutil
import subprocess
import sys
import tempfile

KERNEL = 'linux-image-6.12-amd64'  # the first with EROFS from files is 6.12
MODULES = ['virtio_pci', 'virtio_console', '9pnet_virtio', '9p', 'virtio_blk', 'crc32c_generic', 'ext4',
           'overlay', 'erofs', 'loop', 'fuse', 'btrfs', 'xfs']
LOADED = ['virtio_pci', 'virtio_console', '9pnet_virtio', '9p', 'virtio_blk', 'crc32c_generic', 'ext4',
          'overlay', 'erofs', 'loop']
SECONDS = 570  # a guest that lasts longer is killed
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
cp /second /command /bin/busybox /r/run/guest/
ip link set lo up
exec switch_root /r /run/guest/busybox sh /run/guest/second
'''

# After it has moved to the machine's root: runs the command, and hands over its status.
SECOND = r'''
port=$(echo /dev/vport*p1); port=${port%1}
/bin/bash /run/guest/command </dev/null >${port}1 2>&1
echo $? >${port}2
/run/guest/busybox sync
/run/guest/busybox poweroff -f
'''


def skip(why):
    print(why)
    sys.exit(SKIP)


def fetch_kernel(cache):
    """The directory with the kernel and its modules; fetched if it is not there."""
    for tool in 'qemu-system-x86_64', 'busybox', 'dpkg-deb', 'mke2fs':
        if not shutil.which(tool):
            skip(f'no {tool}')
    os.makedirs(cache, exist_ok=True)
    with open(cache + '/lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = sorted(glob.glob(cache + '/linux-image-*/modules'))
        if ready:
            return os.path.dirname(ready[-1])
        with tempfile.TemporaryDirectory(dir=cache) as work:
            depends = subprocess.run(['apt-cache', 'depends', '--important', KERNEL],
                                     capture_output=True, text=True).stdout
            names = [w for w in depends.split() if w.startswith('linux-image-') and w != KERNEL]
            if not names:
                skip(f'apt knows no {KERNEL}, so there is no kernel for a guest')
            got = subprocess.run(['apt-get', '-qq', '-o', 'APT::Sandbox::User=root', 'download',
                                  names[0]], cwd=work, capture_output=True, text=True)
            if got.returncode:
                skip(f'cannot download {names[0]}: {got.stderr.strip().splitlines()[-1:]}')
            subprocess.run(['dpkg-deb', '-x', glob.glob(work + '/*.deb')[0], work + '/x'], check=True)
            unpack(work + '/x', work + '/k')
            os.rename(work + '/k', f'{cache}/{names[0]}')
        return f'{cache}/{names[0]}'


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
            f.write(data)
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


def run(kernel, args, work):
    source = os.environ.get('CAIRN_SOURCE', os.getcwd())
    shares = shares_for([source, os.environ.get('CAIRN_BUILD', source)])
    env = {k: v for k, v in os.environ.items()
           if k.startswith('CAIRN_') or k.endswith('SAN_OPTIONS') or k in ('PATH', 'LC_ALL', 'LANG')}
    env.update(HOME='/root', TERM='dumb', TMPDIR='/tmp', SCRATCH='/mnt/scratch')
    command = ''.join(f'export {k}={shlex.quote(v)}\n' for k, v in env.items())
    command += 'cd /tmp\nexec ' + shlex.join(args.command) + '\n'
    make_initramfs(kernel, args.module, shares, command, work + '/initramfs')

    with open(work + '/disk', 'wb') as f:
        f.truncate(2 << 30)
    subprocess.run(['mke2fs', '-q', '-F', '-t', 'ext4', '-O', 'verity,^has_journal', '-b', '4096', '-E',
                    'lazy_itable_init=1,nodiscard', work + '/disk'], check=True)
    for name in 'output', 'status', 'console':
        open(f'{work}/{name}', 'w').close()

    qemu = ['qemu-system-x86_64', '-machine', 'q35,usb=off', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp',
            '1', '-m', '1G', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
            '-serial', f'file:{work}/console', '-kernel', kernel + '/vmlinuz', '-initrd',
            work + '/initramfs', '-append',
            'console=ttyS0 quiet panic=-1 oops=panic tsc=reliable lpj=4000000 mitigations=off '
            'no_timer_check random.trust_cpu=1 cryptomgr.notests',
            '-drive', f'file={work}/disk,if=none,id=disk,format=raw,cache=unsafe', '-device',
            'virtio-blk-pci,drive=disk', '-device', 'virtio-serial-pci']
    for number, name in (1, 'output'), (2, 'status'):
        qemu += ['-chardev', f'file,id={name},path={work}/{name}', '-device',
                 f'virtserialport,chardev={name},nr={number}']
    for tag, path in [('root', '/')] + shares:
        qemu += ['-fsdev', f'local,id={tag},path={path},security_model=none,multidevs=remap,readonly=on',
                 '-device', f'virtio-9p-pci,fsdev={tag},mount_tag={tag}']
    try:
        subprocess.run(qemu, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=open(work + '/console', 'a'), timeout=SECONDS)
    except subprocess.TimeoutExpired:
        print(f'the guest did not end within {SECONDS} s', file=sys.stderr)

    with open(work + '/output', 'rb') as f:
        sys.stdout.buffer.write(f.read())
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
    parser.add_argument('-m', '--module', action='append', default=[], help='one more to load')
    parser.add_argument('command', nargs=argparse.REMAINDER)
    args = parser.parse_args()
    cache = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'),
                         'cairn-guest')
    kernel = fetch_kernel(cache)
    with tempfile.TemporaryDirectory() as work:
        return run(kernel, args, work)


if __name__ == '__main__':
    sys.exit(main())
