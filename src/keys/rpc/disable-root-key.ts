import type { DisableRootKeyRequest, RootKey } from '../../gen/strongroom/keys/v1/key_service.ts';
import type { Call } from '../../kernel/table.ts';
import { changeRootKey } from '../change.ts';
import type { Keys } from '../keys.ts';
import { setState } from '../sql/life-cycle.ts';

export const disableRootKey = (keys: Keys, { name, etag }: DisableRootKeyRequest, call: Call): Promise<RootKey> =>
  changeRootKey(keys, call, {
    name,
    etag,
    operation: 'disable',
    revokes: true,
    event: 'DISABLED',
    apply: (tx, row) => setState(tx, row.key_uid, 'DISABLED'),
  });
