// @ts-check Makes this process look as on another platform, for `node --import`: KVM_PLATFORM names it. There
// is no /proc, /sys or kubelet's folder, and no addon can be loaded.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import process from 'node:process';

Object.defineProperty(process, 'platform', { value: process.env['KVM_PLATFORM'] });
process.dlopen = () => {
  throw new Error('there is no addon for this platform');
};

const HIDDEN = /^\/(proc|sys|var\/lib\/kubelet)(\/|$)/;

/** @param {unknown} path */
function refuseHidden(path) {
  if (!HIDDEN.test(String(path))) return;
  throw Object.assign(new Error(`ENOENT: no such file or directory, '${String(path)}'`), { code: 'ENOENT' });
}

for (const module of [fs, fs.promises]) {
  const functions = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (module));
  for (const [name, original] of Object.entries(functions)) {
    if (typeof original !== 'function' || !/^[a-z]/.test(name)) continue;
    /** @param {unknown[]} args */
    const checked = (...args) => {
      refuseHidden(args[0]);
      return original.apply(module, args);
    };
    functions[name] = Object.assign(checked, original);
  }
}
syncBuiltinESMExports();
