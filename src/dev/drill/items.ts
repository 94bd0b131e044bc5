// What a drill makes, deletes and looks for afterwards: several instances and groups, of which one group, one instance and
// two secrets are purged after the backup, and the key of the group around one of these is replaced then; one group was on its way
// to be purged when the backup was made, one group is younger than the backup, and the rest stays.
import { randomBytes } from 'node:crypto';
import type { Callers, Resource, Value } from './callers.ts';

export const ITEMS = {
  group: 'group, purged',
  waiting: 'group, deleted before the backup, purged after it',
  instance: 'instance, purged',
  secret: 'secret, purged',
  rekeyed: 'secret, purged, then the key of its group replaced',
  kept: 'group, kept',
  young: 'group, made after the backup',
} as const;
export type ItemId = keyof typeof ITEMS;
export const ITEM_IDS = Object.keys(ITEMS) as ItemId[];
export const PURGED = ['group', 'waiting', 'instance', 'secret', 'rekeyed'] as const satisfies readonly ItemId[];

export interface Version {
  /** `…/versions/{n}`. */
  name: string;
  value: Value;
}

export interface Item {
  id: ItemId;
  /** What is deleted. */
  resource: Resource;
  /** Whose scope key protects it. */
  group: Resource;
  secrets: Resource[];
  versions: Version[];
}

export interface Made {
  items: Record<ItemId, Item>;
  /** In every text and byte value, and nowhere else. */
  marker: Buffer;
  /** In descriptions, which are not encrypted: a search that does not find it is blind. */
  note: string;
}

/** Larger than a page of PostgreSQL takes whole: its ciphertext goes to the table beside the table (TOAST). */
const LARGE_BYTES = 6_000;
const SECRETS = 4;

/** Makes what a drill needs, in the order of the items; `young` is made later. */
export const makeItems = async (callers: Callers) => {
  const marker = randomBytes(24);
  const note = `note-${randomBytes(12).toString('hex')}`;
  const [alpha, beta, gamma] = [
    await callers.createInstance('alpha'),
    await callers.createInstance('beta'),
    await callers.createInstance('gamma'),
  ];

  const fill = async (id: ItemId, group: Resource, resource: Resource | undefined, count = SECRETS): Promise<Item> => {
    const item: Item = { id, group, resource: resource ?? group, secrets: [], versions: [] };
    for (let i = 0; i < count; i++) {
      const values: Value[] = [
        `${marker.toString('hex')} ${id} ${i} ${randomBytes(9).toString('base64url')}`,
        Buffer.concat([marker, randomBytes(i === 0 ? LARGE_BYTES : 200)]),
      ];
      const secret = await callers.createSecret(group.name, `${id}-${i}`, note, values);
      item.secrets.push(secret);
      item.versions.push(...values.map((value, v) => ({ name: `${secret.name}/versions/${v + 1}`, value })));
    }
    return item;
  };
  const fillGroup = async (id: ItemId, instance: Resource): Promise<Item> =>
    fill(id, await callers.createGroup(instance.name, id), undefined);

  const shared = await callers.createGroup(gamma.name, 'shared');
  const fillSecret = async (id: ItemId, group: Resource): Promise<Item> => {
    const item = await fill(id, group, undefined, 1);
    return { ...item, resource: item.secrets[0]! };
  };
  const items = {
    group: await fillGroup('group', alpha),
    waiting: await fillGroup('waiting', alpha),
    instance: await fill('instance', await callers.createGroup(beta.name, 'all'), beta),
    secret: await fillSecret('secret', shared),
    rekeyed: await fillSecret('rekeyed', await callers.createGroup(gamma.name, 'rekeyed')),
    // Beside the secret that is purged: under the same scope key.
    kept: await fill('kept', shared, undefined),
  };
  return { items, marker, note, makeYoung: () => fillGroup('young', alpha) };
};
