// KEY_VALUE: named texts, read and written together.
import type { KeyValue } from '../../gen/strongroom/secrets/v1/secret_types.ts';
import { assertNone, canonicalBytes, flawOf, textsOf, type SecretType } from './type.ts';

const MOST_ENTRIES = 1_000;
const MOST_KEY_CHARACTERS = 256;
const FIELD = 'payload.key_value.entries';

/** Keys are sealed as values are, so that no message has one. */
const flawOfEntries = ({ entries }: KeyValue): string | undefined => {
  if (entries.size === 0) return 'is required';
  if (entries.size > MOST_ENTRIES) return `has ${entries.size} entries; at most ${MOST_ENTRIES} are taken`;
  for (const key of entries.keys()) {
    const flaw = flawOf(key, MOST_KEY_CHARACTERS);
    if (flaw !== undefined) return key === '' ? 'has an empty key' : `has a key that ${flaw}`;
  }
  return undefined;
};

export const keyValue: SecretType = {
  kinds: { keyValue: 'KEY_VALUE' },
  parse: (value) => {
    const given = value.$case === 'keyValue' ? value.value : { entries: new Map<string, string>() };
    const flaw = flawOfEntries(given);
    assertNone(flaw === undefined ? [] : [{ field: FIELD, description: flaw }]);
    return { kind: 'KEY_VALUE', bytes: canonicalBytes(Object.fromEntries(given.entries)) };
  },
  show: (_, bytes) => ({ $case: 'keyValue', value: { entries: new Map(Object.entries(textsOf(bytes))) } }),
};
