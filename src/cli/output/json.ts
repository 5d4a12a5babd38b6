import { stringify } from '../../index.js';
import { escapeControlsInJson } from '../escape.js';

/**
 * The form of the JSON answer. Fields may be added; none is removed or changes its meaning without a new
 * version.
 */
export const SCHEMA = 'kube-volume-metrics/cli/v1';

/** The answer for programs: numbers are exact, and what is not known is absent. */
export function jsonAnswer(answer: Readonly<Record<string, unknown>>): string {
  return `${escapeControlsInJson(stringify({ schema: SCHEMA, ...answer }, 2))}\n`;
}
