// What the handlers share.
import type { Db } from '../kernel/db.ts';
import type { Relay } from '../kernel/outbox.ts';
import type { PageTokens } from '../kernel/page.ts';
import type { KeyBackend } from './backend.ts';
import type { Chore } from './chores.ts';
import type { Epochs, Schedule } from './epochs.ts';
import type { KeyFiles } from './key-files.ts';
import type { ScopeKeys } from './scope-keys.ts';

export interface Keys {
  readonly db: Db;
  readonly backend: KeyBackend;
  readonly scopeKeys: ScopeKeys;
  readonly relay: Relay;
  readonly files: KeyFiles;
  readonly epochs: Epochs;
  readonly schedule: Schedule;
  readonly expiry: Chore;
  readonly pages: PageTokens;
}
