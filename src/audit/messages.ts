// Rows as messages.
import type { Checkpoint, Entry } from '../gen/strongroom/audit/v1/audit_service.ts';
import { eventOfLeaf } from './event.ts';
import type { Verifier } from './note.ts';
import type { LogState } from './recovery.ts';
import type { EntryRow } from './sql/entries.ts';

export const toEntry = (row: EntryRow): Entry => ({
  index: row.index,
  source: row.source,
  recordTime: row.record_time,
  event: eventOfLeaf(row.leaf),
  leaf: row.leaf,
  leafHash: row.leaf_hash,
});

export const toCheckpoint = ({ checkpoint }: LogState, verifier: Verifier): Checkpoint => ({
  treeSize: checkpoint.size,
  rootHash: checkpoint.root,
  note: checkpoint.note,
  verifierKey: verifier.text,
});
