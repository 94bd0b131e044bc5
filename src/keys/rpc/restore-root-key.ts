import type { RestoreRootKeyRequest, RootKey } from '../../gen/strongroom/keys/v1/key_service.ts';
import type { Call } from '../../kernel/table.ts';
import { changeRootKey } from '../change.ts';
import type { Keys } from '../keys.ts';
import { setState } from '../sql/life-cycle.ts';

/** To DISABLED, so that who restores sees what he has before anything uses it. */
export const restoreRootKey = (keys: Keys, { name, etag }: RestoreRootKeyRequest, call: Call): Promise<RootKey> =>
  changeRootKey(keys, call, {
    name,
    etag,
    operation: 'restore',
    event: 'RESTORED',
    apply: (tx, row) => setState(tx, row.key_uid, 'DISABLED'),
  });
