// For tests that call the audit log's handlers without a server: somebody who reads the whole log.
import type { Audit } from '../../src/audit/audit.ts';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { parseSpiffeId } from '../../src/kernel/identity.ts';
import type { Call, EntryDraft } from '../../src/kernel/table.ts';

export const READER = {
  row: { action: 'audit.entry.read', audit: 'read', facts: [] },
  principal: parseSpiffeId(spiffeIdOf('auditor'))!,
  credentialId: '',
  method: '',
  action: 'audit.entry.read',
  resource: 'log',
  correlationId: 'reader',
  traceparent: '',
  traceId: '',
  sourceAddress: '',
  deadline: Number.MAX_SAFE_INTEGER,
  signal: new AbortController().signal,
  facts: {} as EntryDraft,
  annotate: () => undefined,
  entries: () => undefined,
  guard: () => undefined,
} satisfies Call;

/** What handlers need for a caller who sees all. */
export const WHOLE_LOG: Pick<Audit, 'auditor' | 'news' | 'readers'> = {
  auditor: { append: (events) => Promise.resolve(events.map(() => 0n)) },
  news: { next: () => new Promise((resolve) => setTimeout(resolve, 10)) },
  readers: { sees: () => Promise.resolve(undefined) },
};
