// Groups whose key is replaced, as tests look at them: what is asked of the service, and what stands in the tables.
import { SecretGroupKeyRotation_State, type SecretGroupKeyRotation } from '../../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import type { Stack } from '../../src/dev/stack.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clients } from './clients.ts';
import { withDatabase } from './stack.ts';
import { fresh } from './tenants.ts';

/** Polls rather than watches, so that it outlives a store that is killed. */
export const rotationOf = async (
  operator: Clients,
  name: string,
  until: (rotation: SecretGroupKeyRotation) => boolean = ({ state }) => state === SecretGroupKeyRotation_State.DONE,
  timeoutMs = 40_000,
): Promise<SecretGroupKeyRotation> => {
  let seen: SecretGroupKeyRotation | undefined;
  for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(50)) {
    seen = await operator.groups.getSecretGroupKeyRotation({ name }).catch(() => undefined);
    if (seen && until(seen)) return seen;
  }
  throw new Error(`the rotation did not come that far: ${seen?.state}, ${seen?.lastError}`);
};

export const rotate = async (operator: Clients, name: string): Promise<SecretGroupKeyRotation> => {
  await operator.groups.rotateSecretGroupKey({ name, ...fresh() });
  return rotationOf(operator, name);
};

/** Versions of the group's key that its wrapped DEKs are of, by how many. */
export const wrapsOf = (stack: Stack, groupUid: string): Promise<Record<string, number>> =>
  withDatabase(stack, 'store', async (owner) => {
    const text = `select get_byte(wrapped_dek, 0) || '/' || ('x' || encode(substring(wrapped_dek from 2 for 4), 'hex'))::bit(32)::int as wrap,
        count(*)::int as count from secret_versions join secrets using (instance_uid, secret_uid)
      where group_uid = $1 and wrapped_dek is not null group by 1 order by 1`;
    const { rows } = await owner.query<{ wrap: string; count: number }>(text, [groupUid]);
    return Object.fromEntries(rows.map(({ wrap, count }) => [wrap, count]));
  });

/** Many secrets at once: copies of one that is there, with one version each, under a wrap that opens for none of them. */
export const fillWithCopies = (stack: Stack, secretUid: string, count: number): Promise<void> =>
  withDatabase(stack, 'store', async (owner) => {
    const text = `with made as (
        insert into secrets (instance_uid, secret_uid, group_uid, secret_id, latest_version)
        select instance_uid, gen_random_uuid(), group_uid, 'copy-' || n, 1 from secrets, generate_series(1, $2::int) n where secret_uid = $1
        returning instance_uid, secret_uid)
      insert into secret_versions (instance_uid, secret_uid, version, kind, size_bytes, crc32c, client_specified_crc32c, wrapped_dek, sealed)
      select instance_uid, m.secret_uid, 1, kind, size_bytes, crc32c, client_specified_crc32c, wrapped_dek, sealed
      from made m join secret_versions v using (instance_uid) where v.secret_uid = $1 and v.version = 1`;
    await owner.query(text, [secretUid, count]);
  });
