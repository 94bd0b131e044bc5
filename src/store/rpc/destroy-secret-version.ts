import { DestroySecretVersionRequest, type SecretVersion } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import type { Call } from '../../kernel/table.ts';
import { assertNotHeld, placeOf } from '../hold.ts';
import { parseNumberedVersion } from '../names.ts';
import { schedulePurge, versionPurgeUid } from '../sql/purges.ts';
import { destroyVersion, scheduleVersion } from '../sql/secret-versions.ts';
import type { Store } from '../store.ts';
import { changeVersion } from '../version-state.ts';

export const destroySecretVersion = (store: Store, request: DestroySecretVersionRequest, call: Call): Promise<SecretVersion> => {
  parseNumberedVersion(request.name);
  return changeVersion(store, call, request, DestroySecretVersionRequest, async (tx, secret, row, name) => {
    if (row.state === 'DESTROYED' || row.state === 'DESTROY_SCHEDULED') return row;
    const [place, after] = [placeOf(secret), secret.version_retention_seconds];
    await assertNotHeld(tx, place, name, after === 0 ? 'purge' : 'delete');
    if (after === 0) return destroyVersion(tx, secret, row.version);
    const scheduled = await scheduleVersion(tx, secret, row.version, after);
    const uid = versionPurgeUid(secret.secret_uid, row.version);
    const purge = { ...place, uid, kind: 'VERSION', version: row.version, resource: name } as const;
    await schedulePurge(tx, { ...purge, purgeTime: scheduled.purge_time!, deletedBy: call.principal });
    call.annotate({ attributes: { version: String(row.version), purge: `purges/${uid}` } });
    return scheduled;
  });
};
