import { parseArgs } from 'node:util';

/** The kubelet's own read-only port. */
const DEFAULT_PORT = 10255;

export const USAGE = `Usage: npm start -- [options]

Builds a small node in a temporary folder, measures its volumes, prints what it found, and removes everything.

  --serve    keep measuring, and serve http://127.0.0.1:PORT/metrics, /stats/summary and /healthz until Ctrl-C
  --port N   where to serve (${String(DEFAULT_PORT)}; 0: any free port)
  --help     this text
`;

/** What the program is to do. */
export type ProgramOptions =
  { readonly mode: 'help' } | { readonly mode: 'once' } | { readonly mode: 'serve'; readonly port: number };

/** @throws TypeError for arguments that are none */
export function programOptions(args: readonly string[]): ProgramOptions {
  const { values } = parseArgs({
    args: [...args],
    options: { serve: { type: 'boolean' }, port: { type: 'string' }, help: { type: 'boolean' } },
  });
  if (values.help === true) return { mode: 'help' };
  if (values.serve !== true) {
    if (values.port !== undefined) throw new TypeError('--port is of use with --serve only');
    return { mode: 'once' };
  }
  const port = values.port === undefined ? DEFAULT_PORT : Number(values.port);
  if (values.port?.trim() === '' || !Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new TypeError(`--port is a number from 0 to 65535, not ${String(values.port)}`);
  }
  return { mode: 'serve', port };
}
