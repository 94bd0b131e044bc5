import { RestoreSecretVersionRequest, type SecretVersion } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import type { Call } from '../../kernel/table.ts';
import { parseNumberedVersion } from '../names.ts';
import { unschedulePurge, versionPurgeUid } from '../sql/purges.ts';
import { setVersionState } from '../sql/secret-versions.ts';
import { assertScheduled, purgeStarted } from '../state.ts';
import type { Store } from '../store.ts';
import { changeVersion } from '../version-state.ts';

/** As DISABLED: who wanted it gone had a reason, and should not find it in use. */
export const restoreSecretVersion = (store: Store, request: RestoreSecretVersionRequest, call: Call): Promise<SecretVersion> => {
  parseNumberedVersion(request.name);
  return changeVersion(store, call, request, RestoreSecretVersionRequest, async (tx, secret, { state, version }, name) => {
    assertScheduled(name, state);
    if (!(await unschedulePurge(tx, versionPurgeUid(secret.secret_uid, version)))) throw purgeStarted(name);
    return setVersionState(tx, secret, version, 'DISABLED');
  });
};
