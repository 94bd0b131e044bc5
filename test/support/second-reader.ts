// The second reader of the formats, test/vectors/decode.py: other code, in another language, on another library.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../../src/dev/stack.ts';

/** What to open, and by what key: bytes, or what an earlier step has opened. All bytes in hexadecimal. */
export interface Step {
  open: 'master_id' | 'root' | 'scope' | 'dek' | 'payload' | 'import_key' | 'material' | 'check_value';
  key: string | { step: number };
  blob?: string;
  [field: string]: unknown;
}

const probe = spawnSync('python3', ['-c', 'import cryptography.hazmat.primitives.keywrap'], { encoding: 'utf8' });
const installed = probe.status === 0;
if (!installed)
  process.stderr.write(`the second reader is not run: ${probe.stderr?.trim().split('\n').at(-1) ?? 'there is no python3 here'}\n`);

/** Whether Python and its cryptography are here. */
export const hasSecondReader = installed;

/** What each step opened, or null. */
export const readWithOther = (steps: readonly Step[]): (string | null)[] => {
  const { status, stdout, stderr } = spawnSync('python3', [join(ROOT, 'test/vectors/decode.py')], {
    input: JSON.stringify(steps),
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`decode.py failed: ${stderr}`);
  return JSON.parse(stdout) as (string | null)[];
};
