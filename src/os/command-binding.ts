import type { OsBinding } from './binding.js';
export const commandBinding: OsBinding = {
  name: 'command',
  statFs: () => { throw new Error('soon'); },
  pathInfo: () => { throw new Error('soon'); },
  diskUsage: () => { throw new Error('soon'); },
};
