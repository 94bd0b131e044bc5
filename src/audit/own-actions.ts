// What the audit log records of itself that is no row of its table.
import { ownActions, type OwnEvent as Own } from '../kernel/own-event.ts';

export const OWN_ACTIONS = ownActions({
  'audit.entry.tail.end': ['a reader has stopped to follow the log', 'endIndex'],
  'audit.log.mismatch': ['the check of itself has found what is not as it was written', 'index', 'what'],
  'audit.range.prune': ['the bodies of a range of entries are about to be removed, after their time', 'startIndex', 'endIndex', 'root'],
  'audit.bundle.read': ['a reader has got entries as a file over HTTPS, or was denied them'],
  'audit.witness.alarm': ['a witness knows another history of the log', 'answer'],
});

export type OwnEvent = Own<keyof typeof OWN_ACTIONS>;
