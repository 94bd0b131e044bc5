// What the key service records that is no row of its tables: what it does by itself, when something falls due, and attempts that
// a call makes.
import { ownActions, type OwnEvent as Own } from '../kernel/own-event.ts';

export const OWN_ACTIONS = ownActions({
  'keys.event.overdue': ['a service has not acknowledged a key event in time', 'event', 'key', 'change', 'state', 'service'],
  'keys.importjob.attempt': ['an import brought material that was rejected', 'attemptsLeft'],
  'keys.importjob.expire': ['the time of an import job is over'],
  'keys.masterkey.destroy': ['a master key has been kept for long enough after its rotation', 'masterKey'],
  'keys.masterkey.rotate': ['the first master key is made, or the schedule asks for a new one', 'masterKey', 'previous'],
  'keys.rootkey.destroy': ['the wait after the delete of a root key is over', 'key'],
  'keys.rootkey.expire': ['the expire time of a root key has come', 'key'],
  'keys.rootkey.material.expire': ['the expire time of imported material has come; it is destroyed', 'key', 'version'],
  'keys.rootkey.move': ['all scope keys have come under the primary version of their root key', 'key', 'version'],
  'keys.rootkey.rotate': [
    'the rotation policy of a root key asks for it, or the master key that it is under is to go',
    'key',
    'version',
    'cause',
    'destroyed',
  ],
});

export type OwnEvent = Own<keyof typeof OWN_ACTIONS>;
