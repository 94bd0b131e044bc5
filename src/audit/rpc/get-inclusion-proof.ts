import type { GetInclusionProofRequest, InclusionProof } from '../../gen/strongroom/audit/v1/audit_service.ts';
import { AppError, invalid, notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import type { Audit } from '../audit.ts';
import { receiptText } from '../checkpoint.ts';
import { corruptEntry, missingEntry } from '../entry.ts';
import { checkpointOf, cosignedCheckpoint } from '../find-checkpoint.ts';
import { leafHash, rootFromInclusion } from '../merkle.ts';
import { toCheckpoint } from '../messages.ts';
import { inclusionProof, leafHashAt } from '../proof.ts';
import type { LogState } from '../recovery.ts';
import { selectEntry } from '../sql/entries.ts';

/** From the bytes that are stored; of an entry that has none any more, from its tile. */
const hashOf = async (audit: Audit, state: LogState, index: bigint, instances: readonly string[] | undefined): Promise<Buffer> => {
  const entry = await selectEntry(audit.db.read, index, instances);
  if (entry) return leafHash(entry.leaf);
  const why = await missingEntry(audit, index, instances);
  if (why.reason !== 'ENTRY_PRUNED') throw why;
  return leafHashAt(audit.db, state, index);
};

/** A proof is checked here before it is given out: from a changed log there is none. */
export const getInclusionProof = async (audit: Audit, request: GetInclusionProofRequest, call: Call): Promise<InclusionProof> => {
  const { index, treeSize, cosigned } = request;
  if (cosigned && treeSize !== 0n) throw invalid('tree_size', 'must be 0 with cosigned, which has a size of its own');
  const instances = await audit.readers.sees(call);
  const state = await audit.writer.current();
  if (index < 0n || index >= state.tree.size) throw notFound('entry', String(index));
  const leaf = await hashOf(audit, state, index, instances);
  const checkpoint = cosigned ? await cosignedCheckpoint(audit, state) : await checkpointOf(audit, state, treeSize, 'tree_size');
  const { size, root, note } = checkpoint;
  if (size <= index && cosigned)
    throw new AppError('NOT_COSIGNED', `the witnesses have cosigned the first ${size} entries only; ask again later, or without cosigned`);
  if (size <= index) throw invalid('tree_size', `must be above the index, ${index}`);
  const hashes = await inclusionProof(audit.db, state, index, size);
  if (!rootFromInclusion(index, size, leaf, hashes)?.equals(root)) throw corruptEntry(index);
  return { index, hashes, checkpoint: toCheckpoint(audit, checkpoint), receipt: receiptText({ index, hashes, note }) };
};
