import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

/** Writes a container image by hand: busybox in one layer, as an OCI archive. The same each time. */

const BLOCK = 512;
const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' };

/**
 * @param {string} file - where the archive goes
 * @param {string} reference - `name:tag`
 * @param {string} busybox - a static busybox
 */
export function writeBusyboxImage(file, reference, busybox) {
  const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).split('\n');
  const layer = tar([
    ...['bin', 'etc', 'tmp'].map((path) => ({ path, type: '5', mode: 0o755 })),
    { path: 'bin/busybox', data: readFileSync(busybox), mode: 0o755 },
    ...applets
      .filter((name) => name !== '' && name !== 'busybox')
      .map((name) => ({ path: `bin/${name}`, type: '2', link: 'busybox', mode: 0o777 })),
    { path: 'etc/passwd', data: Buffer.from('root:x:0:0:root:/:/bin/sh\n') },
    { path: 'etc/group', data: Buffer.from('root:x:0:\n') },
  ]);
  const config = json({
    architecture: ARCHITECTURES[process.arch],
    os: 'linux',
    // A pod's sandbox runs this until it is killed; each container brings a command of its own.
    config: { Entrypoint: ['/bin/sleep', '2147483647'], Env: ['PATH=/bin'] },
    rootfs: { type: 'layers', diff_ids: [digest(layer)] },
    history: [{ created_by: 'test/node/image.mjs' }],
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: described('application/vnd.oci.image.config.v1+json', config),
    layers: [described('application/vnd.oci.image.layer.v1.tar', layer)],
  });
  const index = json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        ...described('application/vnd.oci.image.manifest.v1+json', manifest),
        annotations: {
          'io.containerd.image.name': reference,
          'org.opencontainers.image.ref.name': reference.split(':').at(-1),
        },
      },
    ],
  });
  const blobs = [manifest, config, layer].map((data) => ({
    path: `blobs/sha256/${digest(data).slice('sha256:'.length)}`,
    data,
  }));
  writeFileSync(
    file,
    tar([
      { path: 'oci-layout', data: json({ imageLayoutVersion: '1.0.0' }) },
      { path: 'index.json', data: index },
      ...blobs,
    ]),
  );
}

function json(value) {
  return Buffer.from(JSON.stringify(value));
}

function digest(data) {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}

function described(mediaType, data) {
  return { mediaType, digest: digest(data), size: data.length };
}

/** A tar archive in ustar format, everything owned by root and of the year 1970. */
function tar(entries) {
  const blocks = entries.flatMap(({ path, type = '0', link = '', data = Buffer.alloc(0), mode = 0o644 }) => [
    header({ path, type, link, mode, size: data.length }),
    data,
    Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK),
  ]);
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

function header({ path, type, link, mode, size }) {
  const block = Buffer.alloc(BLOCK);
  const octal = (value, length) => `${value.toString(8).padStart(length - 1, '0')}\0`;
  block.write(path, 0, 100);
  block.write(octal(mode, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(size, 12), 124);
  block.write(octal(0, 12), 136);
  block.write(' '.repeat(8), 148);
  block.write(type, 156);
  block.write(link, 157, 100);
  block.write('ustar\u000000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}
