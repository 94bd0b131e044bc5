// An entry before it is given out: hashed again, its private fields compared with what it commits to; and why one is not there.
import { AppError, notFound } from '../kernel/errors.ts';
import type { Audit } from './audit.ts';
import { recordOfLeaf } from './event.ts';
import { leafHash } from './merkle.ts';
import { openingsOfRow } from './messages.ts';
import { commitmentOf } from './private.ts';
import type { EntryRow } from './sql/entries.ts';
import { selectPrunedBelow } from './sql/ranges.ts';

export const corruptEntry = (index: bigint): AppError =>
  new AppError('DATA_CORRUPTED', `entry ${index} is not what was written; the log was changed behind its back`);

export const checkEntry = (row: EntryRow): void => {
  const { commitments } = recordOfLeaf(row.leaf);
  const isCommitted = openingsOfRow(row).every((opening) => commitments.get(opening.field)?.equals(commitmentOf(opening)));
  if (!leafHash(row.leaf).equals(row.leaf_hash) || !isCommitted) throw corruptEntry(row.index);
};

/** Why there is no such entry for who sees these instances: to whom not all is shown, all that is missing looks alike. */
export const missingEntry = async ({ db, writer }: Audit, index: bigint, instances: readonly string[] | undefined): Promise<AppError> => {
  if (instances !== undefined || index < 0n || index >= (await writer.current()).tree.size) return notFound('entry', String(index));
  const below = await selectPrunedBelow(db.read);
  if (index >= below) return corruptEntry(index);
  return new AppError(
    'ENTRY_PRUNED',
    `the body of entry ${index} was removed after its time of retention; entries from ${below} on have theirs, and a proof of this one can still be had`,
    { metadata: { resource: `log/${index}`, prunedBelow: String(below) } },
  );
};
