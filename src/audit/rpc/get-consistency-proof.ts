import type { ConsistencyProof, GetConsistencyProofRequest } from '../../gen/strongroom/audit/v1/audit_service.ts';
import { AppError, invalid } from '../../kernel/errors.ts';
import type { Audit } from '../audit.ts';
import { checkpointOf } from '../find-checkpoint.ts';
import { isConsistent } from '../merkle.ts';
import { toCheckpoint } from '../messages.ts';
import { consistencyProof, rootAt } from '../proof.ts';

export const getConsistencyProof = async (audit: Audit, request: GetConsistencyProofRequest): Promise<ConsistencyProof> => {
  const { firstSize, secondSize } = request;
  const state = await audit.writer.current();
  const second = await checkpointOf(audit, state, secondSize, 'second_size');
  if (firstSize < 0n || firstSize > second.size) throw invalid('first_size', `must be 0 to the second size, ${second.size}`);
  const hashes = await consistencyProof(audit.db, state, firstSize, second.size);
  const first = { size: firstSize, root: await rootAt(audit.db, state, firstSize) };
  if (!isConsistent(first, second, hashes))
    throw new AppError('DATA_CORRUPTED', `the first ${firstSize} entries are not what was written; the log was changed behind its back`);
  return { firstSize, hashes, checkpoint: toCheckpoint(audit, second) };
};
