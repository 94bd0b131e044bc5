// The checkpoint that a caller asks for. An earlier one counts only if the log of today continues it: what a database says of the past is
// not believed, and never signed again, without that proof.
import { AppError, invalid, notFound } from '../kernel/errors.ts';
import type { Audit } from './audit.ts';
import { checkpointText } from './checkpoint.ts';
import { isConsistent, type Sized } from './merkle.ts';
import { readNote } from './note.ts';
import { consistencyProof } from './proof.ts';
import type { Signed } from './publication.ts';
import type { LogState } from './recovery.ts';
import { selectCosigned } from './sql/cosigned.ts';
import { selectCheckpoint } from './sql/log.ts';

const assertContinued = async (audit: Audit, state: LogState, earlier: Sized): Promise<void> => {
  const proof = await consistencyProof(audit.db, state, earlier.size, state.checkpoint.size);
  if (!isConsistent(earlier, state.checkpoint, proof))
    throw new AppError(
      'DATA_CORRUPTED',
      `the log does not continue its checkpoint of size ${earlier.size}; it was changed behind its back`,
    );
};

/** The newest that the witnesses have cosigned. */
export const cosignedCheckpoint = async (audit: Audit, state: LogState): Promise<Signed> => {
  const cosigned = await selectCosigned(audit.db.read);
  // One of entries that this process has not read yet is not there yet.
  if (!cosigned || cosigned.size > state.checkpoint.size)
    throw new AppError('NOT_COSIGNED', 'the witnesses have cosigned no checkpoint yet; ask again later, or without cosigned');
  await assertContinued(audit, state, cosigned);
  if (readNote(cosigned.note, [])?.text !== checkpointText({ origin: audit.verifier.name, ...cosigned }))
    throw new AppError('DATA_CORRUPTED', 'the cosigned checkpoint is not what was written; the log was changed behind its back');
  return cosigned;
};

/** That of a size; 0 means the newest one. */
export const checkpointOf = async (audit: Audit, state: LogState, size: bigint, field: string): Promise<Signed> => {
  if (size < 0n) throw invalid(field, 'must not be negative');
  if (size === 0n || size === state.checkpoint.size) return audit.publication.newest(state.checkpoint);
  const found = size > state.checkpoint.size ? undefined : await selectCheckpoint(audit.db.read, size);
  if (!found) throw notFound('checkpoint', `of size ${size}`);
  await assertContinued(audit, state, { size, root: found.root });
  return audit.publication.earlier({ size, root: found.root });
};
