# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Container images from a registry on this machine, beside skopeo with umoci, and podman."""

import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys

from harness import MIB, SOURCE, Sample, execute, installed, paired, say

sys.path.insert(0, SOURCE + '/tests/lib')

LAYER = 'application/vnd.oci.image.layer.v1.tar'


def sha256(path):
    with open(path, 'rb') as f:
        return 'sha256:' + hashlib.file_digest(f, 'sha256').hexdigest()


class Images:
    """A layout with images of the same layers, compressed in several ways."""

    def __init__(self, bench, layers):
        from registry import Layout
        self.bench, self.folder = bench, bench.fresh('images')
        self.layout = Layout(self.folder)
        self.tars, self.made = [], {}
        for i, (top, members) in enumerate(layers):
            path = bench.path(f'layer{i}.tar')
            subprocess.run(['tar', '-C', top, '--sort=name', '--format=pax', '-cf', path, *members], check=True)
            self.tars.append(path)

    def add(self, path, media_type, **more):
        digest = sha256(path)
        os.rename(path, f'{self.folder}/blobs/sha256/{digest[7:]}')
        return {'mediaType': media_type, 'digest': digest, **more,
                'size': os.path.getsize(f'{self.folder}/blobs/sha256/{digest[7:]}')}

    def layer(self, tar, how):
        if (tar, how) not in self.made:
            self.made[tar, how] = self.make(tar, how)
        return self.made[tar, how]

    def make(self, tar, how):
        out, notes = self.bench.path('layer.out'), {}
        if how == 'chunked':
            about = json.loads(subprocess.run([self.bench.cairn, 'convert', '--json', '-q', '-o', out, tar],
                                              check=True, capture_output=True).stdout)
            notes = {'annotations': {k: v for k, v in about.items() if k.startswith('io.github')}}
        else:
            command = ['gzip', '-c6', tar] if how == 'gzip' else ['zstd', '-qc3', tar]
            with open(out, 'wb') as f:
                subprocess.run(command, stdout=f, check=True)
        return self.add(out, f'{LAYER}+{"gzip" if how == "gzip" else "zstd"}', **notes)

    def image(self, name, how, tars=None):
        tars = tars or self.tars
        parts = [self.layer(t, how) for t in tars]
        about = {'os': 'linux', 'architecture': 'amd64', 'config': {},
                 'rootfs': {'type': 'layers', 'diff_ids': [sha256(t) for t in tars]}}
        manifest = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
                    'config': self.layout.blob(json.dumps(about).encode(),
                                               'application/vnd.oci.image.config.v1+json'), 'layers': parts}
        self.layout.name(self.layout.document(manifest), name)


def layers_of(quick):
    """Parts of /usr as layers: six of about a gigabyte together."""
    if quick:
        tops = ['share/perl', 'lib/systemd']
        return [('/', ['usr/' + t]) for t in tops if os.path.isdir('/usr/' + t)]
    groups, sizes, wanted = [[] for _ in range(6)], [0] * 6, 1 << 30
    places = [*(t[1:] for t in glob.glob('/usr/lib/*-linux-gnu')), 'usr/lib', 'usr/share', 'usr/bin', 'usr/include']
    tops = [os.path.join(top, name) for top in places if os.path.isdir('/' + top) for name in sorted(os.listdir('/' + top))]
    tops = [t for t in tops if t not in places]
    for top in tops:
        size = sum(os.lstat(os.path.join(d, f)).st_blocks * 512 for d, _, names in os.walk('/' + top)
                   for f in names) or os.lstat('/' + top).st_blocks * 512
        smallest = sizes.index(min(sizes))
        if size < wanted // 4 and sizes[smallest] + size <= wanted // 6 + (32 << 20) and sum(sizes) < wanted:
            groups[smallest].append(top)
            sizes[smallest] += size
    return [('/', g) for g in groups if g]


