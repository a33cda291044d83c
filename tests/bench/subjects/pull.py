# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""Container images from a registry on this machine, beside skopeo with umoci, and podman."""

import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys

from harness import SOURCE, execute, installed, paired, say

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
        self.tars = []
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
    """Parts of /usr as layers."""
    tops = ['share/perl', 'lib/systemd'] if quick else ['share/doc', 'lib/python3', 'lib/gcc', 'share/perl',
                                                       'lib/llvm-14/lib', 'include']
    found = [t for t in tops if os.path.isdir('/usr/' + t)]
    return [('/', ['usr/' + t]) for t in found]


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
    copies to a layout and unpacks that, `podman` pulls into its storage (vfs). An update changes 2 % of the files
    of every layer. cairn returns when everything is on disk.
    """
    if not shutil.which('docker-registry') or not shutil.which('skopeo'):
        say('pull: no docker-registry, no skopeo')
        return
    from registry import Registry
    images = Images(bench, layers_of(bench.quick))
    for how in ('gzip', 'zstd', 'chunked'):
        images.image(how, how)
    images.image('update', 'chunked', [change(t, bench.path('changed'), 0.02) for t in images.tars])
    with Registry(bench.fresh('registry')) as registry:
        for name in ('gzip', 'zstd', 'chunked', 'update'):
            registry.push(f'oci:{images.folder}:{name}', f'i:{name}', '--preserve-digests')
        measure(bench, registry.host)


def measure(bench, host):
    store, other = bench.path('pull.store'), bench.path('pull.other')

    def clean(name):
        for path in (store, other):
            subprocess.run(['rm', '-rf', path], check=True)
        if 'update' in name:
            old = 'chunked' if name == 'update' else 'gzip'
            execute([bench.cairn, 'pull', '-q', '-s', store, '--profile', 'runtime', f'{host}/i:{old}'])
        os.makedirs(other, exist_ok=True)
        os.sync()

    def ours(tag):
        return [bench.cairn, 'pull', '-q', '-s', store, '--profile', 'runtime', f'{host}/i:{tag}']

    def peers(tag):
        return installed({
            'skopeo + umoci': f'skopeo --insecure-policy copy -q --src-tls-verify=false docker://{host}/i:{tag} '
                            f'oci:{other}/l:x && umoci unpack --image {other}/l:x {other}/b',
            'podman': f'podman --root {other}/p --runroot {other}/r --storage-driver vfs pull -q --tls-verify=false '
                      f'{host}/i:{tag}'})

    rounds = min(bench.rounds, 3)
    for tag in ('gzip', 'zstd'):
        others = peers(tag)
        if tag == 'zstd':
            others.pop('skopeo + umoci', None)  # umoci of Debian 12 reads gzip only
        s = paired({'cairn': ours(tag), **others}, rounds, clean)
        if others:
            best = min(others, key=lambda n: s[n].median())
            bench.row(f'pull, {tag}, into an empty store', s['cairn'], s[best].median(), best, 0.5,
                      peers={n: s[n].median() for n in others})
    s = paired({'update': ours('update'), 'full': ours('update')}, rounds, clean)
    bench.row('pull of an update, 2 % of the files, zstd:chunked', s['update'], s['full'].median(),
              'all of it', 0.15)
    clean('')


SECTIONS = [pull]
