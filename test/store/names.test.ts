import { describe, expect, it } from 'vitest';
import {
  groupName,
  instanceName,
  holdName,
  parseDeletable,
  parseGroup,
  parseHold,
  parseId,
  parseInstance,
  parsePurge,
  parseResource,
  parseSecret,
  parseVersion,
  resourceName,
  secretName,
  versionName,
} from '../../src/store/names.ts';

const longest = `a${'b'.repeat(61)}c`;
const refuses = (parse: () => unknown, field: string): void => {
  expect(parse).toThrow(
    expect.objectContaining({ reason: 'MALFORMED_NAME', code: 'INVALID_ARGUMENT', violations: [expect.objectContaining({ field })] }),
  );
};

describe('resource names', () => {
  it.each(['a', 'a1', 'a-b', 'a--b', longest])('are read and written the same with the ID %s at every place', (id) => {
    const instance = `instances/${id}`;
    const group = `${instance}/groups/${id}`;
    const secret = `${group}/secrets/${id}`;
    expect(instanceName(parseInstance(instance))).toBe(instance);
    expect(groupName(parseGroup(group))).toBe(group);
    expect(secretName(parseSecret(secret))).toBe(secret);
    for (const version of ['1', '42', '999999999', 'latest', 'previous', id]) {
      const path = parseVersion(`${secret}/versions/${version}`);
      expect(versionName(path, path.version)).toBe(`${secret}/versions/${version}`);
    }
  });

  it('of a hold name the resource it is on, at every level that can be held', () => {
    for (const resource of ['instances/holds', 'instances/i/groups/holds', 'instances/i/groups/g/secrets/holds']) {
      const { resource: path, hold } = parseHold(holdName(resource, 'case-7'));
      expect([resourceName(path), hold]).toEqual([resource, 'case-7']);
      expect(resourceName(parseResource(resource))).toBe(resource);
    }
    for (const name of [
      'instances/i',
      'holds/h',
      'instances/i/holds/',
      'instances/i/holds/H',
      'instances/i/groups/g/secrets/s/versions/1/holds/h',
    ])
      refuses(() => parseHold(name), 'name');
  });

  it('of what is purged early give every level, a version by its number only', () => {
    for (const name of ['instances/i', 'instances/i/groups/g', 'instances/i/groups/g/secrets/s'])
      expect(resourceName(parseDeletable(name))).toBe(name);
    expect(parseDeletable('instances/i/groups/g/secrets/s/versions/7')).toMatchObject({ secret: 's', version: 7 });
    for (const name of ['instances/i/groups/g/secrets/s/versions/latest', 'instances/i/versions/1', 'purges/x', ''])
      refuses(() => parseDeletable(name, 'resource'), 'resource');
  });

  it('give a version as a number, and an alias as it is', () => {
    expect(parseVersion('instances/i/groups/g/secrets/s/versions/7').version).toBe(7);
    expect(parseVersion('instances/i/groups/g/secrets/s/versions/latest').version).toBe('latest');
  });

  const badIds = [
    '',
    'A',
    'Abc',
    '1a',
    '-a',
    'a-',
    'a_b',
    'a.b',
    'a b',
    ' a',
    'a ',
    'a\n',
    'a\u0000',
    'é',
    'a%2fb',
    '..',
    '*',
    `${longest}d`,
  ];

  it.each(badIds)('are refused with the ID %j at any place, and the field is named', (id) => {
    refuses(() => parseId(id, 'secret_id'), 'secret_id');
    refuses(() => parseInstance(`instances/${id}`), 'name');
    refuses(() => parseGroup(`instances/${id}/groups/g`, 'parent'), 'parent');
    refuses(() => parseGroup(`instances/i/groups/${id}`, 'parent'), 'parent');
    for (const name of [`instances/${id}/groups/g/secrets/s`, `instances/i/groups/${id}/secrets/s`, `instances/i/groups/g/secrets/${id}`]) {
      refuses(() => parseSecret(name, 'secret.name'), 'secret.name');
      refuses(() => parseVersion(`${name}/versions/1`), 'name');
    }
  });

  it.each(['0', '01', '-1', '1.0', '1e3', '0x1', '1000000000', 'Latest', 'sta_ble', '', ' 1', '1 '])(
    'are refused with the version %j',
    (version) => {
      refuses(() => parseVersion(`instances/i/groups/g/secrets/s/versions/${version}`), 'name');
    },
  );

  it.each([
    '',
    '/',
    'instances',
    'instances/',
    '/instances/i',
    'instances/i/',
    'instances//groups/g',
    'instances/i/groups',
    'instances/i/group/g',
    'Instances/i/groups/g',
    'instances/i/groups/g/secrets/s/versions/1/x',
    'groups/g',
    'secrets/s',
    'https://strongroom/instances/i',
    `instances/${'i/groups/'.repeat(1000)}`,
  ])('of no known shape are refused by every parser: %j', (name) => {
    for (const parse of [parseInstance, parseGroup, parseSecret, parseVersion]) refuses(() => parse(name, 'name'), 'name');
  });

  it('of one kind are refused where another kind is wanted', () => {
    const secret = 'instances/i/groups/g/secrets/s';
    refuses(() => parseInstance('instances/i/groups/g', 'name'), 'name');
    refuses(() => parseGroup(secret, 'parent'), 'parent');
    refuses(() => parseGroup('instances/i', 'parent'), 'parent');
    refuses(() => parseSecret(`${secret}/versions/1`, 'name'), 'name');
    refuses(() => parseVersion(secret, 'name'), 'name');
  });
});

describe('names of purges', () => {
  const uid = '0190a5c0-0000-7000-8000-00000000000a';
  it('give the uid', () => expect(parsePurge(`purges/${uid}`)).toBe(uid));
  it.each(['', uid, `purges/${uid.toUpperCase()}`, `purges/${uid}/x`, 'purges/x', `purges/${uid}\n`])(
    'are refused otherwise: %j',
    (name) => {
      refuses(() => parsePurge(name), 'name');
    },
  );
});
