// What secrets are moved in from: text as other tools write it, to names and values. No message has a value in it, nor anything that
// could be part of one. Pure.
import canonicalize from 'canonicalize';

export interface Item {
  /** As it was called where it comes from. */
  readonly name: string;
  readonly value: string;
  /** What `value` is the canonical JSON of, if it becomes a secret of named texts. */
  readonly entries?: Readonly<Record<string, string>>;
}

type Parse = (text: string) => Item[];

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The key-value pairs in what Vault answers about a path: the whole answer, its `data`, or what is in that. */
const pairsIn = (answer: unknown): Record<string, unknown> | undefined => {
  if (!isObject(answer)) return undefined;
  const { data } = answer;
  if (!isObject(data)) return undefined;
  return isObject(data['data']) && isObject(data['metadata']) ? data['data'] : isObject(answer['metadata']) ? data : undefined;
};

const MOST_ENTRIES = 1_000;
const MOST_KEY_CHARACTERS = 256;

/** Whether a secret can have them as they are: texts, with keys that the store takes. */
const areTexts = (pairs: Record<string, unknown>): pairs is Record<string, string> => {
  const entries = Object.entries(pairs);
  const fits = ([key, value]: [string, unknown]) =>
    typeof value === 'string' && key !== '' && key.length <= MOST_KEY_CHARACTERS && !/\p{Cc}/u.test(key);
  return entries.length > 0 && entries.length <= MOST_ENTRIES && entries.every(fits);
};

/** An object of paths: of each, its pairs become named texts, or where they are none one text, RFC 8785 JSON. */
const parseVault: Parse = (text) => {
  let dump: unknown;
  try {
    dump = JSON.parse(text);
  } catch {
    // Its own message quotes what it did not understand.
    throw new Error('the dump is not JSON');
  }
  if (!isObject(dump)) throw new Error('the dump must be a JSON object: path → what `vault kv get -format=json` answers');
  return Object.entries(dump).map(([name, answer]) => {
    const pairs = pairsIn(answer);
    if (!pairs) throw new Error(`${JSON.stringify(name)} has no "data" beside "metadata"; is it KV version 2, and not deleted?`);
    return { name, value: canonicalize(pairs) ?? '{}', ...(areTexts(pairs) ? { entries: pairs } : {}) };
  });
};

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\', $: '$' };
const KEY = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*/;
const SINGLE = /^'([^']*)'/;
const DOUBLE = /^"((?:[^"\\]|\\[^])*)"/;
const PLAIN = /^[^\r\n]*/;
const REST = /^[ \t]*(?:#[^\r\n]*)?(?:\r?\n|$)/;

/** `NAME=value`, with or without quotes; in quotes also over several lines. `$` stands for itself: nothing is expanded. */
const parseDotenv: Parse = (text) => {
  const items: Item[] = [];
  let rest = text;
  const line = () => text.slice(0, text.length - rest.length).split('\n').length;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    const found = pattern.exec(rest);
    if (found) rest = rest.slice(found[0].length);
    return found;
  };
  while (rest !== '') {
    if (take(REST)) continue;
    const name = take(KEY)?.[1];
    if (name === undefined) throw new Error(`line ${line()} is not NAME=value`);
    const quoted = take(SINGLE)?.[1] ?? take(DOUBLE)?.[1]?.replaceAll(/\\([^])/g, (both, c: string) => ESCAPES[c] ?? both);
    if (quoted === undefined && /^['"]/.test(rest)) throw new Error(`the quote that begins in line ${line()} has no end`);
    const value = quoted ?? (take(PLAIN)?.[0] ?? '').replace(/(^|[ \t])#.*$/, '').trim();
    if (!take(REST)) throw new Error(`line ${line()} goes on after its value; put all of it in quotes`);
    items.push({ name, value });
  }
  return items;
};

export const FORMATS: Readonly<Record<string, Parse>> = { 'vault-kv2': parseVault, dotenv: parseDotenv };
