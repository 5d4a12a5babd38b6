import { escapeControls } from 'kube-volume-metrics';

/** Takes a line of the driver's log. */
export type Log = (line: string) => void;

/** The log with every line escaped, so that nothing in a request can look like a line of its own. */
export function escapedLines(log: Log): Log {
  return (line) => {
    log(escapeControls(line));
  };
}
