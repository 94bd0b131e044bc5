// The types of secrets: what each takes, what it refuses and how it says so, and that what is sealed comes out as it went in.
import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { CertificateBundle, Generator, SecretType, UserCredentials } from '../../src/gen/strongroom/secrets/v1/secret_types.ts';
import { checksum, MAX_PAYLOAD_BYTES, parsePayload, toPayload } from '../../src/store/payload.ts';
import type { PayloadValue } from '../../src/store/types/type.ts';
import { assertTakes, parseGenerator, parseType, typeOfKind, TYPES } from '../../src/store/types/types.ts';
import { newChain, type Chain } from '../support/chains.ts';

const now = new Date();
const parse = (value: PayloadValue, crc32c?: bigint) => parsePayload({ value, crc32c }, now);
const back = (value: PayloadValue) => {
  const { kind, bytes, crc32c } = parse(value);
  return toPayload(kind, bytes, BigInt(crc32c)).value;
};
const entries = (given: Record<string, string>): PayloadValue => ({
  $case: 'keyValue',
  value: { entries: new Map(Object.entries(given)) },
});
const user = (username: string, password: string): PayloadValue => ({ $case: 'userCredentials', value: { username, password } });
const bundle = (given: Partial<CertificateBundle>): PayloadValue => ({ $case: 'certificate', value: CertificateBundle.fromPartial(given) });

const violationsOf = (work: () => unknown): [string, string][] => {
  try {
    work();
  } catch (error) {
    return (error as { violations: { field: string; description: string }[] }).violations.map((v) => [v.field, v.description]);
  }
  throw new Error('should have been refused');
};
const fieldsOf = (work: () => unknown) => violationsOf(work).map(([field]) => field);

describe('the table of types', () => {
  it('has every type of the protocol, under its own name', () => {
    for (const name of Object.keys(TYPES) as (keyof typeof TYPES)[]) {
      expect(parseType(SecretType[name], 'type')).toBe(name);
      for (const kind of Object.values(TYPES[name].kinds)) expect(typeOfKind(kind)).toBe(name);
    }
    expect(parseType(SecretType.UNSPECIFIED, 'type')).toBe('OPAQUE');
    expect(() => parseType(99 as never, 'secret.type')).toThrow('secret.type');
  });

  it('lets a secret take payloads of its own type only, and says which', () => {
    expect(() => assertTakes('OPAQUE', 'TEXT')).not.toThrow();
    expect(() => assertTakes('OPAQUE', 'KEY_VALUE')).toThrow('of type OPAQUE, which takes text or data');
    expect(() => assertTakes('USER_CREDENTIALS', 'TEXT')).toThrow('takes user_credentials');
  });
});

describe('key_value', () => {
  it('keeps every key and value, also odd ones, and is the same bytes in whatever order they came', () => {
    const odd = { __proto__x: 'a', constructor: 'b', 'Größe/.Ü 字': '\u0000\n"', '': '' };
    const { '': _, ...taken } = odd;
    const given = entries(taken);
    (given.value as { entries: Map<string, string> }).entries.set('__proto__', 'c');
    expect(back(given)).toEqual(given);
    expect(parse(entries({ b: '2', a: '1' })).bytes).toEqual(Buffer.from('{"a":"1","b":"2"}'));
    expect(parse(entries({ b: '2', a: '1' })).bytes).toEqual(parse(entries({ a: '1', b: '2' })).bytes);
  });

  it.each([
    ['no entry', {}],
    ['an empty key', { '': 'secret' }],
    ['a key with a line feed', { 'a\nb': 'secret' }],
    ['a key of 257 characters', { ['k'.repeat(257)]: 'secret' }],
    ['1,001 entries', Object.fromEntries(Array.from({ length: 1_001 }, (_, i) => [`k${i}`, 'secret']))],
  ])('refuses %s, and tells neither keys nor values', (_, given) => {
    const [[field, description] = ['', ''], ...others] = violationsOf(() => parse(entries(given)));
    expect([field, others]).toEqual(['payload.key_value.entries', []]);
    expect(description).not.toMatch(/secret|kkk|k1/);
  });

  it('takes up to each limit: 1,000 entries, keys of 256 characters, 1 MiB of canonical JSON', () => {
    expect(() => parse(entries(Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`k${i}`, ''])))).bytes).not.toThrow();
    expect(() => parse(entries({ ['字'.repeat(256)]: '' }))).not.toThrow();
    const room = MAX_PAYLOAD_BYTES - '{"k":""}'.length;
    expect(parse(entries({ k: 'x'.repeat(room) })).bytes.length).toBe(MAX_PAYLOAD_BYTES);
    expect(() => parse(entries({ k: 'x'.repeat(room + 1) }))).toThrow(expect.objectContaining({ reason: 'PAYLOAD_TOO_LARGE' }));
  });

  it('is checked by the CRC32C of its canonical JSON', () => {
    const sum = checksum(Buffer.from('{"a":"1","b":"2"}'));
    expect(parse(entries({ b: '2', a: '1' }), BigInt(sum)).clientSpecifiedCrc32c).toBe(true);
    expect(() => parse(entries({ b: '2', a: '3' }), BigInt(sum))).toThrow(expect.objectContaining({ reason: 'CRC32C_MISMATCH' }));
  });
});

