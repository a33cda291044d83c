#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""real_images.py FOLDER [images|runs|interrupt]...: images made of Debian's packages, through a registry on this machine, beside podman and umoci.

Not one of the tests, for it takes minutes and the network: run it by hand, as root. In FOLDER, which is kept, debootstrap makes a
minimal system, buildah and umoci make seven images of it (layers upon layers, removals, a directory in the place of a
link, capabilities, gzip and zstd), and Debian's registry hands them out. Each is then pulled and mounted, and is the same for
diff, stat and getfattr as what podman mounts and what umoci unpacks. And podman runs what cairn pushed, cairn what podman pushed.
"""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from faults import Faults  # noqa: E402
from programs import program  # noqa: E402
from registry import Registry  # noqa: E402

MIRROR = 'http://deb.debian.org/debian'
# Name: (the image below, commands in it).
IMAGES = {
    'base': (None, ''),
    'python': ('base', 'apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-minimal'),
    'nginx': ('base', 'apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light && '
              'apt-get clean && rm -rf /var/lib/apt/lists'),
    'git': ('python', 'apt-get install -y -qq --no-install-recommends git iputils-ping && apt-get clean && '
            'rm -rf /var/lib/apt/lists/* /usr/share/doc'),
    'slim': ('git', 'apt-get purge -y -qq git && rm -rf /usr/share/locale /usr/share/man /usr/share/doc && '
             'mkdir /usr/share/doc && touch /usr/share/doc/new && rm /bin/sh && ln -s bash /bin/sh'),
    'changed': ('nginx', 'chown -R www-data /etc/nginx && rm /etc/os-release && mkdir -p /etc/os-release/d && '
                'ln /usr/bin/env /usr/bin/env2 && chmod 4755 /usr/bin/env && '
                'mv /usr/share/nginx /usr/share/n && ln -s n /usr/share/nginx'),
}


def execute(*command, **more):
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, **more).stdout.decode()


class Tools:
    def __init__(self, folder):
        self.folder = folder
        self.policy = f'{folder}/policy.json'
        with open(self.policy, 'w', encoding='utf-8') as f:
            json.dump({'default': [{'type': 'insecureAcceptAnything'}]}, f)
        self.where = ['--root', f'{folder}/containers', '--runroot', f'{folder}/run', '--storage-driver', 'overlay']

    def buildah(self, *words):
        return execute('buildah', *self.where, *words, stderr=subprocess.DEVNULL).strip()

    def podman(self, *words):
        return execute('podman', *self.where, *words).strip()

    def skopeo(self, *words):
        return execute('skopeo', '--policy', self.policy, 'copy', '-q', *words)

    def cairn(self, *words):
        return execute(program('cairn'), *words).strip()


# --- making the images ------------------------------------------------------------------------------

def make_root(folder):
    root = f'{folder}/root'
    if not os.path.exists(f'{root}/etc/os-release'):
        execute('debootstrap', '--variant=minbase', 'bookworm', root, MIRROR)
    return root


def make_images(t):
    """Layouts FOLDER/images:NAME of all images, and "umoci", which umoci made upon one of them."""
    layout = f'{t.folder}/images'
    if os.path.exists(f'{layout}/complete'):
        return layout
    root = make_root(t.folder)
    for name, (below, commands) in IMAGES.items():
        container = t.buildah('from', '--pull-never', f'localhost/{below}' if below else 'scratch')
        if below:
            t.buildah('run', '--isolation', 'chroot', container, 'sh', '-c', commands)
        else:
            t.buildah('copy', '-q', container, root, '/')
        t.buildah('config', '--cmd', '/usr/bin/env', container)
        t.buildah('commit', '-q', '--signature-policy', t.policy, '--rm', container, f'localhost/{name}')
        t.buildah('push', '-q', '--signature-policy', t.policy, f'localhost/{name}', f'oci:{layout}:{name}')
    bundle = f'{t.folder}/bundle'
    execute('umoci', 'unpack', '--image', f'{layout}:python', bundle)
    shutil.rmtree(f'{bundle}/rootfs/usr/share/doc')
    shutil.copytree(f'{bundle}/rootfs/etc', f'{bundle}/rootfs/usr/share/doc/etc', symlinks=True)
    execute('umoci', 'repack', '--image', f'{layout}:umoci', bundle)
    shutil.rmtree(bundle)
    open(f'{layout}/complete', 'w', encoding='utf-8').close()
    return layout


# --- comparing --------------------------------------------------------------------------------------

def facts(top):
    """What stat and getfattr tell of each name, and which names are one file; the numbers of links and sizes of directories are
    the file system's."""
    listed, first = [], {}
    for folder, names, files in os.walk(top):
        for name in names + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            facts = [os.path.relpath(path, top), oct(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns]
            if not stat.S_ISDIR(st.st_mode):
                facts += [st.st_size, st.st_nlink]
            if stat.S_ISLNK(st.st_mode):
                facts.append(os.readlink(path))
            if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
                facts.append(st.st_rdev)
            listed.append(facts)
    listed.sort(key=lambda f: f[0])
    for fact in listed:
        st = os.lstat(os.path.join(top, fact[0]))
        if st.st_nlink > 1 and not stat.S_ISDIR(st.st_mode):
            fact.append(first.setdefault((st.st_dev, st.st_ino), fact[0]))
    attributes = execute('getfattr', '-R', '-h', '-d', '-m', '^(user|security.capability|system)', '-e', 'hex',
                         '--absolute-names', top).replace(top, '').split('\n\n')
    return listed, sorted(attributes)


def same(what, ours, theirs, since=None):
    """@since: directories with times after that were made by the other tool itself, for a layer has no entry of them."""
    said = subprocess.run(['diff', '-r', '--no-dereference', ours, theirs], check=False, capture_output=True).stdout.decode()
    # For diff no device is like another.
    said = [line for line in said.splitlines() if 'is a character special file while' not in line]
    (names, attributes), (other_names, other_attributes) = facts(ours), facts(theirs)
    for a, b in zip(names, other_names):
        if since and a[0] == b[0] and stat.S_ISDIR(int(b[1], 8)) and b[-1] > since:
            b[-1] = a[-1]
    for a, b in ((names, other_names), (attributes, other_attributes)):
        said += sorted({str(f) for f in a} ^ {str(f) for f in b})
    if said:
        sys.exit(f'{what}:\n' + '\n'.join(said[:30]))
    return len(names)


def check_image(t, host, store, name):
    mount, bundle = f'{t.folder}/mnt', f'{t.folder}/bundle'
    shutil.rmtree(bundle, ignore_errors=True)
    os.makedirs(mount, exist_ok=True)
    start = time.monotonic()
    about = json.loads(t.cairn('pull', '-q', '--json', '-s', store, '--profile', 'runtime', '-n', name, f'{host}/{name}'))
    seconds = time.monotonic() - start
    assert t.cairn('oci', 'digest', '-q', '--profile', 'runtime', f'oci:{t.folder}/images:{name.split("-")[0]}') == about['digest']
    t.cairn('mount', '-s', store, name, mount)
    try:
        since = os.stat(f'{t.folder}/images/complete').st_mtime_ns
        t.podman('pull', '-q', '--tls-verify=false', f'{host}/{name}')
        theirs = t.podman('image', 'mount', f'{host}/{name}')
        nr = same(f'{name}, podman', mount, theirs, since)
        t.podman('image', 'umount', f'{host}/{name}')
        if '-' not in name:  # umoci of Debian 12 reads gzip only
            execute('umoci', 'unpack', '--image', f'{t.folder}/images:{name}', bundle)
            same(f'{name}, umoci', mount, f'{bundle}/rootfs')
            shutil.rmtree(bundle)
    finally:
        t.cairn('umount', mount)
    print(f'{name}: {nr} names the same; {about["layers"]} layers, {about["known_layers"]} were here, fetched '
          f'{about["fetched"] >> 10} KiB, {about["new_objects"]} new objects; pulled in {seconds:.2f} s', flush=True)


# --- running, and interrupting ----------------------------------------------------------------------

def check_runs(t, host, store):
    """What cairn pushed, for podman; and the other way round."""
    about = json.loads(t.cairn('push', '-q', '--json', '-s', store, 'git', f'{host}/from-cairn'))
    # Limits of its own, and cgroups without systemd: what works in most containers and virtual machines.
    said = t.podman('--cgroup-manager', 'cgroupfs', '--runtime', 'runc', 'run', '--rm', '--network', 'none', '--ulimit',
                    'nofile=1000:1000', '--ulimit', 'nproc=1000:1000', '--tls-verify=false', f'{host}/from-cairn', 'git', '--version')
    print(f'podman ran what cairn pushed ({about["made"]} of {about["layers"]} layers compressed anew): {said}')
    t.podman('push', '-q', '--tls-verify=false', '--signature-policy', t.policy, 'localhost/python', f'{host}/from-podman')
    t.cairn('pull', '-q', '-s', store, '--profile', 'runtime', '-n', 'from-podman', f'{host}/from-podman')
    said = t.cairn('run', '-s', store, 'from-podman', '--', 'python3', '-c', 'import sys; print(sys.version)')
    print(f'cairn ran what podman pushed: {said}', flush=True)


def check_interrupt(t, registry, folder):
    """Ctrl-C in the middle, and what the next pull has to fetch."""
    store = f'{folder}/interrupted'
    shutil.rmtree(store, ignore_errors=True)
    with Faults(upstream=('127.0.0.1', registry.port)) as server:
        manifest = json.loads(t.cairn('oci', 'inspect', '-m', f'{server.url[7:]}/git'))
        slow = manifest['layers'][-1]
        server.add(f'/v2/git/blobs/{slow["digest"]}', 'drip', 100000, 0.2)
        process = subprocess.Popen([program('cairn'), 'pull', '-s', store, '--profile', 'runtime', f'{server.url[7:]}/git'],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(8)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT
        t.cairn('fsck', '-q', '-s', store)
        print('fsck after Ctrl-C: clean')
        server.clear()
        about = json.loads(t.cairn('pull', '-q', '--json', '-s', store, '--profile', 'runtime', f'{server.url[7:]}/git'))
        print(f'the next pull: {about["known_layers"]} of {about["layers"]} layers were here', flush=True)
        assert about['known_layers'] == about['layers'] - 1


def main():
    if len(sys.argv) < 2 or os.geteuid() != 0:
        sys.exit(__doc__)
    parts = sys.argv[2:] or ['images', 'runs', 'interrupt']
    t = Tools(os.path.abspath(sys.argv[1]))
    os.makedirs(t.folder, exist_ok=True)
    layout, store = make_images(t), f'{t.folder}/store'
    for path in (store, f'{t.folder}/registry'):
        shutil.rmtree(path, ignore_errors=True)
    with Registry(f'{t.folder}/registry') as registry:
        for name in [*IMAGES, 'umoci']:
            t.skopeo('--dest-tls-verify=false', f'oci:{layout}:{name}', f'docker://{registry.host}/{name}')
        t.skopeo('--dest-tls-verify=false', '--dest-compress-format', 'zstd', f'oci:{layout}:changed',
                 f'docker://{registry.host}/changed-zstd')
        for name in [*IMAGES, 'umoci', 'changed-zstd'] if 'images' in parts else ['git']:
            check_image(t, registry.host, store, name)
        if 'runs' in parts:
            check_runs(t, registry.host, store)
        if 'interrupt' in parts:
            check_interrupt(t, registry, t.folder)


main()
