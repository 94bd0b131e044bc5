// What a request to read the log asks for, checked. Pure.
import { Event_Outcome, Event_Severity } from '../gen/strongroom/audit/v1/audit_service.ts';
import { invalid } from '../kernel/errors.ts';
import { checkUuid } from '../kernel/fields.ts';
import type { Filter } from './sql/entries.ts';

const OUTCOMES: readonly number[] = Object.values(Event_Outcome);
const SEVERITIES: readonly number[] = Object.values(Event_Severity);

interface Asked {
  resource: string;
  principal: string;
  correlationId?: string;
  action: string;
  outcome: Event_Outcome;
  severity: Event_Severity;
  instanceUid: string;
}

/** But for the instances, which are a matter of who asks. */
export const parseFilter = (asked: Asked): Omit<Filter, 'instances'> => {
  const { resource, principal, correlationId = '', action, outcome, severity } = asked;
  if (resource.length > 512) throw invalid('resource', 'must be at most 512 characters');
  if (principal.length > 2048) throw invalid('principal', 'must be at most 2048 characters');
  if (correlationId.length > 64) throw invalid('correlation_id', 'must be at most 64 characters');
  if (action.length > 64) throw invalid('action', 'must be at most 64 characters');
  if (!OUTCOMES.includes(outcome)) throw invalid('outcome', 'must be SUCCESS, FAILURE, DENIED, or left out');
  if (!SEVERITIES.includes(severity)) throw invalid('severity', 'must be NORMAL, WARNING, CRITICAL, or left out');
  return { resource, principal, correlationId, action, outcome, severity };
};

/** Empty for all instances. */
export const parseInstanceUid = (text: string): string => (text === '' ? '' : checkUuid(text, 'instance_uid'));

export const checkWindow = (start: Date | undefined, end: Date | undefined): void => {
  for (const [field, time] of [
    ['start_time', start],
    ['end_time', end],
  ] as const)
    if (time && Number.isNaN(time.getTime())) throw invalid(field, 'must be a time from the year 1 to the year 9999');
  if (start && end && start > end) throw invalid('end_time', 'must not be before start_time');
};
