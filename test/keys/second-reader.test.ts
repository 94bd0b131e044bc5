// That the golden vectors open with code that shares nothing with ours: the formats are what the document says.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hasSecondReader, readWithOther, type Step } from '../support/second-reader.ts';

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8'));
type Fields = Record<string, string> & { version: number };
interface Vector {
  name: string;
  expect: string;
  place: object;
  scopeKey: string;
  dek: string;
  wrapped: string;
  sealed: string;
  payload: string;
}
/** Of format 2: by one of the versions of a scope's key, whose number stands in the wrap. */
interface Vector2 extends Vector {
  living: Readonly<Record<string, string>>;
}
const versionOf = ({ wrapped }: Vector2): number => parseInt(wrapped.slice(2, 10), 16);
const keyOf = (vector: Vector2): string => vector.living[versionOf(vector)] ?? '00'.repeat(32);

const soft = read('keys/soft-v1.json') as Fields;
const imported = read('keys/imported-v2.json') as Fields;
const deks = (read('keys/dek-v1.json') as { vectors: Vector[] }).vectors;
const deks2 = (read('keys/dek-v2.json') as { vectors: Vector2[] }).vectors;
const payloads = (read('envelope/payload-v1.json') as { vectors: Vector[] }).vectors;

const { masterKey, keyUid, version, scopeUid, instanceUid, jobUid, jobName, nonce, proof } = imported as Required<typeof imported>;
const rootOf = (blob: string, field = {}): Step => ({ open: 'root', key: masterKey!, blob, keyUid, version, ...field });

describe.runIf(hasSecondReader)('another program', () => {
  it('opens an import from end to end: private key, material, check value, reference, scope key', () => {
    const key = masterKey!;
    const opened = readWithOther([
      { open: 'master_id', key },
      { open: 'import_key', key, blob: imported['sealedImportKey']!, jobUid },
      { open: 'material', key: { step: 1 }, blob: imported['wrappedMaterial']!, jobName, nonce, proof },
      { open: 'check_value', key: { step: 2 } },
      rootOf(imported['ref']!),
      { open: 'scope', key: { step: 4 }, blob: imported['wrapped']!, keyUid, version, scopeUid, instanceUid, scopeVersion: 1 },
    ]);
    const expected = [imported['masterKeyId'], imported['pkcs8'], imported['material'], imported['checkValue'], expect.any(String)];
    expect(opened).toEqual([...expected, imported['plain']]);
  });

  it('opens a reference of format 1', () => {
    const [rootKey] = readWithOther([
      { open: 'root', key: soft['masterKey']!, blob: soft['ref']!, keyUid: soft['keyUid'], version: soft.version },
    ]);
    expect(rootKey).toHaveLength(64);
  });

  it('opens every wrapped DEK and every sealed payload that is to open, and none that is not', () => {
    const steps = [
      ...deks.map((v): [Step, string, string] => [{ open: 'dek', key: v.scopeKey, blob: v.wrapped, ...v.place }, v.expect, v.dek]),
      ...deks2.map((v): [Step, string, string] => [{ open: 'dek', key: keyOf(v), blob: v.wrapped, ...v.place }, v.expect, v.dek]),
      ...payloads.map((v): [Step, string, string] => [{ open: 'payload', key: v.dek, blob: v.sealed, ...v.place }, v.expect, v.payload]),
    ];
    const opened = readWithOther(steps.map(([step]) => step));
    expect(opened).toEqual(steps.map(([, outcome, plain]) => (outcome === 'success' ? plain : null)));
    expect(opened.filter((plain) => plain !== null).length).toBeGreaterThan(3);
  });

  it('does not open a reference in another place, without its material, or damaged', () => {
    const ref = imported['ref']!;
    const damaged = `${ref.slice(0, 100)}${ref[100] === '0' ? '1' : '0'}${ref.slice(101)}`;
    const steps = [
      rootOf(ref, { version: version + 1 }),
      rootOf(ref, { keyUid: scopeUid }),
      rootOf(imported['refWithoutMaterial']!),
      rootOf(damaged),
    ];
    expect(readWithOther(steps)).toEqual([null, null, null, null]);
  });
});
