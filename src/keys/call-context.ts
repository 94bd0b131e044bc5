// On whose behalf a call is made, checked: what is recorded must be of the form that the audit log takes. Pure.
import type { CallContext } from '../gen/strongroom/keys/v1/envelope_service.ts';
import { invalid } from '../kernel/errors.ts';
import { parseSpiffeId } from '../kernel/identity.ts';
import type { EntryDraft } from '../kernel/table.ts';

const CORRELATION_ID = /^[A-Za-z0-9._-]{0,64}$/;
const TRACE_ID = /^(?:[0-9a-f]{32})?$/;

export const parseCorrelationId = (text: string, field = 'correlation_id'): string => {
  if (!CORRELATION_ID.test(text)) throw invalid(field, 'must be at most 64 characters of a-z, A-Z, 0-9, ., _ and -');
  return text;
};

/** The end caller, and the resource that he asked for, as the entry of this service's own call tells them. */
export const factsOf = (context: CallContext | undefined): EntryDraft => {
  if (!context) return {};
  const { principal, resource, traceId } = context;
  if (principal !== '' && !parseSpiffeId(principal)) throw invalid('call_context.principal', 'must be a SPIFFE ID or empty');
  if (resource.length > 512 || !resource.isWellFormed()) throw invalid('call_context.resource', 'must be at most 512 characters');
  const correlationId = parseCorrelationId(context.correlationId, 'call_context.correlation_id');
  if (!TRACE_ID.test(traceId)) throw invalid('call_context.trace_id', 'must be 32 lower-case hexadecimal digits or empty');
  return {
    ...(principal === '' ? {} : { onBehalfOf: principal }),
    ...(resource === '' ? {} : { resource }),
    ...(correlationId === '' ? {} : { correlationId }),
    ...(traceId === '' ? {} : { traceId }),
  };
};
