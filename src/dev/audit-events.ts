// The catalogue of all actions in the audit log, from the service tables and the lists of what services do by themselves:
// docs/audit-events.md. Run as a command it writes that file; a test says when it is time to.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditAdmin } from '../audit/audit.ts';
import { OWN_ACTIONS as auditActions } from '../audit/own-actions.ts';
import { registrations as auditTables } from '../audit/service.ts';
import { FACTS } from '../kernel/facts.ts';
import type { OwnAction } from '../kernel/own-event.ts';
import { severityOf } from '../kernel/severity.ts';
import { REFUSED, type Action, type Registration } from '../kernel/table.ts';
import type { Keys } from '../keys/keys.ts';
import { OWN_ACTIONS as keysActions } from '../keys/own-actions.ts';
import { registrations as keysTables } from '../keys/service.ts';
import { OWN_ACTIONS as storeActions } from '../store/own-actions.ts';
import { registrations as storeTables } from '../store/service.ts';
import type { Store } from '../store/store.ts';
import { OWN_ACTIONS as workerActions } from '../worker/own-actions.ts';
import { ROOT } from './stack.ts';

export const FILE = join(ROOT, 'docs/audit-events.md');

interface Source {
  name: string;
  tables: readonly Registration[];
  own: readonly OwnAction[];
}

// Tables only hand on what their handlers need; nothing is called here.
export const SOURCES: readonly Source[] = [
  { name: 'Secret store', tables: storeTables({} as Store), own: Object.values(storeActions) },
  { name: 'Key service', tables: keysTables({} as Keys), own: Object.values(keysActions) },
  { name: 'Audit log', tables: auditTables({} as AuditAdmin), own: Object.values(auditActions) },
  { name: 'Worker', tables: [], own: Object.values(workerActions) },
];

/** The rows that have entries when all goes well, with the names of their RPCs. */
export const rowsOf = ({ tables }: Source): (Action & { rpc: string })[] =>
  tables
    .flatMap(({ service, table }) =>
      Object.entries(table).map(([name, row]) => ({
        ...row,
        rpc: `${service.slice(service.lastIndexOf('.') + 1)}/${name[0]?.toUpperCase()}${name.slice(1)}`,
      })),
    )
    .filter(({ audit }) => audit !== 'none');

const cells = (row: Action, facts: readonly string[]): string =>
  [
    row.audit === 'read' ? 'reads' : 'changes',
    row.data ? 'data' : '',
    severityOf({ action: row.action, code: 0, reason: '' }).toLowerCase(),
    facts.map((fact) => `\`${fact}\``).join(' '),
  ].join(' | ');

/** Rows of one action stand in one line. */
const lineOf = ([first, ...others]: readonly (Action & { by: string })[]): string => {
  const rows = [first!, ...others];
  const facts = [...new Set(rows.flatMap((row) => row.facts))];
  return `| \`${first!.action}\` | ${rows.map(({ by }) => by).join(', ')} | ${cells(first!, facts)} |`;
};

const tableOf = (title: string, rows: readonly (Action & { by: string })[]): string[] => [
  `| action | ${title} | | data | severity | attributes |`,
  '|---|---|---|---|---|---|',
  ...[...Map.groupBy(rows, ({ action }) => action).values()].map(lineOf).sort(),
  '',
];

const sectionOf = (source: Source): string[] => [
  `## ${source.name}`,
  '',
  ...(source.tables.length > 0
    ? tableOf(
        'call',
        rowsOf(source).map((row) => ({ ...row, by: `\`${row.rpc}\`` })),
      )
    : []),
  'By itself, as initiator:',
  '',
  ...tableOf(
    'when',
    source.own.map((row) => ({ ...row, by: row.when })),
  ),
];

const INTRODUCTION = `# Audit events
<!-- Made by \`node src/dev/audit-events.ts\` from the service tables; do not edit. -->

Every action that can be in the audit log, with what its entries may say. An entry's form is that of \`Event\` in
[audit_service.proto](../proto/strongroom/audit/v1/audit_service.proto); how other systems take it is in [Export](audit-export.md).

- **Who** is the initiator: the SPIFFE ID in the caller's certificate, with that certificate's SHA-256. Where a service of ours
  called on somebody's behalf, he is named as well. In the second table of each service the service acts by itself.
- **Every call has one entry**, also one that was denied (outcome \`denied\`, event type \`control\`) or failed (\`failure\`, with the reason).
  A call that changes nothing is answered when its entry is on stable storage. A change writes its entry in its own transaction, so that there
  is never one without the other; that is why no call needs one entry for the attempt and another for the outcome. Where a
  call makes a change in another service, that service's own entry stands for it, under the same correlation id. What reaches over several
  transactions has an entry at its begin and one at its end: the purge (\`purge.start\`, \`purge\`), the replacement of a group's key
  (\`rekey.start\`, \`rekey\`) and the reading of a stream (\`tail\`, \`tail.end\`).
- **Attributes** are those that are listed here, and never a value or a key. Every entry of a repeated call may say \`replay\`.
- **Severity** is that of success. What fails is by its code: \`PERMISSION_DENIED\`, \`UNAUTHENTICATED\`, \`UNAVAILABLE\` and
  \`DATA_LOSS\` are critical, \`NOT_FOUND\` and \`CANCELLED\` normal, everything else is a warning.
- **Data** marks what gives out, takes in or opens what customers keep here, or a key to that.
- **What joins entries**: \`correlation_id\`, which a caller may choose by sending \`x-correlation-id\`, over all services of one call; \`trace_id\`, if
  he sends a W3C \`traceparent\`; and for all that a purge does its uid, which the entry of the delete names as \`purge\`.
`;

/** The whole document. */
export const catalogue = (): string =>
  [
    INTRODUCTION,
    ...SOURCES.flatMap(sectionOf),
    '## Every service',
    '',
    ...tableOf('when', [
      { ...REFUSED, by: 'a call of a method that is not there, or one that the gRPC library refused: too large, malformed, too slow' },
    ]),
    '## Attributes',
    '',
    '| attribute | what |',
    '|---|---|',
    ...Object.entries(FACTS)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([fact, what]) => `| \`${fact}\` | ${what} |`),
    '',
  ].join('\n');

if (import.meta.main) writeFileSync(FILE, catalogue());
