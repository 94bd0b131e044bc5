import type { AppendEventResult, AppendEventsRequest, AppendEventsResponse } from '../../gen/strongroom/audit/v1/audit_writer_service.ts';
import { invalid, toAppError } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import type { Audit } from '../audit.ts';
import { draftOf } from '../event.ts';

const MAX_EVENTS = 1000;

/** Every event has a result of its own; only when the log cannot write at all does the call fail as a whole. */
export const appendEvents = async (audit: Audit, request: AppendEventsRequest, call: Call): Promise<AppendEventsResponse> => {
  if (request.events.length === 0 || request.events.length > MAX_EVENTS) throw invalid('events', `must be 1 to ${MAX_EVENTS}`);
  const append = async (event: AppendEventsRequest['events'][number]): Promise<AppendEventResult> => {
    try {
      return { outcome: { $case: 'index', value: await audit.writer.append(draftOf(event, call.principal), call.deadline) } };
    } catch (thrown) {
      const error = toAppError(thrown, call.correlationId);
      if (error.code !== 'INVALID_ARGUMENT' && error.code !== 'ALREADY_EXISTS') throw error;
      return { outcome: { $case: 'error', value: { code: error.grpcCode, reason: error.reason, message: error.message } } };
    }
  };
  return { results: await Promise.all(request.events.map(append)) };
};
