// Rows as messages.
import type { Checkpoint, Entry } from '../gen/strongroom/audit/v1/audit_service.ts';
import type { Audit } from './audit.ts';
import { eventOfLeaf } from './event.ts';
import type { Signed } from './publication.ts';
import type { EntryRow } from './sql/entries.ts';

export const toEntry = (row: EntryRow): Entry => ({
  index: row.index,
  source: row.source,
  recordTime: row.record_time,
  event: eventOfLeaf(row.leaf),
  leaf: row.leaf,
  leafHash: row.leaf_hash,
});

export const toCheckpoint = ({ verifier, publication }: Audit, { size, root, note }: Signed): Checkpoint => ({
  treeSize: size,
  rootHash: root,
  note,
  verifierKey: verifier.text,
  verifierKeys: publication.verifiers.map(({ text }) => text),
  policy: publication.policy,
});
