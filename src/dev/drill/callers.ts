// Who calls in a drill, over mutual TLS like everybody else, with the few calls that it makes.
import { crc32c } from '@node-rs/crc32';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { AuditServiceService, GetCheckpointRequest } from '../../gen/strongroom/audit/v1/audit_service.ts';
import { EnvelopeServiceService, GetScopeRequest, Scope_State } from '../../gen/strongroom/keys/v1/envelope_service.ts';
import { Binding, BindingServiceService, CreateBindingRequest, Role } from '../../gen/strongroom/secrets/v1/binding_service.ts';
import {
  CreateInstanceRequest,
  DeleteInstanceRequest,
  Instance,
  InstanceServiceService,
} from '../../gen/strongroom/secrets/v1/instance_service.ts';
import { GetPurgeRequest, Purge_State, PurgeServiceService, type Purge } from '../../gen/strongroom/secrets/v1/purge_service.ts';
import { AccessSecretVersionRequest, SecretAccessServiceService } from '../../gen/strongroom/secrets/v1/secret_access_service.ts';
import {
  CreateSecretGroupRequest,
  DeleteSecretGroupRequest,
  GetSecretGroupKeyRotationRequest,
  RotateSecretGroupKeyRequest,
  SecretGroupKeyRotation_State,
  SecretGroupServiceService,
} from '../../gen/strongroom/secrets/v1/secret_group_service.ts';
import {
  AddSecretVersionRequest,
  CreateSecretRequest,
  DeleteSecretRequest,
  Secret,
  SecretServiceService,
  type SecretPayload,
} from '../../gen/strongroom/secrets/v1/secret_service.ts';
import { AppError } from '../../kernel/errors.ts';
import { dialAs } from '../clients.ts';
import { spiffeIdOf, type Stack } from '../stack.ts';

const CALL_MS = 15_000;
const PURGE_MS = 60_000;
const options = () => ({ deadline: Date.now() + CALL_MS });
const fresh = () => ({ requestId: randomUUID() });

/** A text or bytes. */
export type Value = string | Buffer;

const payloadOf = (value: Value): SecretPayload => ({
  value: typeof value === 'string' ? { $case: 'text', value } : { $case: 'data', value },
  crc32c: BigInt(crc32c(value) >>> 0),
});

export interface Resource {
  name: string;
  uid: string;
}

export interface Proved {
  purge: Purge;
  /** The entry that the receipt is about. */
  leaf: Buffer;
  verifierKey: string;
}

export type Callers = ReturnType<typeof openCallers>;

