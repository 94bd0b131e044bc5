// One service in several processes: a call goes to the one that answered last, and at once to the next when that one cannot be
// reached or says that it is not its turn. Only for calls that may come twice.
import { setTimeout as sleep } from 'node:timers/promises';
import { dial, type CallOptions, type ClientOf, type StreamOptions } from './client.ts';
import { AppError, type Reason } from './errors.ts';
import type { SpiffeId } from './identity.ts';
import type { ServiceDefinition } from './table.ts';
import type { Tls } from './tls.ts';

export interface Replicas {
  /** `host:port`, of one or of each. */
  address: string | readonly string[];
  /** Who must be there. */
  spiffeId: SpiffeId;
}

/** One that does not answer gets so much of a call's time, at most, and never more than half of it: the next one needs some too. */
const TRY_MS = 2_000;
/** Before all are asked again. */
const PAUSE_MS = 100;

type Methods = Record<string, (request: unknown, options: CallOptions | StreamOptions) => unknown>;

export const dialReplicas = <S extends ServiceDefinition>(
  definition: S,
  { address, spiffeId }: Replicas,
  tls: Tls,
  fallback: Reason,
): ClientOf<S> => {
  const clients = [address].flat().map((one) => dial(definition, { address: one, spiffeId }, tls, fallback));
  const methodsOf = (at: number): Methods => clients[at] as unknown as Methods;
  let last = 0;

  const call =
    (name: string) =>
    async (request: unknown, options: CallOptions): Promise<unknown> => {
      const until = (now: number): number =>
        clients.length === 1 ? options.deadline : now + Math.min(TRY_MS, (options.deadline - now) / 2);
      for (;;) {
        let failure: unknown;
        let alive = false;
        for (let tries = 0; tries < clients.length; tries++) {
          const asked = last;
          try {
            return await methodsOf(asked)[name]!(request, { ...options, deadline: until(Date.now()) });
          } catch (error) {
            if (!(error instanceof AppError) || error.code !== 'UNAVAILABLE') throw error;
            failure = error;
            alive ||= error.reason === 'AUDIT_STANDBY';
            // Unless another call has moved on already.
            if (last === asked) last = (asked + 1) % clients.length;
          }
        }
        // A standby that answers has its turn soon, if the writer is gone.
        if (!alive) throw failure;
        if (options.deadline - Date.now() < 2 * PAUSE_MS)
          throw new AppError(fallback, 'none of the replicas writes at the moment; nothing was changed, try again', { cause: failure });
        await sleep(PAUSE_MS);
      }
    };
  const listen = (name: string) => (request: unknown, options: StreamOptions) => methodsOf(last)[name]!(request, options);

  const methods = Object.fromEntries(
    Object.entries(definition).map(([name, { responseStream }]) => [name, responseStream ? listen(name) : call(name)]),
  );
  const dispose = { [Symbol.asyncDispose]: async () => void (await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()))) };
  return Object.assign(methods, dispose) as unknown as ClientOf<S>;
};
