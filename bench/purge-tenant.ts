// A tenant to be purged: an instance with one group that has so many secrets, a few of them made as callers make them and
// read back, all others rows of the same size straight into the tables.
import { dialAs } from '../src/dev/clients.ts';
import { connect } from '../src/dev/provision.ts';
import { spiffeIdOf, type Stack } from '../src/dev/stack.ts';
import { Binding, BindingServiceService, CreateBindingRequest, Role } from '../src/gen/strongroom/secrets/v1/binding_service.ts';
import { CreateInstanceRequest, Instance, InstanceServiceService } from '../src/gen/strongroom/secrets/v1/instance_service.ts';
import {
  CreateSecretGroupRequest,
  DeleteSecretGroupRequest,
  SecretGroupServiceService,
} from '../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import { doAll, type Resource, type World } from './operation.ts';
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

export const makeTenant = async (world: World, instanceId: string, secrets: number): Promise<Resource> => {
  const { stack } = world;
  await using operator = dialAs(stack, 'operator');
  const group = await (async () => {
    const instances = operator.dial(InstanceServiceService, 'store');
    const groups = operator.dial(SecretGroupServiceService, 'store');
    const bindings = operator.dial(BindingServiceService, 'store');
    const instance = Instance.fromPartial({ retention: { seconds: 1n } });
    const { name: parent } = await instances.createInstance(
      CreateInstanceRequest.fromPartial({ instanceId, instance, ...fresh() }),
      options(),
    );
    for (const role of [Role.WRITER, Role.SECRETS_READER]) {
      const binding = Binding.fromPartial({ scope: parent, principal: spiffeIdOf('app'), role });
      await bindings.createBinding(CreateBindingRequest.fromPartial({ binding, ...fresh() }), options());
    }
    return groups.createSecretGroup(CreateSecretGroupRequest.fromPartial({ parent, secretGroupId: 'doomed', ...fresh() }), options());
  })();

  const real = Array.from({ length: REAL }, (_, i) => createOf(group.name, `real-${i}`));
  await doAll(world, CREATE, real);
  await doAll(
    world,
    READ,
    real.map(({ written }) => readOf(written)),
  );
  const client = await connect(stack, 'store', 'owner');
  try {
    for (let from = 1; from <= secrets - REAL; from += CHUNK)
      await client.query(FILL, [group.uid, VERSIONS, from, Math.min(secrets - REAL, from + CHUNK - 1)]);
  } finally {
    await client.end();
  }
  return { name: group.name, uid: group.uid };
};

export const deleteGroup = async (stack: Stack, name: string): Promise<void> => {
  await using operator = dialAs(stack, 'operator');
  await operator
    .dial(SecretGroupServiceService, 'store')
    .deleteSecretGroup(DeleteSecretGroupRequest.fromPartial({ name, ...fresh() }), options());
};