describe('user_credentials', () => {
  it('come out as they went in, in any script', () => {
    expect(parse(user('app', 'x')).bytes).toEqual(Buffer.from('{"password":"x","username":"app"}'));
    for (const given of [user('app', 'correct horse'), user('jürgen@字.example', '\t"\\\u{1f600}')]) expect(back(given)).toEqual(given);
  });

  it.each([
    [user('', ''), ['username', 'password']],
    [user('app', ''), ['password']],
    [user('a\u0000b', 'x'), ['username']],
    [user('a'.repeat(257), 'x'), ['username']],
    [user('app', 'x'.repeat(4_097)), ['password']],
  ])('are refused with each field that is wrong', (given, fields) => {
    expect(fieldsOf(() => parse(given))).toEqual(fields.map((field) => `payload.user_credentials.${field}`));
  });

  it('are taken up to each limit', () => {
    expect(() => parse(user('字'.repeat(256), '\u{1f600}'.repeat(4_096)))).not.toThrow();
  });
});

describe('certificate', () => {
  let chain: Chain;
  let expired: Chain;
  const CHAIN = 'payload.certificate.certificate_chain';
  const KEY = 'payload.certificate.private_key';
  beforeAll(async () => {
    [chain, expired] = await Promise.all([newChain(), newChain({ notAfter: new Date(Date.now() - 60_000) })]);
  });
  const good = () => ({ certificateChain: chain.leaf + chain.intermediate + chain.root, privateKey: chain.key });

  it('comes out as it went in, with or without the chain above the leaf', () => {
    for (const certificateChain of [good().certificateChain, chain.leaf, chain.leaf + chain.intermediate]) {
      const given = bundle({ ...good(), certificateChain });
      expect(back(given)).toEqual(given);
      expect(parse(given).bytes.toString()).toBe(JSON.stringify({ certificateChain, privateKey: chain.key }));
    }
  });

  it('tells what the certificate says, and nothing of the key', () => {
    const { details } = parse(bundle(good()));
    const fingerprintSha256 = createHash('sha256').update(new X509Certificate(chain.leaf).raw).digest('hex');
    expect(TYPES.CERTIFICATE.tell!(details!).certificate).toMatchObject({
      notAfterTime: chain.notAfter,
      subject: 'CN=leaf.example',
      issuer: 'CN=Intermediate',
      fingerprintSha256,
    });
    expect(JSON.stringify(details)).not.toContain('PRIVATE');
  });

  it('is refused with the field and the place that is wrong', () => {
    const { leaf, intermediate, root, key, otherKey } = chain;
    const cases: [Partial<CertificateBundle>, [string, RegExp][]][] = [
      [
        {},
        [
          [CHAIN, /required/],
          [KEY, /required/],
        ],
      ],
      [{ certificateChain: leaf, privateKey: otherKey }, [[KEY, /not the key of the first certificate/]]],
      [{ certificateChain: leaf, privateKey: 'nonsense' }, [[KEY, /must be one private key/]]],
      [{ certificateChain: root + intermediate + leaf, privateKey: key }, [[CHAIN, /certificate 2 has not issued/]]],
      [{ certificateChain: leaf + root, privateKey: key }, [[CHAIN, /certificate 2 has not issued the one before/]]],
      [{ certificateChain: leaf + intermediate + expired.root, privateKey: key }, [[CHAIN, /certificate 3 has not issued/]]],
      [{ certificateChain: key + leaf, privateKey: key }, [[CHAIN, /nothing else/]]],
      [{ certificateChain: 'nonsense', privateKey: key }, [[CHAIN, /must be PEM certificates/]]],
      [{ certificateChain: `${leaf}é`, privateKey: key }, [[CHAIN, /nothing else/]]],
      [
        { certificateChain: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', privateKey: key },
        [[CHAIN, /cannot be parsed/]],
      ],
      [{ certificateChain: leaf.repeat(11), privateKey: key }, [[CHAIN, /has 11 certificates; at most 10/]]],
      [{ certificateChain: expired.leaf, privateKey: expired.key }, [[CHAIN, /has expired/]]],
    ];
    for (const [given, expected] of cases) {
      const found = violationsOf(() => parse(bundle(given)));
      expect(found.map(([field]) => field)).toEqual(expected.map(([field]) => field));
      found.forEach(([, description], i) => {
        expect(description).toMatch(expected[i]![1]);
        expect(description).not.toMatch(/BEGIN|MII/);
      });
    }
  });

  it('is taken although it has expired, if the caller says so', () => {
    const given = { certificateChain: expired.leaf, privateKey: expired.key, acceptExpired: true };
    expect(parse(bundle(given)).details?.['notAfter']).toBe(expired.notAfter.toISOString());
  });

  it('is refused with an encrypted key', () => {
    const { privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'hunter2' },
    });
    expect(violationsOf(() => parse(bundle({ certificateChain: chain.leaf, privateKey })))).toEqual([
      [KEY, 'must be one private key as PEM, not encrypted'],
    ]);
  });
});

