// Dual authorization: the deletion of a root key that asks for it rests on the approval of one Manager and is made by another. An
// approval lapses, the policy does not. Pure.
import { AppError } from '../kernel/errors.ts';

/** As in the statements of sql/root-keys.ts, which show no approval that is older. */
export const APPROVAL_MS = 7 * 86_400_000;

interface Approvable {
  dual_authorization: boolean;
  approved_by: string | null;
}

export const assertCanApprove = (name: string, key: Approvable): void => {
  if (!key.dual_authorization)
    throw new AppError('DUAL_AUTHORIZATION_OFF', `${name} needs no approval; delete it`, { metadata: { resource: name } });
  if (key.approved_by !== null)
    throw new AppError('ALREADY_APPROVED', `the deletion of ${name} has an approval; another Manager can delete it`, {
      metadata: { resource: name },
    });
};

export const assertApproved = (name: string, key: Approvable, principal: string): void => {
  if (!key.dual_authorization || (key.approved_by !== null && key.approved_by !== principal)) return;
  const missing = key.approved_by === null ? 'has no approval, or it has lapsed' : 'was approved by you; another Manager must delete it';
  throw new AppError('APPROVAL_REQUIRED', `the deletion of ${name} ${missing}`, { metadata: { resource: name } });
};
