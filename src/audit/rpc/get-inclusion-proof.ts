import type { GetInclusionProofRequest, InclusionProof } from '../../gen/strongroom/audit/v1/audit_service.ts';
import { AppError, invalid, notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import type { Audit } from '../audit.ts';
import { receiptText } from '../checkpoint.ts';
import { checkpointOf, cosignedCheckpoint } from '../find-checkpoint.ts';
import { leafHash, rootFromInclusion } from '../merkle.ts';
import { toCheckpoint } from '../messages.ts';
import { inclusionProof } from '../proof.ts';
import { selectEntry } from '../sql/entries.ts';

/** A proof is checked here before it is given out: from a changed log there is none. */
export const getInclusionProof = async (audit: Audit, request: GetInclusionProofRequest, call: Call): Promise<InclusionProof> => {
  const { index, treeSize, cosigned } = request;
  if (cosigned && treeSize !== 0n) throw invalid('tree_size', 'must be 0 with cosigned, which has a size of its own');
  const instances = await audit.readers.sees(call);
  const state = await audit.writer.current();
  const entry = index < 0n || index >= state.tree.size ? undefined : await selectEntry(audit.db.read, index, instances);
  if (!entry) throw notFound('entry', String(index));
  const checkpoint = cosigned ? await cosignedCheckpoint(audit, state) : await checkpointOf(audit, state, treeSize, 'tree_size');
  const { size, root, note } = checkpoint;
  if (size <= index && cosigned)
    throw new AppError('NOT_COSIGNED', `the witnesses have cosigned the first ${size} entries only; ask again later, or without cosigned`);
  if (size <= index) throw invalid('tree_size', `must be above the index, ${index}`);
  const hashes = await inclusionProof(audit.db, state, index, size);
  if (!rootFromInclusion(index, size, leafHash(entry.leaf), hashes)?.equals(root)) {
    throw new AppError('DATA_CORRUPTED', `entry ${index} is not what was written; the log was changed behind its back`);
  }
  return { index, hashes, checkpoint: toCheckpoint(audit, checkpoint), receipt: receiptText({ index, hashes, note }) };
};
