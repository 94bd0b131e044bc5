// Puts items into a group, one secret each. Nothing that is there is changed: it is compared, and told of. So the same import can be run
// again, and goes on where it was; the request id of each is made of its name, so that one that was interrupted is not made twice.
import { crc32c } from '@node-rs/crc32';
import canonicalize from 'canonicalize';
import { v5 as uuidv5 } from 'uuid';
import type { SecretAccessServiceService } from '../gen/strongroom/secrets/v1/secret_access_service.ts';
import {
  ListSecretsRequest,
  Secret,
  Secret_State,
  type SecretPayload,
  type SecretServiceService,
} from '../gen/strongroom/secrets/v1/secret_service.ts';
import { SecretType } from '../gen/strongroom/secrets/v1/secret_types.ts';
import type { ClientOf } from '../kernel/client.ts';
import { AppError } from '../kernel/errors.ts';
import type { Item } from './formats.ts';
import { idOf } from './ids.ts';

/** Of names of secrets that were imported. */
const NAMESPACE = '5b1c54b4-2f1d-4a53-9c67-6d0a2f0f3c10';
const AT_ONCE = 16;
const CALL_MS = 30_000;
const MAX_PAGE = 1_000;
/** What concerns one secret, and does not keep the others from being imported. */
const OF_ONE = [
  'ALREADY_EXISTS',
  'NAME_RETIRED',
  'REQUEST_ID_REUSED',
  'PAYLOAD_TOO_LARGE',
  'RESOURCE_EXPIRED',
  'VERSION_DISABLED',
  'VERSION_DESTROYED',
  'VERSION_DESTROY_SCHEDULED',
  'NOT_FOUND',
];

export type Result = 'created' | 'same' | 'differs' | 'unread' | 'failed';
export interface Outcome {
  readonly item: Item;
  readonly result: Result;
  /** Why it failed. */
  readonly why?: string;
}

export interface Import {
  readonly secrets: Pick<ClientOf<typeof SecretServiceService>, 'createSecret' | 'listSecrets'>;
  readonly access: Pick<ClientOf<typeof SecretAccessServiceService>, 'accessSecretVersion'>;
  /** `instances/{instance}/groups/{group}`. */
  readonly group: string;
  /** Where the items come from, for their annotations. */
  readonly format: string;
  readonly dryRun: boolean;
  readonly step: () => void;
}

const options = () => ({ deadline: Date.now() + CALL_MS });

const payloadOf = ({ value, entries }: Item): SecretPayload => ({
  value: entries ? { $case: 'keyValue', value: { entries: new Map(Object.entries(entries)) } } : { $case: 'text', value },
  crc32c: BigInt(crc32c(value) >>> 0),
});

/** The text that a payload is the same as, if it is one that an import could have made. */
const textOf = (payload: SecretPayload | undefined): string | undefined => {
  if (payload?.value?.$case === 'keyValue') return canonicalize(Object.fromEntries(payload.value.value.entries));
  return payload?.value?.$case === 'text' ? payload.value.value : undefined;
};

type Found = ReadonlyMap<string, Secret_State>;

/** IDs of all secrets of the group, deleted ones too, whose names are taken. */
const look = async ({ secrets, group }: Import): Promise<Found> => {
  const found = new Map<string, Secret_State>();
  for (let pageToken = ''; ;) {
    const request = { parent: group, pageSize: MAX_PAGE, pageToken, showDeleted: true, readMask: ['name', 'state'] };
    const page = await secrets.listSecrets(ListSecretsRequest.fromPartial(request), options());
    for (const { name, state } of page.secrets) found.set(name.slice(name.lastIndexOf('/') + 1), state);
    pageToken = page.nextPageToken;
    if (pageToken === '') return found;
  }
};

const compare = async ({ access }: Import, name: string, value: string): Promise<Result> => {
  try {
    const { payload } = await access.accessSecretVersion({ name: `${name}/versions/latest`, ifNoneMatch: '' }, options());
    return textOf(payload) === value ? 'same' : 'differs';
  } catch (error) {
    if (error instanceof AppError && error.code === 'PERMISSION_DENIED') return 'unread';
    throw error;
  }
};

const create = async ({ secrets, group, format, dryRun }: Import, item: Item): Promise<Result> => {
  if (dryRun) return 'created';
  const { name, entries } = item;
  const secretId = idOf(name);
  const annotations = new Map([
    ['imported-from', format],
    ['imported-name', name.slice(0, 1_024)],
  ]);
  const requestId = uuidv5(`${group}/secrets/${secretId}`, NAMESPACE);
  const secret = Secret.fromPartial({ annotations, type: entries ? SecretType.KEY_VALUE : SecretType.OPAQUE });
  await secrets.createSecret({ parent: group, secretId, secret, payload: payloadOf(item), requestId }, options());
  return 'created';
};

const importOne = async (run: Import, found: Found, item: Item): Promise<Outcome> => {
  const id = idOf(item.name);
  const state = found.get(id);
  try {
    if (state === undefined) return { item, result: await create(run, item) };
    if (state === Secret_State.ACTIVE) return { item, result: await compare(run, `${run.group}/secrets/${id}`, item.value) };
    return { item, result: 'failed', why: 'is deleted there; undelete it, or wait until it is purged and choose another name' };
  } catch (error) {
    if (error instanceof AppError && OF_ONE.includes(error.reason)) return { item, result: 'failed', why: error.message };
    throw error;
  } finally {
    run.step();
  }
};

/** Adds to `outcomes` as they come, so that they are known whatever ends it: what concerns all items is thrown. */
export const importItems = async (run: Import, items: readonly Item[], outcomes: Outcome[]): Promise<void> => {
  const found = await look(run);
  for (let i = 0; i < items.length; i += AT_ONCE)
    outcomes.push(...(await Promise.all(items.slice(i, i + AT_ONCE).map((item) => importOne(run, found, item)))));
  if (run.dryRun) return;
  // A request that is repeated is answered as it was then, also of a secret that has been purged since.
  const now = await look(run);
  outcomes.forEach((outcome, i) => {
    if (outcome.result !== 'created' || now.has(idOf(outcome.item.name))) return;
    outcomes[i] = { ...outcome, result: 'failed', why: 'was purged, and its name is never used again' };
  });
};
