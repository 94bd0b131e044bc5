// What a type of secret has to say: which payloads it takes and how they are checked, the bytes that are sealed, how they are
// shown again, and what of them is known without opening them. One file for each type beside this one; no input or output.
import canonicalize from 'canonicalize';
import { SecretPayload_Kind, type SecretPayload, type SecretVersion } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import type { Generator } from '../../gen/strongroom/secrets/v1/secret_types.ts';
import { AppError, type Violation } from '../../kernel/errors.ts';

/** How a payload was given; stored with each version. */
export type Kind = Exclude<keyof typeof SecretPayload_Kind, 'UNSPECIFIED'>;
export type PayloadValue = NonNullable<SecretPayload['value']>;
export type Case = PayloadValue['$case'];
export type GeneratorValue = NonNullable<Generator['value']>;

/** What is known of a version without opening it; never anything of a value that is secret. */
export type Details = Readonly<Record<string, string>>;

/** A payload, checked. */
export interface Content {
  readonly kind: Kind;
  /** What is sealed, the same for the same payload. */
  readonly bytes: Buffer;
  readonly details?: Details;
}

/** How a value is generated, checked. */
export interface Recipe {
  /** It takes something over from the newest version, which has to be opened for that. */
  readonly needsNewest: boolean;
  readonly make: (newest?: Buffer) => Content;
}

export interface SecretType {
  /** The payloads that it takes, and the kind that each is stored as. No two types have one in common. */
  readonly kinds: Readonly<Partial<Record<Case, Kind>>>;
  /** Throws with all fields that are wrong. Called with a payload of its own kinds only. */
  readonly parse: (value: PayloadValue, now: Date) => Content;
  readonly show: (kind: Kind, bytes: Buffer) => PayloadValue;
  /** What `details` tell of a version. */
  readonly tell?: (details: Details) => Partial<SecretVersion>;
  /** Absent: nothing of this type can be generated. Undefined: not like this. */
  readonly recipe?: (value: GeneratorValue, field: string) => Recipe | undefined;
}

/** Throws if something is wrong; all of it at once. */
export const assertNone = (violations: readonly Violation[]): void => {
  if (violations.length === 0) return;
  const message = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  throw new AppError('INVALID_FIELD', message, { metadata: { field: violations[0]!.field }, violations: [...violations] });
};

const CONTROL = /\p{Cc}/u;
/** Why a text cannot be taken; undefined if it can. */
export const flawOf = (text: string, most: number, { controls = false } = {}): string | undefined => {
  if (text === '') return 'is required';
  if (text.length > most && [...text].length > most) return `has more than ${most} characters`;
  return !controls && CONTROL.test(text) ? 'has control characters' : undefined;
};

/** RFC 8785, so that a caller can make the same bytes. */
export const canonicalBytes = (texts: Readonly<Record<string, string>>): Buffer => Buffer.from(canonicalize(texts)!, 'utf8');
// What was sealed was made by the function above.
export const textsOf = (bytes: Buffer): Record<string, string> => JSON.parse(bytes.toString('utf8')) as Record<string, string>;
