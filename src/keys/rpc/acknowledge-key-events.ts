import type { AcknowledgeKeyEventsRequest, AcknowledgeKeyEventsResponse } from '../../gen/strongroom/keys/v1/key_event_service.ts';
import { eventOf } from '../../kernel/audit.ts';
import { invalid } from '../../kernel/errors.ts';
import { enqueue } from '../../kernel/outbox.ts';
import type { Call } from '../../kernel/table.ts';
import { MAX_ITEMS } from '../items.ts';
import { factsOfEvent } from '../key-events.ts';
import type { Keys } from '../keys.ts';
import { parseKeyEvent } from '../names.ts';
import { acknowledge } from '../sql/key-events.ts';

/** An entry for each event that is acknowledged by this; one for the call if none is. */
export const acknowledgeKeyEvents = async (
  keys: Keys,
  { names }: AcknowledgeKeyEventsRequest,
  call: Call,
): Promise<AcknowledgeKeyEventsResponse> => {
  if (names.length === 0 || names.length > MAX_ITEMS) throw invalid('names', `must be 1 to ${MAX_ITEMS}`);
  const eventUids = names.map((name) => parseKeyEvent(name, 'names'));
  keys.relay.assertHealthy();
  await keys.db.transaction(async (tx) => {
    const rows = await acknowledge(tx, call.principal, eventUids);
    const facts = rows.length > 0 ? rows.map(factsOfEvent) : [{ attributes: { count: '0' } }];
    for (const fact of facts) enqueue(tx, eventOf(call, fact));
  });
  keys.relay.kick();
  return {};
};
