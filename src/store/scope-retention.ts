// What is held is retained at the key service too, so that a customer cannot delete his root key under it: scopes are retained
// before a hold is acknowledged, and released after the last one is gone. A row says so while the two databases may differ; what was
// interrupted is made right from it. Whatever happens in between, something is retained for too long rather than too short.
import { Scope_State, type EnvelopeServiceService } from '../gen/strongroom/keys/v1/envelope_service.ts';
import type { RegistrationServiceService } from '../gen/strongroom/keys/v1/registration_service.ts';
import type { CallOptions, ClientOf } from '../kernel/client.ts';
import type { Db, Queryable } from '../kernel/db.ts';
import { describe, type Log } from '../kernel/log.ts';
import { openLoop } from '../kernel/loop.ts';
import { newUid } from '../kernel/uid.ts';
import { releaseHeld } from './sql/holds.ts';
import type { Place } from './sql/place.ts';
import {
  lockRetention,
  removeUnsettled,
  selectHeldScopes,
  selectUnsettled,
  selectWantedScopes,
  suspectAll,
  type Unsettled,
  type WantedScope,
} from './sql/retention.ts';

const BATCH = 1_000;
const AT_ONCE = 16;
const CALL_MS = 5_000;
const EVERY_MS = 10_000;

interface Options {
  db: Db;
  scopes: Pick<ClientOf<typeof EnvelopeServiceService>, 'batchGetScopes'>;
  registrations: Pick<ClientOf<typeof RegistrationServiceService>, 'setRetention'>;
  log: Log;
}

export interface ScopeRetention extends AsyncDisposable {
  /** The key service may have another database now, as after a restore: all that is held is looked at soon. */
  suspect(): void;
  /** In the transaction that makes a hold, with its place locked, and with `unsettled` durable before. */
  retain(tx: Queryable, place: Place, unsettled: Unsettled, reason: string, call: CallOptions): Promise<void>;
  /** After a change that is durable together with `unsettled`. Does not reject: what fails is made good in time. */
  settle(unsettled: Unsettled): Promise<void>;
}

/** Asks only for what is otherwise. A scope that is destroyed, or that the key service does not know, keeps nothing. */
const apply = async (
  { scopes, registrations }: Options,
  wanted: readonly WantedScope[],
  reason: string,
  call: CallOptions,
): Promise<void> => {
  const nameOf = ({ scopeUid }: WantedScope): string => `scopes/${scopeUid}`;
  for (let start = 0; start < wanted.length; start += BATCH) {
    const some = wanted.slice(start, start + BATCH);
    const { results } = await scopes.batchGetScopes({ names: some.map(nameOf) }, call);
    const others = some.filter(({ retained }, i) => {
      const outcome = results[i]?.outcome;
      return outcome?.$case === 'scope' && outcome.value.state === Scope_State.ENABLED && outcome.value.retained !== retained;
    });
    for (let i = 0; i < others.length; i += AT_ONCE)
      await Promise.all(
        others
          .slice(i, i + AT_ONCE)
          .map((scope) => registrations.setRetention({ scope: nameOf(scope), retained: scope.retained, reason }, call)),
      );
  }
};

export const openScopeRetention = (options: Options): ScopeRetention => {
  const { db, log } = options;

  /** Purges that have waited for a hold ask again only now: a scope that is still retained would stop them. */
  const settle = ({ instanceUid, tokens }: Unsettled): Promise<void> =>
    db
      .transaction(async (tx) => {
        await lockRetention(tx, instanceUid);
        const call = { deadline: Date.now() + CALL_MS, correlationId: newUid() };
        await apply(options, await selectWantedScopes(tx, instanceUid), 'the holds of the instance have changed', call);
        await removeUnsettled(tx, tokens);
        await releaseHeld(tx, { instance_uid: instanceUid, group_uid: null, secret_uid: null });
      })
      .catch((error: unknown) => log.warn({ error: describe(error) }, 'the key service does not know yet what is held; trying again'));

  let suspected = false;
  const loop = openLoop(async (signal) => {
    const all: boolean = suspected;
    suspected = false;
    try {
      if (all) await db.transaction(suspectAll);
      for (const unsettled of await selectUnsettled(db.read, BATCH)) if (!signal.aborted) await settle(unsettled);
    } catch (error) {
      suspected ||= all;
      log.warn({ error: describe(error) }, 'what is held could not be compared with the key service; trying again');
    }
    return EVERY_MS;
  });
  loop.kick();

  return {
    suspect: () => void (suspected = true),
    retain: async (tx, place, { tokens }, reason, call) => {
      await lockRetention(tx, place.instance_uid);
      const scopeUids = await selectHeldScopes(tx, place);
      const wanted = scopeUids.map((scopeUid) => ({ scopeUid, retained: true }));
      await apply(options, wanted, reason, call);
      await removeUnsettled(tx, tokens);
    },
    settle,
    [Symbol.asyncDispose]: () => loop[Symbol.asyncDispose](),
  };
};
