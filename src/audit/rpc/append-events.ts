import type { AppendEventResult, AppendEventsRequest, AppendEventsResponse } from '../../gen/strongroom/audit/v1/audit_writer_service.ts';
import { AppError, invalid } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import type { Audit } from '../audit.ts';
import { draftOf, type Draft } from '../event.ts';
import type { Result } from '../writer.ts';

const MAX_EVENTS = 1000;

/** Every event has a result of its own; only when the log cannot write at all does the call fail as a whole. */
export const appendEvents = async (audit: Audit, request: AppendEventsRequest, call: Call): Promise<AppendEventsResponse> => {
  if (request.events.length === 0 || request.events.length > MAX_EVENTS) throw invalid('events', `must be 1 to ${MAX_EVENTS}`);
  const checked = request.events.map((event): Draft | AppError => {
    try {
      return draftOf(event, call.principal);
    } catch (error) {
      if (error instanceof AppError && error.code === 'INVALID_ARGUMENT') return error;
      throw error;
    }
  });
  const drafts = checked.filter((one): one is Draft => !(one instanceof AppError));
  const appended = drafts.length === 0 ? [] : await audit.writer.append(drafts, call.deadline);
  let taken = 0;
  return { results: checked.map((one) => toResult(one instanceof AppError ? one : appended[taken++]!)) };
};

const toResult = (result: Result): AppendEventResult =>
  result instanceof AppError
    ? { outcome: { $case: 'error', value: { code: result.grpcCode, reason: result.reason, message: result.message } } }
    : { outcome: { $case: 'index', value: result } };
