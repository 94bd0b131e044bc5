// Erasure of private fields: whose, found in windows of the log, so that no question takes long; and the entries that tell of it.
import type { EraseFieldsRequest } from '../gen/strongroom/audit/v1/audit_admin_service.ts';
import { invalid } from '../kernel/errors.ts';
import { checkUuid, parsePrincipal } from '../kernel/fields.ts';
import type { EntryDraft } from '../kernel/table.ts';
import type { AuditAdmin } from './audit.ts';
import { PRIVATE_FIELDS } from './private.ts';
import { selectIndexAt } from './sql/entries.ts';
import { selectPrunedBelow } from './sql/ranges.ts';
import { selectIndexesWith, type FieldRow, type Whose } from './sql/private.ts';

/** Entries in one call. */
const MOST = 1000;
/** Indexes in one entry that tells of an erasure: 19 digits each fit into one attribute. */
const IN_ENTRY = 100;
const WINDOW = 262_144n;
/** Then the caller is to come back. */
const TURN_MS = 4_000;

export type Selection = { readonly indexes: readonly bigint[] } | { readonly whose: Whose; readonly before: Date; readonly from: bigint };

export const parseFields = (fields: readonly string[]): string[] => {
  const known: readonly string[] = PRIVATE_FIELDS;
  if (fields.some((field) => !known.includes(field))) throw invalid('fields', `must be private fields of an event: ${known.join(', ')}`);
  return fields.length === 0 ? [...known] : [...new Set(fields)];
};

export const parseSelection = (request: EraseFieldsRequest): Selection => {
  const { indexes, principal, instanceUid, beforeTime, minIndex } = request;
  if (minIndex < 0n) throw invalid('min_index', 'must not be negative');
  const isByName = principal !== '' || instanceUid !== '' || beforeTime !== undefined;
  if (isByName === indexes.length > 0)
    throw invalid('indexes', 'must be 1 to 1000, or empty, and then before_time with principal or instance_uid says which entries');
  if (!isByName) {
    if (indexes.length > MOST) throw invalid('indexes', `are ${indexes.length}; at most ${MOST} are taken in one call`);
    if (indexes.some((index) => index < 0n)) throw invalid('indexes', 'must not be negative');
    return { indexes };
  }
  if (beforeTime === undefined || Number.isNaN(beforeTime.getTime()))
    throw invalid('before_time', 'is required beside principal or instance_uid');
  if (principal === '' && instanceUid === '') throw invalid('principal', 'is required beside before_time, or instance_uid is');
  const whose: Whose = {
    principal: principal === '' ? '' : parsePrincipal(principal, 'principal'),
    instanceUid: instanceUid === '' ? '' : checkUuid(instanceUid, 'instance_uid'),
  };
  return { whose, before: beforeTime, from: minIndex };
};

/** Entries that may have something to erase, the lowest first; and where to go on. */
export const findEntries = async (audit: AuditAdmin, selection: Selection, fields: readonly string[]): Promise<[bigint[], bigint]> => {
  if ('indexes' in selection) return [[...new Set(selection.indexes)], 0n];
  const { read } = audit.db;
  const [below, end] = await Promise.all([selectPrunedBelow(read), selectIndexAt(read, selection.before)]);
  const found: bigint[] = [];
  const until = performance.now() + TURN_MS;
  let at = selection.from > below ? selection.from : below;
  while (at < end) {
    const next = at + WINDOW < end ? at + WINDOW : end;
    found.push(...(await selectIndexesWith(read, selection.whose, fields, [at, next], MOST + 1 - found.length)));
    const rest = found[MOST];
    if (rest !== undefined) return [found.slice(0, MOST), rest];
    if (performance.now() > until && next < end) return [found, next];
    at = next;
  }
  return [found, 0n];
};

export const indexesOf = (rows: readonly FieldRow[]): bigint[] =>
  [...new Set(rows.map(({ index }) => index))].sort((a, b) => Number(a - b));

/** What the entries of an erasure say: which fields of which entries. */
export const erasureDrafts = (rows: readonly FieldRow[]): EntryDraft[] => {
  const fields = [...new Set(rows.map(({ field }) => field))].sort();
  const indexes = indexesOf(rows);
  return Array.from({ length: Math.ceil(indexes.length / IN_ENTRY) }, (_, i) => indexes.slice(i * IN_ENTRY, (i + 1) * IN_ENTRY)).map(
    (some) => ({
      attributes: { fields: fields.join(','), count: String(some.length), indexes: some.join(',') },
    }),
  );
};
