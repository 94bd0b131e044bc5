// What the audit log records of itself that is no row of its table.
import { ownActions } from '../kernel/own-event.ts';

export const OWN_ACTIONS = ownActions({
  'audit.entry.tail.end': ['a reader has stopped to follow the log', 'endIndex'],
});
