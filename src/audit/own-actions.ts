// What the audit log records of itself that is no row of its table.
import { ownActions } from '../kernel/own-event.ts';

export const OWN_ACTIONS = ownActions({
  'audit.entry.tail.end': ['a reader has stopped to follow the log', 'endIndex'],
  'audit.bundle.read': ['a reader has got entries as a file over HTTPS, or was denied them'],
  'audit.witness.alarm': ['a witness knows another history of the log', 'answer'],
});
