import type { GetInclusionProofRequest, InclusionProof } from '../../gen/strongroom/audit/v1/audit_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Audit } from '../audit.ts';
import { receiptText } from '../checkpoint.ts';
import { corruptEntry, missingEntry } from '../entry.ts';
import { leafHash, rootFromInclusion } from '../merkle.ts';
import { toCheckpoint } from '../messages.ts';
import { inclusionProof, leafHashAt } from '../proof.ts';
import { selectEntry } from '../sql/entries.ts';
import type { LogState } from '../recovery.ts';

/** From the bytes that are stored; of an entry that has none any more, from its tile. */
const hashOf = async (audit: Audit, state: LogState, index: bigint): Promise<Buffer> => {
  const entry = await selectEntry(audit.db.read, index);
  if (entry) return leafHash(entry.leaf);
  const why = await missingEntry(audit, index);
  if (why.reason !== 'ENTRY_PRUNED') throw why;
  return leafHashAt(audit.db, state, index);
};

/** A proof is checked here before it is given out: from a changed log there is none. */
export const getInclusionProof = async (audit: Audit, { index }: GetInclusionProofRequest): Promise<InclusionProof> => {
  const state = await audit.writer.current();
  if (index < 0n || index >= state.tree.size) throw notFound('entry', String(index));
  const [leaf, hashes] = await Promise.all([hashOf(audit, state, index), inclusionProof(audit.db, state, index)]);
  if (!rootFromInclusion(index, state.tree.size, leaf, hashes)?.equals(state.checkpoint.root)) throw corruptEntry(index);
  const { note } = state.checkpoint;
  return { index, hashes, checkpoint: toCheckpoint(state, audit.verifier), receipt: receiptText({ index, hashes, note }) };
};
