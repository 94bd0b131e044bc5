// The table's part about how long values live: their rotation, and the end of a version.
import { SecretRotationServiceService } from '../gen/strongroom/secrets/v1/secret_rotation_service.ts';
import { METADATA_LIMITS as metadata, register, type Registration } from '../kernel/table.ts';
import { on, runWith } from './guarded.ts';
import { parseSecret, parseVersion } from './names.ts';
import { rotateSecret } from './rpc/rotate-secret.ts';
import { setSecretVersionExpiration } from './rpc/set-secret-version-expiration.ts';
import type { Store } from './store.ts';

export const rotationRegistration = (store: Store): Registration => {
  const run = runWith(store);
  return register(SecretRotationServiceService, {
    rotateSecret: {
      action: 'secrets.secret.rotate',
      resource: (r) => on('write', r.name, parseSecret),
      audit: 'write',
      facts: ['version'],
      data: true,
      limits: metadata,
      handler: run(rotateSecret),
    },
    setSecretVersionExpiration: {
      action: 'secrets.version.expiration.set',
      resource: (r) => on('manage', r.name, parseVersion),
      audit: 'write',
      facts: ['version', 'expireTime'],
      limits: metadata,
      handler: run(setSecretVersionExpiration),
    },
  });
};