def change(tar, folder, share):
    """The tar with the first @share of its files changed by a line."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    subprocess.run(['tar', '-C', folder, '-xf', tar], check=True)
    files = sorted(p for p in glob.glob(folder + '/**/*', recursive=True)
                   if os.path.isfile(p) and not os.path.islink(p))
    for path in files[::max(1, round(1 / share))]:
        with open(path, 'ab') as f:
            f.write(b'\n')
    out = tar + '.new'
    subprocess.run(['tar', '-C', folder, '--sort=name', '--format=pax', '-cf', out, 'usr'], check=True)
    shutil.rmtree(folder)
    return out


def pull(bench):
    """Container images from a registry on this machine

    The same layers in gzip, zstd and zstd:chunked, through Debian's docker-registry. `skopeo + umoci`
    copies to a layout and unpacks that, `podman` and `buildah` pull into their storage. An update changes 2 % of the
    files of every layer; peers pull it in gzip. The peers run once. cairn returns when everything is on disk.
    """
    if not shutil.which('docker-registry') or not shutil.which('skopeo'):
        say('pull: no docker-registry, no skopeo')
        return
    from registry import Registry
    images = Images(bench, layers_of(bench.quick))
    changed = [change(t, bench.path('changed'), 0.02) for t in images.tars]
    tags = ['gzip', 'zstd', 'chunked', 'update', 'sharing']
    for how in tags[:3]:
        images.image(how, how)
    images.image('update', 'chunked', changed)
    # All layers but the last, and another one.
    images.image('sharing', 'gzip', images.tars[:-1] + changed[-1:])
    with Registry(bench.fresh('registry')) as registry:
        for name in tags:
            registry.push(f'oci:{images.folder}:{name}', f'i:{name}', '--preserve-digests')
        for tar in images.tars + changed:
            os.unlink(tar)
        Pulls(bench, registry.host).measure()


class Pulls:
    def __init__(self, bench, host):
        self.bench, self.host = bench, host
        self.store, self.other = bench.path('pull.store'), bench.path('pull.other')
        self.rounds = min(bench.rounds, 3)

    def ours(self, tag, *options):
        return [self.bench.cairn, 'pull', '-q', *options, '-s', self.store, '--profile', 'runtime', f'{self.host}/i:{tag}']

    def peers(self, tag):
        url, other = f'{self.host}/i:{tag}', self.other
        where = f'--root {other}/p --runroot {other}/r --storage-driver {self.driver()}'
        return installed({
            'skopeo + umoci': f'skopeo --insecure-policy copy -q --src-tls-verify=false docker://{url} '
                              f'oci:{other}/l:x && umoci unpack --image {other}/l:x {other}/b',
            'podman': f'podman {where} pull -q --tls-verify=false {url}',
            'buildah': f'buildah {where} pull -q --tls-verify=false {url}'})

    def driver(self):
        if not shutil.which('podman'):
            return 'vfs'
        probe = subprocess.run(['podman', '--root', f'{self.other}.probe', '--runroot', f'{self.other}.run', '--storage-driver',
                                'overlay', 'info'], capture_output=True, check=False)
        subprocess.run(['rm', '-rf', f'{self.other}.probe', f'{self.other}.run'], check=True)
        return 'overlay' if probe.returncode == 0 else 'vfs'

    def clean(self, before=None):
        """Nothing of anybody, or what a pull of @before has left of ours."""
        def make(_):
            for path in (self.store, self.other):
                subprocess.run(['rm', '-rf', path], check=True)
            if before:
                execute(self.ours(before))
            os.makedirs(self.other, exist_ok=True)
            os.sync()
        return make

    def about(self, tag, before):
        """What cairn says that pulling @tag fetched, with @before there."""
        self.clean(before)(None)
        return json.loads(subprocess.run(self.ours(tag, '--json'), check=True, capture_output=True).stdout)

    def fetched(self, work, tag, before, reach):
        about, sample = self.about(tag, before), Sample()
        sample.add(about['fetched'])
        self.bench.row(work, sample, about['fetched'] + about['known'], 'all of it', reach,
                       show=lambda size: f'{size / MIB:.1f} MiB')

    def measure(self):
        full = {}
        for tag in ('gzip', 'zstd'):
            s = paired({'cairn': self.ours(tag)}, self.rounds, self.clean())
            peers = self.peers(tag)
            if tag == 'zstd':
                peers.pop('skopeo + umoci', None)  # umoci of Debian 12 reads gzip only
            others = {n: v.median() for n, v in paired(peers, 1, self.clean()).items()}
            best = min(others, key=others.get, default='')
            full[tag] = (others, best)
            self.bench.row(f'pull, {tag}, into an empty store', s['cairn'], others.get(best), best, 0.5, 150 * MIB, others)
        others, best = full['gzip']
        rounds = min(self.rounds, 2)  # for each of them another image is pulled first
        s = paired({'update': self.ours('update')}, rounds, self.clean('chunked'))
        self.bench.row('pull of an update, 2 % of the files, zstd:chunked', s['update'], others.get(best), best, 0.15, 150 * MIB)
        self.fetched('bytes that the update fetches', 'update', 'chunked', 0.05)
        s = paired({'sharing': self.ours('sharing')}, rounds, self.clean('gzip'))
        self.bench.row('pull of an image that shares all layers but one', s['sharing'], others.get(best), best)
        self.clean()(None)


SECTIONS = [pull]
