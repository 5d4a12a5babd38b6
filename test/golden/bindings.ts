import { needs } from '../support/needs.js';

/** The bindings that this machine has; each case is measured through every one of them. */
export const BINDINGS: readonly ('native' | 'command')[] =
  needs({ native: true }) === false ? ['native', 'command'] : ['command'];
