# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""eStargz and its elder stargz: a tar as gzip members, a table of contents, a footer. Written from the description of the format."""

import base64
import gzip
import hashlib
import io
import json
import struct
import tarfile
import time

TOC_DIGEST = 'containerd.io/snapshot/stargz/toc.digest'
LANDMARK = '.prefetch.landmark'
NO_LANDMARK = '.no.prefetch.landmark'
TABLE = 'stargz.index.json'
TYPES = {tarfile.DIRTYPE: 'dir', tarfile.SYMTYPE: 'symlink', tarfile.LNKTYPE: 'hardlink', tarfile.CHRTYPE: 'char',
         tarfile.BLKTYPE: 'block', tarfile.FIFOTYPE: 'fifo', tarfile.REGTYPE: 'reg', tarfile.AREGTYPE: 'reg'}


def sha256(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()


def entry_of(member):
    entry = {'name': member.name + ('/' if member.isdir() else ''), 'type': TYPES[member.type]}
    if member.size:
        entry['size'] = member.size
    if member.mtime:
        entry['modtime'] = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(int(member.mtime + 0.5)))
    if member.linkname:
        entry['linkName'] = member.linkname
    numbers = {'mode': member.mode, 'uid': member.uid, 'gid': member.gid}
    if member.type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        numbers.update(devMajor=member.devmajor, devMinor=member.devminor)
    entry.update({key: value for key, value in numbers.items() if value})
    xattrs = {key[len('SCHILY.xattr.'):]: base64.b64encode(value.encode('utf-8', 'surrogateescape')).decode()
              for key, value in member.pax_headers.items() if key.startswith('SCHILY.xattr.')}
    if xattrs:
        entry['xattrs'] = xattrs
    return entry


def footer(offset, old=False):
    text = b'%016xSTARGZ' % offset
    field = text if old else b'SG' + struct.pack('<H', len(text)) + text
    return (b'\x1f\x8b\x08\x04' + bytes(5) + b'\xff' + struct.pack('<H', len(field)) + field +
            b'\x01\0\0\xff\xff' + bytes(8))


def table_tar(plain, mode=0):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo(TABLE)
        info.size, info.mode = len(plain), mode
        archive.addfile(info, io.BytesIO(plain))
    return out.getvalue()[:512 + (len(plain) + 511) // 512 * 512 + 1024]


def estargz(data, chunk_size=4 << 20, old=False, change=None, table_mode=0, landmark=LANDMARK):
    """(blob, digest of the table, plain tar) of the tar @data, an end and a landmark added. @change: of the table, as a function."""
    out, blob, entries = io.BytesIO(), b'', []
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = archive.getmembers()
        end = archive.offset if hasattr(archive, 'offset') else len(data)
    end = max((m.offset_data + (m.size + 511) // 512 * 512 for m in members), default=0)
    body = data[:end]
    if landmark and not old:
        with tarfile.open(fileobj=out, mode='w', format=tarfile.USTAR_FORMAT) as archive:
            info = tarfile.TarInfo(landmark)
            info.size, info.mode = 1, 0
            archive.addfile(info, io.BytesIO(b'\x0f'))
        body += out.getvalue()[:1024]
        info.offset_data = end + 512
        members.append(info)
    begun = 0
    for member in members:
        entry = entry_of(member)
        entries.append(entry)
        if not member.isreg():
            continue
        content = body[member.offset_data:member.offset_data + member.size]
        entry['digest'] = sha256(content)
        for at in range(0, member.size, chunk_size):
            piece = content[at:at + chunk_size]
            blob += gzip.compress(body[begun:member.offset_data + at], 6, mtime=0)
            begun = member.offset_data + at
            if at:
                entry = {'name': member.name, 'type': 'chunk'}
                entries.append(entry)
            entry['offset'] = len(blob)
            if member.size > chunk_size:
                entry.update({'chunkOffset': at} if at else {})
                entry.update({'chunkSize': len(piece)} if len(piece) == chunk_size else {})
            if not old:
                entry['chunkDigest'] = sha256(piece)
    blob += gzip.compress(body[begun:], 6, mtime=0)
    table = {'version': 1, 'entries': entries}
    if change:
        change(table)
    plain = json.dumps(table, indent='\t').encode()
    tail = table_tar(plain, table_mode)
    at = len(blob)
    blob += gzip.compress(tail, 6, mtime=0) + footer(at, old)
    return blob, sha256(plain), body + tail
