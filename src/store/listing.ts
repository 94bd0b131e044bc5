// What a list of secrets is asked for: whose, in which order, and which fields of each. Pure.
import { Secret } from '../gen/strongroom/secrets/v1/secret_service.ts';
import { invalid } from '../kernel/errors.ts';
import { parseGroup, parseInstance, type GroupPath, type InstancePath } from './names.ts';

const ORDERS = ['secret_id', 'create_time', 'update_time'] as const;

export interface Order {
  readonly by: (typeof ORDERS)[number];
  readonly isDescending: boolean;
}

const ALL_GROUPS = '/groups/-';

/** A group, or an instance for all its groups. */
export const parseGroups = (parent: string): GroupPath | InstancePath =>
  parent.endsWith(ALL_GROUPS) ? parseInstance(parent.slice(0, -ALL_GROUPS.length), 'parent') : parseGroup(parent, 'parent');

export const parseOrder = (text: string): Order => {
  const [, field = 'secret_id', direction = 'asc'] = /^ *(?:([a-z_]+)(?: +(asc|desc))?)? *$/.exec(text) ?? [undefined, ''];
  const by = ORDERS.find((one) => one === field);
  if (!by) throw invalid('order_by', `must be one of ${ORDERS.join(', ')}, with desc behind it for the reverse`);
  return { by, isDescending: direction === 'desc' };
};

const EMPTY = Secret.create();
const pathOf = (key: string): string => key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const FIELDS = Object.keys(EMPTY) as (keyof Secret)[];

/** Gives of a secret what the mask names. */
export const parseReadMask = (mask: readonly string[] | undefined): ((secret: Secret) => Secret) => {
  if (!mask || mask.length === 0 || (mask.length === 1 && mask[0] === '*')) return (secret) => secret;
  const wanted = mask.map((path) => {
    const field = FIELDS.find((key) => key === path || pathOf(key) === path);
    if (!field) throw invalid('read_mask', `knows ${FIELDS.map(pathOf).join(', ')} and *, which stands alone`, 'UNKNOWN_MASK_PATH');
    return field;
  });
  return (secret) => Secret.fromPartial(Object.fromEntries(wanted.map((field) => [field, secret[field]])));
};
