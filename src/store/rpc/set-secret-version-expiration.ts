import { SetSecretVersionExpirationRequest } from '../../gen/strongroom/secrets/v1/secret_rotation_service.ts';
import type { SecretVersion } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import type { Call } from '../../kernel/table.ts';
import { assertKeepsRetention, checkVersionExpiration } from '../expiration.ts';
import { parseNumberedVersion } from '../names.ts';
import { rescheduleExpiry } from '../sql/expirations.ts';
import { setVersionExpiry } from '../sql/secret-versions.ts';
import { assertKept } from '../state.ts';
import type { Store } from '../store.ts';
import { changeVersion } from '../version-state.ts';

export const setSecretVersionExpiration = (
  store: Store,
  request: SetSecretVersionExpirationRequest,
  call: Call,
): Promise<SecretVersion> => {
  parseNumberedVersion(request.name);
  const now = new Date();
  return changeVersion(store, call, request, SetSecretVersionExpirationRequest, async (tx, secret, row, name) => {
    assertKept(name, row.state);
    const time = checkVersionExpiration(request.expiration, 'expiration', now, row.details);
    assertKeepsRetention(row.expire_time, time, secret.version_retention_seconds, 'expiration', now);
    call.annotate({ attributes: { version: String(row.version), expireTime: time?.toISOString() ?? '' } });
    rescheduleExpiry(tx, secret, row.version, time);
    return setVersionExpiry(tx, secret, row.version, time);
  });
};
