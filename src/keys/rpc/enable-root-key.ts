import type { EnableRootKeyRequest, RootKey } from '../../gen/strongroom/keys/v1/key_service.ts';
import type { Call } from '../../kernel/table.ts';
import { changeRootKey } from '../change.ts';
import type { Keys } from '../keys.ts';
import { setState } from '../sql/life-cycle.ts';

/** A rotation that has rested meanwhile goes on. */
export const enableRootKey = (keys: Keys, { name, etag }: EnableRootKeyRequest, call: Call): Promise<RootKey> =>
  changeRootKey(keys, call, {
    name,
    etag,
    operation: 'enable',
    event: 'ENABLED',
    apply: (tx, row) => setState(tx, row.key_uid, 'ENABLED'),
  });
