import type { Checkpoint, GetCheckpointRequest } from '../../gen/strongroom/audit/v1/audit_service.ts';
import type { Audit } from '../audit.ts';
import { toCheckpoint } from '../messages.ts';

export const getCheckpoint = async (audit: Audit, _request: GetCheckpointRequest): Promise<Checkpoint> =>
  toCheckpoint(await audit.writer.current(), audit.verifier);
