// Tenants to be purged: one large group, with a few secrets made as callers make them and read back, and all others rows of the
// same size straight into the tables; or many groups that fall due in the same second.
import { dialAs, type Dialer } from '../src/dev/clients.ts';
import { connect } from '../src/dev/provision.ts';
import { spiffeIdOf, type Stack } from '../src/dev/stack.ts';
import { Binding, BindingServiceService, CreateBindingRequest, Role } from '../src/gen/strongroom/secrets/v1/binding_service.ts';
import { CreateInstanceRequest, Instance, InstanceServiceService } from '../src/gen/strongroom/secrets/v1/instance_service.ts';
import {
  CreateSecretGroupRequest,
  DeleteSecretGroupRequest,
  SecretGroupServiceService,
} from '../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import { loadGroups } from '../test/chaos/purge-load.ts';
import { doAll, type World } from './operation.ts';
import { CREATE, createOf } from './operations/creates.ts';
import { READ, readOf } from './operations/reads.ts';

const REAL = 20;
/** Rows of one insert. */
const CHUNK = 20_000;
export const VERSIONS = 2;

const options = () => ({ deadline: Date.now() + 15_000 });
const fresh = () => ({ requestId: crypto.randomUUID() });

/** A wrapped key and a sealed payload of 256 bytes have this size; what is in them does not matter to who removes them. */
const FILL = `with made as (
    insert into secrets (instance_uid, secret_uid, group_uid, secret_id, description, labels, latest_version)
    select instance_uid, gen_random_uuid(), group_uid, 'loaded-' || lpad(i::text, 8, '0'), 'a secret like others', '{"team": "payments"}', $2
    from secret_groups, generate_series($3::int, $4::int) i where group_uid = $1 returning instance_uid, secret_uid)
  insert into secret_versions (instance_uid, secret_uid, version, kind, size_bytes, crc32c, client_specified_crc32c, wrapped_dek, sealed)
  select instance_uid, secret_uid, v, 'BYTES', 256, 0, false, decode('01' || repeat(md5(secret_uid::text || v), 7), 'hex'),
    decode('01' || repeat(md5(v::text || secret_uid), 17) || repeat('00', 12), 'hex')
  from made, generate_series(1, $2::int) v`;

export interface Doomed {
  /** Deletes it; answers the uids of its purges, which fall due within seconds. */
  remove(): Promise<string[]>;
}

const newInstance = async (operator: Dialer, instanceId: string): Promise<Instance> => {
  const instances = operator.dial(InstanceServiceService, 'store');
  const instance = Instance.fromPartial({ retention: { seconds: 1n } });
  return instances.createInstance(CreateInstanceRequest.fromPartial({ instanceId, instance, ...fresh() }), options());
};

/** Two chunks at a time. */
const fill = async (stack: Stack, groupUid: string, secrets: number): Promise<void> => {
  const chunks = Array.from({ length: Math.ceil(secrets / CHUNK) }, (_, i) => [i * CHUNK + 1, Math.min(secrets, (i + 1) * CHUNK)]).values();
  const work = async (): Promise<void> => {
    const client = await connect(stack, 'store', 'owner');
    try {
      for (const [from, to] of chunks) await client.query(FILL, [groupUid, VERSIONS, from, to]);
    } finally {
      await client.end();
    }
  };
  await Promise.all([work(), work()]);
};

export const makeLargeGroup = async (world: World, instanceId: string, secrets: number): Promise<Doomed> => {
  const { stack } = world;
  await using operator = dialAs(stack, 'operator');
  const { name: parent } = await newInstance(operator, instanceId);
  const bindings = operator.dial(BindingServiceService, 'store');
  for (const role of [Role.WRITER, Role.SECRETS_READER]) {
    const binding = Binding.fromPartial({ scope: parent, principal: spiffeIdOf('app'), role });
    await bindings.createBinding(CreateBindingRequest.fromPartial({ binding, ...fresh() }), options());
  }
  const groups = operator.dial(SecretGroupServiceService, 'store');
  const create = CreateSecretGroupRequest.fromPartial({ parent, secretGroupId: 'doomed', ...fresh() });
  const { name, uid } = await groups.createSecretGroup(create, options());

  const real = Array.from({ length: REAL }, (_, i) => createOf(name, `real-${i}`));
  await doAll(world, CREATE, real);
  await doAll(
    world,
    READ,
    real.map(({ written }) => readOf(written)),
  );
  await fill(stack, uid, secrets - REAL);
  return {
    remove: async () => {
      await using caller = dialAs(stack, 'operator');
      const request = DeleteSecretGroupRequest.fromPartial({ name, ...fresh() });
      await caller.dial(SecretGroupServiceService, 'store').deleteSecretGroup(request, options());
      return [uid];
    },
  };
};

export const makeManyGroups = async ({ stack }: World, instanceId: string, groups: number): Promise<Doomed> => {
  await using operator = dialAs(stack, 'operator');
  const { name: instance, uid: instanceUid } = await newInstance(operator, instanceId);
  return { remove: () => loadGroups(stack, { instance, instanceUid }, groups) };
};
