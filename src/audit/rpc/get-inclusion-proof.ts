import type { GetInclusionProofRequest, InclusionProof } from '../../gen/strongroom/audit/v1/audit_service.ts';
import { AppError, notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import type { Audit } from '../audit.ts';
import { receiptText } from '../checkpoint.ts';
import { leafHash, rootFromInclusion } from '../merkle.ts';
import { toCheckpoint } from '../messages.ts';
import { inclusionProof } from '../proof.ts';
import { selectEntry } from '../sql/entries.ts';

/** A proof is checked here before it is given out: from a changed log there is none. */
export const getInclusionProof = async (audit: Audit, { index }: GetInclusionProofRequest, call: Call): Promise<InclusionProof> => {
  const instances = await audit.readers.sees(call);
  const state = await audit.writer.current();
  const entry = index < 0n || index >= state.tree.size ? undefined : await selectEntry(audit.db.read, index, instances);
  if (!entry) throw notFound('entry', String(index));
  const hashes = await inclusionProof(audit.db, state, index);
  if (!rootFromInclusion(index, state.tree.size, leafHash(entry.leaf), hashes)?.equals(state.checkpoint.root)) {
    throw new AppError('DATA_CORRUPTED', `entry ${index} is not what was written; the log was changed behind its back`);
  }
  const { note } = state.checkpoint;
  return { index, hashes, checkpoint: toCheckpoint(state, audit.verifier), receipt: receiptText({ index, hashes, note }) };
};
