// The drill's result as text: what came back from which backup, and where which bytes still are.
import type { Report, Result } from './drill.ts';
import { ITEM_IDS, ITEMS, PURGED, type ItemId } from './items.ts';
import { KINDS } from './needles.ts';
import { tableOf, wrap } from './table.ts';

const isPurged = (id: ItemId): boolean => (PURGED as readonly ItemId[]).includes(id);

const verdictOf = ({ scenario, observation }: Result, id: ItemId): string => {
  const got = observation.items[id];
  const [read, key] = scenario.expected[id];
  if (got.read !== read || got.key !== key) return '✗ not as documented';
  if (!isPurged(id) && got.read === 'READ') return 'as it was';
  if (!isPurged(id) && got.rows === 0) return 'lost: not in the backup';
  if (!isPurged(id)) return 'lost: its key is not in the backup';
  if (got.read === 'READ') return '! comes back';
  if (got.rows > 0) return 'rows, unreadable';
  return got.key === 'alive' && id !== 'secret' && id !== 'rekeyed' ? 'gone; its key is back' : 'gone';
};

const sentencesOf = ({ scenario, observation }: Result, receipts: number): string[] => {
  const { trial, refusals, swept, rowsBefore, rowsAfter, logSize, entriesThere } = observation;
  return [
    ...wrap(`${scenario.why}.`, 110),
    `Past every service, ${trial.opened} of ${trial.all} wrapped scope keys in it open with today’s folder of master keys.`,
    ...wrap(`Refused to start: ${refusals.length === 0 ? 'nothing' : refusals.join('; ')}.`, 110),
    `The worker swept: ${swept.length === 0 ? 'nothing' : swept.join(', ')} (${rowsBefore} → ${rowsAfter} rows).`,
    `The log has ${logSize} entries; of ${receipts} receipts of purges the entry of ${entriesThere} is in it.`,
  ];
};

const bytesOf = ({ needles, sightings }: Report): string[] => {
  const moments = [...new Map(sightings.map(({ place, when }) => [`${place}, ${when}`, { place, when }])).values()];
  const rows = moments.map(({ place, when }) => {
    const { found } = sightings.find((each) => each.place === place && each.when === when)!;
    const counts = KINDS.map((kind) => {
      const all = needles.filter((needle) => needle.what === kind);
      const there = all.filter((needle) => found.has(needle)).length;
      return there === 0 ? '–' : `${there} of ${all.length}`;
    });
    return [place, when, ...counts];
  });
  return tableOf(['place', 'when', ...KINDS], rows);
};

export const tell = (report: Report): string => {
  const receipts = PURGED.length;
  const tables = report.results.flatMap((result) => [
    '',
    result.scenario.title,
    ...sentencesOf(result, receipts).map((line) => `  ${line}`),
  ]);
  const header = ['restored', 'what', 'a read answers', 'scope key', 'rows', ''];
  const rows = report.results.flatMap((result) =>
    ITEM_IDS.map((id, i) => {
      const { read, key, rows: left } = result.observation.items[id];
      return [i === 0 ? result.scenario.title : '', ITEMS[id], read, key, String(left), verdictOf(result, id)];
    }),
  );
  return [
    'What comes back, with the keys of today',
    ...tableOf(header, rows),
    ...tables,
    '',
    'Where the bytes are of what was purged',
    ...bytesOf(report),
    ...wrap(
      'Secret values are nowhere in clear. Ciphertext and wrapped keys stay in WAL, backups and dead rows until PostgreSQL writes over them. ' +
        'Ciphertext opens with its data key, that with its scope key, that with the root key, that with the master key: none of them is in these ' +
        'files but wrapped by the next one, and the master key is in none of them.',
      120,
    ),
    '',
    report.surprises.length === 0
      ? '✓ everything is as docs/deletion.md says'
      : `✗ not as docs/deletion.md says:\n${report.surprises.map((line) => `  ${line}`).join('\n')}`,
  ].join('\n');
};
