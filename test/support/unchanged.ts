// That a refused call changed nothing, and left the entry that it must leave: all rows of a tenant, before and after.
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { Stack } from '../../src/dev/stack.ts';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { entriesOfCall } from './audit-log.ts';
import type { Clients, Options } from './clients.ts';
import { properRefusalOf } from './refusals.ts';
import { withDatabase } from './stack.ts';
import type { Tenant } from './tenants.ts';

const TABLES: Readonly<Record<'store' | 'keys', Readonly<Record<string, string>>>> = {
  store: {
    instances: 'select * from instances where instance_uid = $1',
    groups: 'select * from secret_groups where instance_uid = $1',
    secrets: 'select * from secrets where instance_uid = $1',
    versions: 'select * from secret_versions where instance_uid = $1',
    locks: 'select * from version_locks where instance_uid = $1',
    purges: 'select * from purges where instance_uid = $1',
    bindings: `select b.* from bindings b, instances i where i.instance_uid = $1
      and (b.scope = 'instances/' || i.instance_id or starts_with(b.scope, 'instances/' || i.instance_id || '/'))`,
    replies: 'select * from idempotency where principal = $1',
  },
  keys: {
    // What wraps what is renewed in the background.
    rootKeys: 'select key_uid, key_ring, key_id, state from root_keys where owner = $1',
    scopes: `select scope_uid, key_uid, version, wrapped_key is null as destroyed
      from scopes join scope_versions using (scope_uid, key_uid) where instance_uid = $1`,
  },
};

/** A digest of everything that belongs to the tenant, or that was kept for this caller. */
export const stateOf = async (stack: Stack, { instanceUid }: Tenant, principal: string): Promise<Record<string, string>> => {
  const digests = (service: 'store' | 'keys') =>
    withDatabase(stack, service, async (owner) => {
      const found: [string, string][] = [];
      for (const [name, select] of Object.entries(TABLES[service])) {
        const text = `select md5(coalesce(string_agg(t::text, E'\\n' order by t::text), '')) as digest from (${select}) as t`;
        const of = name === 'replies' ? principal : instanceUid;
        found.push([name, (await owner.query<{ digest: string }>(text, [of])).rows[0]!.digest]);
      }
      return found;
    });
  return Object.fromEntries([...(await digests('store')), ...(await digests('keys'))]);
};

export interface Expected {
  code: string;
  reason: string;
  /** The field that the error names, where it is one field's fault. */
  field?: string;
}

export interface Probe {
  stack: Stack;
  tenant: Tenant;
  auditor: Clients;
  /** The SPIFFE ID of who calls. */
  principal: string;
  /** Of the service that is called. */
  source: string;
  /** Values that no error may tell. */
  secrets?: readonly string[];
}

/** The call is refused as expected, nothing has changed, and the audit log has one entry of it, which says so. */
export const refuses = async (probe: Probe, call: (options: Options) => Promise<unknown>, expected: Expected): Promise<void> => {
  const { stack, tenant, auditor, principal, source, secrets } = probe;
  const { field, ...codeAndReason } = expected;
  const id = randomUUID();
  const before = await stateOf(stack, tenant, principal);
  const refused = await properRefusalOf(call({ metadata: { 'x-correlation-id': id } }), secrets);
  expect(refused).toMatchObject({ ...codeAndReason, ...(field === undefined ? {} : { fields: [field] }) });
  expect(await stateOf(stack, tenant, principal)).toEqual(before);
  const entries = (await entriesOfCall(auditor, id)).filter((entry) => entry.source === source);
  const outcome = expected.code === 'PERMISSION_DENIED' ? Event_Outcome.DENIED : Event_Outcome.FAILURE;
  expect(entries.map(({ event }) => [event?.principal, event?.outcome, event?.reason])).toEqual([[principal, outcome, expected.reason]]);
};
