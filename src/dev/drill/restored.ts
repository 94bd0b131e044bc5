// The stacks that backups are restored to, one at a time: with the certificates of the live one and today's keys, which are
// the master keys, the log's signing key and the key of tokens.
import { chmodSync, copyFileSync, cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeConfigs } from '../configs.ts';
import { placeOf } from '../postgres-place.ts';
import type { Scratch } from '../scratch.ts';
import { silent, type Stack } from '../stack.ts';

const KEY_FILES = ['audit-signing.key', 'token.key'];
/** The folder of master keys. */
export const MASTER_KEYS = 'master-keys';

/** With nothing else in it, not running. */
export const newRestored = ({ live, beside }: Scratch, name: string): Stack => {
  const stack = beside(name);
  mkdirSync(stack.state);
  for (const file of KEY_FILES) copyFileSync(join(live.state, file), join(stack.state, file));
  cpSync(join(live.state, MASTER_KEYS), join(stack.state, MASTER_KEYS), { recursive: true });
  chmodSync(join(stack.state, MASTER_KEYS), 0o700);
  writeConfigs(stack);
  return stack;
};

export const dataPlaceOf = (stack: Stack) => placeOf(stack, silent);
