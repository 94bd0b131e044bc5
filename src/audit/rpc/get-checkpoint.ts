import type { Checkpoint, GetCheckpointRequest } from '../../gen/strongroom/audit/v1/audit_service.ts';
import type { Audit } from '../audit.ts';
import { cosignedCheckpoint } from '../find-checkpoint.ts';
import { toCheckpoint } from '../messages.ts';

export const getCheckpoint = async (audit: Audit, { cosigned }: GetCheckpointRequest): Promise<Checkpoint> => {
  const state = await audit.writer.current();
  return toCheckpoint(audit, cosigned ? await cosignedCheckpoint(audit, state) : audit.publication.newest(state.checkpoint));
};
