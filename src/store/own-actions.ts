// What the secret store records that is no row of its tables: how the replacement of a group's key begins by itself, and ends;
// rotations that were due; and versions that are kept no longer.
import { ownActions, type OwnEvent as Own } from '../kernel/own-event.ts';

export const OWN_ACTIONS = ownActions({
  'secrets.version.trim': ['its secret keeps it no longer, by count or by age; it is destroyed', 'version', 'purge', 'cause'],
  'secrets.group.rekey': ['all of a group has moved to its new key, and the old one is destroyed', 'version', 'destroyed', 'count'],
  'secrets.secret.rotate.scheduled': ['a rotation was due: the store has generated a new version, or failed to', 'version'],
  'secrets.group.rekey.start': ['something was purged in a group, and its key is old enough to be replaced', 'cause'],
});

export type OwnEvent = Own<keyof typeof OWN_ACTIONS>;
