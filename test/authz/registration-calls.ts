// The calls about what is registered with root keys, and the events that tell of them.
import { randomUUID } from 'node:crypto';
import type { Clients, Options } from '../support/clients.ts';
import type { KeyTargets } from './key-calls.ts';

type MakeCall = (as: Clients, on: KeyTargets & { scope: string }, options: Options) => Promise<unknown>;

const first = async (watched: AsyncGenerator): Promise<void> => {
  await watched.next();
  await watched.return(undefined);
};

/** By service and method. */
export const REGISTRATION_CALLS: Readonly<Record<string, MakeCall>> = {
  'RegistrationService/ListRegistrations': (as, on, o) => as.registrations.listRegistrations({ parent: on.key.any }, o),
  'RegistrationService/SetRetention': (as, on, o) => as.registrations.setRetention({ scope: on.scope, reason: 'a test' }, o),
  'KeyEventService/WatchKeyEvents': (as, _, o) => first(as.watchKeyEvents({}, o)),
  'KeyEventService/AcknowledgeKeyEvents': (as, _, o) => as.keyEvents.acknowledgeKeyEvents({ names: [`keyEvents/${randomUUID()}`] }, o),
};
