import type { GetInclusionProofRequest, InclusionProof } from '../../gen/strongroom/audit/v1/audit_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import type { Audit } from '../audit.ts';
import { receiptText } from '../checkpoint.ts';
import { corruptEntry, missingEntry } from '../entry.ts';
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
export const getInclusionProof = async (audit: Audit, { index }: GetInclusionProofRequest, call: Call): Promise<InclusionProof> => {
  const instances = await audit.readers.sees(call);
  const state = await audit.writer.current();
  if (index < 0n || index >= state.tree.size) throw notFound('entry', String(index));
  const leaf = await hashOf(audit, state, index, instances);
  const hashes = await inclusionProof(audit.db, state, index);
  if (!rootFromInclusion(index, state.tree.size, leaf, hashes)?.equals(state.checkpoint.root)) throw corruptEntry(index);
  const { note } = state.checkpoint;
  return { index, hashes, checkpoint: toCheckpoint(state, audit.verifier), receipt: receiptText({ index, hashes, note }) };
};