export const openCallers = (stack: Stack) => {
  const opened = new AsyncDisposableStack();
  const [operator, app, auditor] = [dialAs(stack, 'operator'), dialAs(stack, 'app'), dialAs(stack, 'auditor')];
  for (const each of [operator, app, auditor]) opened.use(each);
  const instances = operator.dial(InstanceServiceService, 'store');
  const groups = operator.dial(SecretGroupServiceService, 'store');
  const bindings = operator.dial(BindingServiceService, 'store');
  const purges = operator.dial(PurgeServiceService, 'store');
  const scopes = operator.dial(EnvelopeServiceService, 'keys');
  const secrets = app.dial(SecretServiceService, 'store');
  const access = app.dial(SecretAccessServiceService, 'store');
  const log = auditor.dial(AuditServiceService, 'audit');

  const getPurge = (uid: string) => purges.getPurge(GetPurgeRequest.fromPartial({ name: `purges/${uid}` }), options());
  return {
    /** `app` may then read and write everywhere, so that a refusal tells of the resource and not of a missing right. */
    bindApp: async () => {
      for (const role of [Role.WRITER, Role.SECRETS_READER, Role.MANAGER]) {
        const binding = Binding.fromPartial({ scope: 'system', principal: spiffeIdOf('app'), role });
        await bindings.createBinding(CreateBindingRequest.fromPartial({ binding, ...fresh() }), options());
      }
    },
    createInstance: (instanceId: string): Promise<Resource> =>
      instances.createInstance(
        CreateInstanceRequest.fromPartial({ instanceId, instance: Instance.fromPartial({ retention: { seconds: 1n } }), ...fresh() }),
        options(),
      ),
    createGroup: (parent: string, secretGroupId: string): Promise<Resource> =>
      groups.createSecretGroup(CreateSecretGroupRequest.fromPartial({ parent, secretGroupId, ...fresh() }), options()),
    /** With one version for each value. */
    createSecret: async (
      parent: string,
      secretId: string,
      description: string,
      [first = '', ...others]: readonly Value[],
    ): Promise<Resource> => {
      const secret = Secret.fromPartial({ description });
      const request = CreateSecretRequest.fromPartial({ parent, secretId, secret, payload: payloadOf(first), ...fresh() });
      const made = await secrets.createSecret(request, options());
      for (const value of others)
        await secrets.addSecretVersion(
          AddSecretVersionRequest.fromPartial({ parent: made.name, payload: payloadOf(value), ...fresh() }),
          options(),
        );
      return made;
    },
    deleteInstance: (name: string) => instances.deleteInstance(DeleteInstanceRequest.fromPartial({ name, ...fresh() }), options()),
    deleteGroup: (name: string) => groups.deleteSecretGroup(DeleteSecretGroupRequest.fromPartial({ name, ...fresh() }), options()),
    deleteSecret: (name: string) => secrets.deleteSecret(DeleteSecretRequest.fromPartial({ name, ...fresh() }), options()),

    /** `READ`, `OTHER VALUE`, or the reason of the refusal. */
    read: async (name: string, value: Value): Promise<string> => {
      const reply = await access
        .accessSecretVersion(AccessSecretVersionRequest.fromPartial({ name }), options())
        .catch((error: unknown) => error);
      if (reply instanceof AppError) return reply.reason;
      if (!(reply instanceof Object) || !('payload' in reply)) throw reply;
      const payload = reply.payload as SecretPayload;
      const got = payload.value?.$case === 'text' || payload.value?.$case === 'data' ? payload.value.value : undefined;
      return got !== undefined && Buffer.from(got as string).equals(Buffer.from(value as string)) ? 'READ' : 'OTHER VALUE';
    },
    /** `alive`, `lost`, `destroyed`, `unknown`, or the reason why it cannot be told. */
    scopeKey: (groupUid: string): Promise<string> =>
      scopes.getScope(GetScopeRequest.fromPartial({ name: `scopes/${groupUid}` }), options()).then(
        ({ state, livingVersions }) => {
          if (state !== Scope_State.ENABLED) return 'destroyed';
          return livingVersions.length > 0 ? 'alive' : 'lost';
        },
        (error: unknown) => {
          if (!(error instanceof AppError)) throw error;
          return error.reason === 'NOT_FOUND' ? 'unknown' : error.reason;
        },
      ),
    /** Answers when the old key is destroyed. */
    rotateGroupKey: async (name: string): Promise<void> => {
      await groups.rotateSecretGroupKey(RotateSecretGroupKeyRequest.fromPartial({ name, ...fresh() }), options());
      for (const end = Date.now() + PURGE_MS; ; await sleep(100)) {
        const rotation = await groups.getSecretGroupKeyRotation(GetSecretGroupKeyRotationRequest.fromPartial({ name }), options());
        if (rotation.state === SecretGroupKeyRotation_State.DONE) return;
        if (Date.now() > end) throw new Error(`the key of ${name} is not replaced after ${PURGE_MS / 1_000} s: ${rotation.lastError}`);
      }
    },
    getPurge,
    /** When it is done. */
    purged: async (uid: string): Promise<Proved> => {
      for (const end = Date.now() + PURGE_MS; ; await sleep(100)) {
        const purge = await getPurge(uid);
        if (purge.state === Purge_State.DONE && purge.auditIndex !== undefined) {
          const { leaf } = await log.getEntry({ index: purge.auditIndex }, options());
          const { verifierKey } = await log.getCheckpoint(GetCheckpointRequest.create(), options());
          return { purge, leaf, verifierKey };
        }
        if (Date.now() > end) throw new Error(`the purge of ${purge.resource} is not done after ${PURGE_MS / 1_000} s: ${purge.lastError}`);
      }
    },
    /** The entry at this index, or the reason why there is none. */
    entryAt: (index: bigint): Promise<Buffer | string> =>
      log.getEntry({ index }, options()).then(
        ({ leaf }) => leaf,
        (error: unknown) => {
          if (error instanceof AppError) return error.reason;
          throw error;
        },
      ),
    logSize: (): Promise<bigint | string> =>
      log.getCheckpoint(GetCheckpointRequest.create(), options()).then(
        ({ treeSize }) => treeSize,
        (error: unknown) => {
          if (error instanceof AppError) return error.reason;
          throw error;
        },
      ),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
};
