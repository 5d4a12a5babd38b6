import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One row of a recorded `auth.json`. */
export interface AuthRow {
  readonly case: string;
  readonly endpoint: string;
  readonly protocol: 'HTTP/1.1' | 'HTTP/2';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Left out where the status is 200. */
  readonly body: string;
  readonly bytes: number;
}

export type RecordedVersion = '1.26' | '1.37';

export function recordedText(version: RecordedVersion, file: string): string {
  return readFileSync(join(import.meta.dirname, '../record', `kubelet-${version}`, file), 'utf8');
}

// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller knows the file
export function recordedJson<T = unknown>(version: RecordedVersion, file: string): T {
  return JSON.parse(recordedText(version, file)) as T;
}
