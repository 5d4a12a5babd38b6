/** Takes a line of the driver's log. */
export type Log = (line: string) => void;

/** Controls, line separators among them: what a request says must not read as lines of its own. */
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g;

/** The log with whatever could break its lines replaced. */
export function singleLines(log: Log): Log {
  return (line) => {
    log(line.replace(CONTROLS, ' '));
  };
}
