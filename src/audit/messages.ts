// Rows as messages.
import type { Checkpoint, Entry } from '../gen/strongroom/audit/v1/audit_service.ts';
import type { Audit } from './audit.ts';
import { eventOfLeaf, recordOfLeaf } from './event.ts';
import { withPrivate, type Opening } from './private.ts';
import type { Signed } from './publication.ts';
import type { EntryRow } from './sql/entries.ts';

/** What opens the private fields of an entry that were not erased. */
export const openingsOfRow = ({ private: rows }: Pick<EntryRow, 'private'>): Opening[] =>
  (rows ?? []).map(({ field, value, key }) => ({ field, value, key: Buffer.from(key, 'base64') }));

export const toEntry = (row: EntryRow): Entry => {
  const openings = openingsOfRow(row);
  return {
    index: row.index,
    source: row.source,
    recordTime: row.record_time,
    event: withPrivate(eventOfLeaf(row.leaf), openings),
    leaf: row.leaf,
    leafHash: row.leaf_hash,
    privateFields: [...recordOfLeaf(row.leaf).commitments].map(([name, commitment]) => {
      const opening = openings.find(({ field }) => field === name);
      return { name, commitment, value: opening?.value ?? '', key: opening?.key ?? Buffer.alloc(0), erased: !opening };
    }),
  };
};

export const toCheckpoint = ({ verifier, publication }: Audit, { size, root, note }: Signed): Checkpoint => ({
  treeSize: size,
  rootHash: root,
  note,
  verifierKey: verifier.text,
  verifierKeys: publication.verifiers.map(({ text }) => text),
  policy: publication.policy,
});