describe('a generator', () => {
  const make = (type: keyof typeof TYPES, value: Generator['value'], newest?: Buffer) =>
    parseGenerator(type, { value }, 'generate').make(newest);
  const credentials = (username: string): Generator['value'] => ({ $case: 'userCredentials', value: { username, password: undefined } });

  it('makes bytes of the length that was asked for, 32 unless it was', () => {
    for (const [length, expected] of [
      [0, 32],
      [16, 16],
      [65_536, 65_536],
    ] as const)
      expect(make('OPAQUE', { $case: 'data', value: { length } }).bytes.length).toBe(expected);
    for (const length of [15, 65_537, -1])
      expect(fieldsOf(() => make('OPAQUE', { $case: 'data', value: { length } }))).toEqual(['generate.data.length']);
  });

  it('makes credentials with a user that is given, or that of the newest version', () => {
    const first = make('USER_CREDENTIALS', credentials('app'));
    const next = make('USER_CREDENTIALS', credentials(''), first.bytes);
    const shown = [first, next].map(({ kind, bytes }) => TYPES.USER_CREDENTIALS.show(kind, bytes).value as UserCredentials);
    expect(shown.map(({ username }) => username)).toEqual(['app', 'app']);
    expect(shown[0]!.password).not.toBe(shown[1]!.password);
    expect(shown[0]!.password).toHaveLength(32);
    expect(fieldsOf(() => make('USER_CREDENTIALS', credentials('')))).toEqual(['generate.user_credentials.username']);
    expect(fieldsOf(() => make('USER_CREDENTIALS', credentials('a\nb')))).toEqual(['generate.user_credentials.username']);
  });

  it('is refused for a type of which nothing like it is generated', () => {
    for (const type of ['KEY_VALUE', 'CERTIFICATE', 'OPAQUE'] as const)
      expect(fieldsOf(() => make(type, credentials('app')))).toEqual(['generate']);
    expect(fieldsOf(() => make('USER_CREDENTIALS', { $case: 'data', value: { length: 0 } }))).toEqual(['generate']);
    expect(fieldsOf(() => make('OPAQUE', undefined))).toEqual(['generate']);
  });
});
