import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

const STEP_MS = 500;
const STEP = Buffer.alloc(256 * 1024, 'log ');

/** Then all are removed, and it begins anew: 8 MiB in each folder at most. */
const STEPS = 32;

/**
 * What the pods do while the node is served: they write into their volumes, a file at a time. Resolves when
 * it was stopped.
 */
export async function writeFiles(folders: readonly string[], stop: AbortSignal): Promise<void> {
  for (let step = 0; !stop.aborted; step = (step + 1) % STEPS) {
    for (const folder of folders) {
      const files = Array.from({ length: STEPS }, (_, at) => join(folder, `access.log.${String(at)}`));
      if (step === 0) await Promise.all(files.map((file) => rm(file, { force: true })));
      await writeFile(files[step] ?? '', STEP);
    }
    await setTimeout(STEP_MS, undefined, { signal: stop }).catch(() => undefined);
  }
}
