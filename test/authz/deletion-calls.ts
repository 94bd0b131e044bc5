// The calls about deletion: holds, early purges, and what is seen of them.
import { Hold, Hold_Effect } from '../../src/gen/strongroom/secrets/v1/hold_service.ts';
import { RetentionPolicy, Instance } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import type { Clients, Options } from '../support/clients.ts';
import { fresh, newId, text } from '../support/tenants.ts';

const hold = Hold.fromPartial({ effect: Hold_Effect.PURGE, reason: 'a case in court' });

export interface DeletionTargets {
  /** A secret with two holds, one of which a call wants to see gone. */
  held: { secret: string; kept: string; doomed: string };
  /** A version that is about to be destroyed. */
  scheduled: string;
  /** A deleted secret whose purge a call wants to see begin. */
  expedited: string;
}

/** `group` in `instance` is where they are. */
export const makeDeletionTargets = async (operator: Clients, instance: string, group: string): Promise<DeletionTargets> => {
  const newSecret = async (secretId: string) =>
    (await operator.secrets.createSecret({ parent: group, secretId, payload: text('a value'), ...fresh() })).name;
  const held = await newSecret('held');
  const [kept, doomed] = await Promise.all(
    ['kept', 'doomed'].map((holdId) => operator.holds.createHold({ parent: held, holdId, hold, ...fresh() })),
  );
  // Only for a moment: other calls want versions destroyed at once.
  const retain = (seconds: bigint) =>
    operator.instances.updateInstance({
      instance: Instance.fromPartial({ name: instance, retentionPolicy: RetentionPolicy.fromPartial({ version: { seconds } }) }),
      ...fresh(),
    });
  const scheduled = `${await newSecret('scheduled')}/versions/1`;
  await retain(3_600n);
  await operator.secrets.destroySecretVersion({ name: scheduled, ...fresh() });
  await retain(0n);
  const expedited = await newSecret('expedited');
  await operator.secrets.deleteSecret({ name: expedited, ...fresh() });
  return { held: { secret: held, kept: kept!.name, doomed: doomed!.name }, scheduled, expedited };
};

type MakeCall = (as: Clients, on: DeletionTargets & { purge: string }, options: Options) => Promise<unknown>;

/** What a stream begins with. */
export const first = async <T>(watched: AsyncGenerator<T>): Promise<T> => {
  for await (const message of watched) return message;
  throw new Error('the stream ended before it had begun');
};

export const DELETION_CALLS: Readonly<Record<string, MakeCall>> = {
  'SecretService/RestoreSecretVersion': (as, on, o) => as.secrets.restoreSecretVersion({ name: on.scheduled, ...fresh() }, o),
  'HoldService/CreateHold': (as, on, o) => as.holds.createHold({ parent: on.held.secret, holdId: newId('m'), hold, ...fresh() }, o),
  'HoldService/GetHold': (as, on, o) => as.holds.getHold({ name: on.held.kept }, o),
  'HoldService/ListHolds': (as, on, o) => as.holds.listHolds({ parent: on.held.secret }, o),
  'HoldService/DeleteHold': (as, on, o) => as.holds.deleteHold({ name: on.held.doomed, ...fresh() }, o),
  'PurgeService/WatchPurge': (as, on, o) => first(as.watchPurge({ name: on.purge }, o)),
  'PurgeService/ExpeditePurge': (as, on, o) => as.purges.expeditePurge({ resource: on.expedited, ...fresh() }, o),
  'PurgeService/GetQueueStatus': (as, _, o) => as.purges.getQueueStatus({}, o),
};
