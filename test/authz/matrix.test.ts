// Who may call what: every caller × every RPC there is, as the descriptors list them. A new RPC fails here until the table
// says who may call it.
import type { ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { rowsOf, SOURCES } from '../../src/dev/audit-events.ts';
import { CALLERS, SERVICES, spiffeIdOf } from '../../src/dev/stack.ts';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { Role as KeyRole } from '../../src/gen/strongroom/keys/v1/grant_service.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { entriesOf, sizeOf } from '../support/audit-log.ts';
import { clientsOf, type Clients } from '../support/clients.ts';
import { grantTo } from '../support/customer-keys.ts';
import { rpcs } from '../support/descriptors.ts';
import { clientsAs, spiffe } from '../support/identities.ts';
import { properRefusal } from '../support/refusals.ts';
import { bind, newId, newTenant } from '../support/tenants.ts';
import { CALLS, makeTargets, type Targets } from './calls.ts';

// operator administers by configuration; manager, reader and payloads are bound to the instance as MANAGER, READER, and
// SECRETS_READER with PURGER; app is bound to the group as WRITER and SECRETS_READER; app2 has no binding; neighbour has every role, in
// another instance and another key ring; on the key ring, manager, reader and payloads are granted MANAGER, READER and PURGER; the
// last four of the first line are our services. inspector is bound to the instance as AUDITOR.
const MATRIX = `
                                                      operator manager reader payloads app app2 neighbour auditor store keys worker audit inspector
secrets.v1.InstanceService/CreateInstance             yes      -       -      -        -   -    -         -       -     -    -      -     -
secrets.v1.InstanceService/GetInstance                yes      yes     yes    yes      -   -    -         -       -     -    -      -     -
secrets.v1.InstanceService/ListInstances              yes      yes     yes    yes      -   -    yes       -       -     -    -      -     -
secrets.v1.InstanceService/UpdateInstance             yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.InstanceService/DeleteInstance             yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.InstanceService/UndeleteInstance           yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.SecretGroupService/CreateSecretGroup       yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.SecretGroupService/GetSecretGroup          yes      yes     yes    yes      yes -    -         -       -     -    -      -     -
secrets.v1.SecretGroupService/ListSecretGroups        yes      yes     yes    yes      yes -    -         -       -     -    -      -     -
secrets.v1.SecretGroupService/UpdateSecretGroup       yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.SecretGroupService/DeleteSecretGroup       yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.SecretGroupService/UndeleteSecretGroup     yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.SecretGroupService/RotateSecretGroupKey        yes  yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.SecretGroupService/GetSecretGroupKeyRotation   yes  yes     yes    yes      -   -    -         -       -     -    -      -     -
secrets.v1.SecretGroupService/WatchSecretGroupKeyRotation yes  yes     yes    yes      -   -    -         -       -     -    -      -     -
secrets.v1.SecretService/CreateSecret                 yes      yes     -      -        yes -    -         -       -     -    -      -     -
secrets.v1.SecretService/GetSecret                    yes      yes     yes    yes      yes -    -         -       -     -    -      -     -
secrets.v1.SecretService/ListSecrets                  yes      yes     yes    yes      yes -    -         -       -     -    -      -     -
secrets.v1.SecretService/UpdateSecret                 yes      yes     -      -        yes -    -         -       -     -    -      -     -
secrets.v1.SecretService/DeleteSecret                 yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.SecretService/UndeleteSecret               yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.SecretService/AddSecretVersion             yes      yes     -      -        yes -    -         -       -     -    -      -     -
secrets.v1.SecretService/RollbackSecret               yes      yes     -      -        yes -    -         -       -     -    -      -     -
secrets.v1.SecretService/GetSecretVersion             yes      yes     yes    yes      yes -    -         -       -     -    -      -     -
secrets.v1.SecretService/ListSecretVersions           yes      yes     yes    yes      yes -    -         -       -     -    -      -     -
secrets.v1.SecretService/EnableSecretVersion          yes      yes     -      -        yes -    -         -       -     -    -      -     -
secrets.v1.SecretService/DisableSecretVersion         yes      yes     -      -        yes -    -         -       -     -    -      -     -
secrets.v1.SecretService/DestroySecretVersion         yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.SecretService/RestoreSecretVersion         yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.SecretVersionAliasService/SetVersionAlias    yes    yes     -      -        yes -    -         -       -     -    -      -     -
secrets.v1.SecretVersionAliasService/DeleteVersionAlias yes    yes     -      -        yes -    -         -       -     -    -      -     -
secrets.v1.SecretLockService/CreateSecretLock         yes      yes     -      -        yes -    -         -       -     -    -      -     -
secrets.v1.SecretLockService/ListSecretLocks          yes      yes     yes    yes      yes -    -         -       -     -    -      -     -
secrets.v1.SecretLockService/DeleteSecretLock         yes      yes     -      -        yes -    -         -       -     -    -      -     -
secrets.v1.SecretLockService/DeleteSecretLocks        yes      yes     -      -        yes -    -         -       -     -    -      -     -
secrets.v1.SecretAccessService/AccessSecretVersion    -        -       -      yes      yes -    -         -       -     -    -      -     -
secrets.v1.SecretAccessService/BatchAccess            yes      yes     yes    yes      yes yes  yes       yes     yes   yes  yes    yes   yes
secrets.v1.SecretMoveService/MoveSecret               yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.SecretWatchService/WatchSecrets            yes      yes     yes    yes      yes -    -         -       -     -    -      -     -
secrets.v1.SecretRotationService/RotateSecret         yes      yes     -      -        yes -    -         -       -     -    -      -     -
secrets.v1.SecretRotationService/SetSecretVersionExpiration yes yes    -      -        -   -    -         -       -     -    -      -     -
secrets.v1.BindingService/CreateBinding               yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.BindingService/ListBindings                yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.BindingService/DeleteBinding               yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.AuthorizationService/WhoAmI                yes      yes     yes    yes      yes yes  yes       yes     yes   yes  yes    yes   yes
secrets.v1.AuthorizationService/TestPermissions       yes      yes     yes    yes      yes yes  yes       yes     yes   yes  yes    yes   yes
secrets.v1.AuthorizationService/ListSecretReaders     yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.LimitService/GetLimits                     yes      yes     yes    yes      yes -    -         -       -     -    -      -     -
secrets.v1.LimitService/SetInstanceLimits             yes      -       -      -        -   -    -         -       -     -    -      -     -
secrets.v1.PurgeService/GetPurge                      yes      -       -      -        -   -    -         -       -     -    -      -     -
secrets.v1.PurgeService/ListPurges                    yes      -       -      -        -   -    -         -       -     -    -      -     -
secrets.v1.PurgeService/WatchPurge                    yes      -       -      -        -   -    -         -       -     -    -      -     -
secrets.v1.PurgeService/ExpeditePurge                 -        -       -      yes      -   -    -         -       -     -    -      -     -
secrets.v1.PurgeService/GetQueueStatus                yes      -       -      -        -   -    -         -       -     -    -      -     -
secrets.v1.HoldService/CreateHold                     yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.HoldService/GetHold                        yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.HoldService/ListHolds                      yes      yes     -      -        -   -    -         -       -     -    -      -     -
secrets.v1.HoldService/DeleteHold                     yes      yes     -      -        -   -    -         -       -     -    -      -     -
keys.v1.KeyRingService/CreateKeyRing                  yes      -       -      -        -   -    -         -       -     -    -      -     -
keys.v1.KeyRingService/GetKeyRing                     yes      yes     yes    yes      -   -    -         -       -     -    -      -     -
keys.v1.KeyRingService/ListKeyRings                   yes      -       -      -        -   -    -         -       -     -    -      -     -
keys.v1.KeyRingService/UpdateKeyRing                  yes      yes     -      -        -   -    -         -       -     -    -      -     -
keys.v1.KeyService/CreateRootKey                      -        -       -      -        -   -    -         -       yes   -    -      -     -
keys.v1.KeyService/ListRootKeys                       yes      yes     yes    yes      -   -    -         -       -     -    -      -     -
keys.v1.KeyService/UpdateRootKey                      yes      yes     -      -        -   -    -         -       -     -    -      -     -
keys.v1.KeyService/DisableRootKey                     yes      yes     -      -        -   -    -         -       -     -    -      -     -
keys.v1.KeyService/EnableRootKey                      yes      yes     -      -        -   -    -         -       -     -    -      -     -
keys.v1.KeyService/DeleteRootKey                      yes      yes     -      -        -   -    -         -       -     -    -      -     -
keys.v1.KeyService/RestoreRootKey                     yes      yes     -      -        -   -    -         -       -     -    -      -     -
keys.v1.KeyService/ApproveRootKeyDeletion             yes      yes     -      -        -   -    -         -       -     -    -      -     -
keys.v1.KeyService/WithdrawRootKeyDeletionApproval    yes      yes     -      -        -   -    -         -       -     -    -      -     -
keys.v1.KeyService/GetRootKey                         yes      -       -      -        -   -    -         -       yes   -    yes    -     -
keys.v1.KeyService/DestroyRootKey                     -        -       -      -        -   -    -         -       -     -    yes    -     -
keys.v1.KeyService/GetMasterKeyStatus                 yes      -       -      -        -   -    -         -       -     -    -      -     -
keys.v1.KeyService/RotateMasterKey                    yes      -       -      -        -   -    -         -       -     -    -      -     -
keys.v1.ImportService/CreateImportJob                 yes      yes     -      -        -   -    -         -       -     -    -      -     -
keys.v1.ImportService/GetImportJob                    yes      yes     yes    yes      -   -    -         -       -     -    -      -     -
keys.v1.ImportService/ListImportJobs                  yes      yes     yes    yes      -   -    -         -       -     -    -      -     -
keys.v1.ImportService/ImportRootKey                   yes      yes     -      -        -   -    -         -       -     -    -      -     -
keys.v1.ImportService/ImportRootKeyVersion            yes      yes     -      -        -   -    -         -       -     -    -      -     -
keys.v1.ImportService/ReimportMaterial                yes      yes     -      -        -   -    -         -       -     -    -      -     -
keys.v1.KeyVersionService/RotateRootKey               yes      yes     -      -        -   -    -         -       -     -    -      -     -
keys.v1.KeyVersionService/GetRootKeyVersion           yes      yes     yes    yes      -   -    -         -       -     -    -      -     -
keys.v1.KeyVersionService/ListRootKeyVersions         yes      yes     yes    yes      -   -    -         -       -     -    -      -     -
keys.v1.KeyVersionService/DestroyRootKeyVersion       yes      yes     -      -        -   -    -         -       -     -    -      -     -
keys.v1.KeyVersionService/GetRootKeyRotation          yes      yes     yes    yes      -   -    -         -       -     -    -      -     -
keys.v1.KeyVersionService/WatchRootKeyRotation        yes      yes     yes    yes      -   -    -         -       -     -    -      -     -
keys.v1.GrantService/CreateGrant                      yes      yes     -      -        -   -    -         -       -     -    -      -     -
keys.v1.GrantService/GetGrant                         yes      -       -      -        -   -    -         -       -     -    -      -     -
keys.v1.GrantService/ListGrants                       yes      yes     yes    yes      -   -    -         -       -     -    -      -     -
keys.v1.GrantService/ListOwnGrants                    yes      yes     yes    yes      yes yes  yes       yes     yes   yes  yes    yes   yes
keys.v1.GrantService/DeleteGrant                      yes      yes     -      -        -   -    -         -       -     -    -      -     -
keys.v1.RegistrationService/ListRegistrations         yes      yes     yes    yes      -   -    -         -       -     -    -      -     -
keys.v1.RegistrationService/SetRetention              -        -       -      -        -   -    -         -       yes   -    -      -     -
keys.v1.KeyEventService/WatchKeyEvents                -        -       -      -        -   -    -         -       yes   -    -      -     -
keys.v1.KeyEventService/AcknowledgeKeyEvents          -        -       -      -        -   -    -         -       yes   -    -      -     -
keys.v1.EnvelopeService/CreateScope                   -        -       -      -        -   -    -         -       yes   -    -      -     -
keys.v1.EnvelopeService/GetScope                      yes      -       -      -        -   -    -         -       yes   -    yes    -     -
keys.v1.EnvelopeService/BatchGetScopes                -        -       -      -        -   -    -         -       yes   -    yes    -     -
keys.v1.EnvelopeService/DestroyScope                  -        -       -      -        -   -    -         -       yes   -    yes    -     -
keys.v1.EnvelopeService/GenerateDek                   -        -       -      -        -   -    -         -       yes   -    -      -     -
keys.v1.EnvelopeService/UnwrapDek                     -        -       -      -        -   -    -         -       yes   -    -      -     -
keys.v1.EnvelopeService/BatchGenerateDeks             -        -       -      -        -   -    -         -       yes   -    -      -     -
keys.v1.EnvelopeService/BatchUnwrapDeks               -        -       -      -        -   -    -         -       yes   -    -      -     -
keys.v1.EnvelopeService/WrapDek                       -        -       -      -        -   -    -         -       yes   -    -      -     -
keys.v1.EnvelopeService/RewrapDek                     -        -       -      -        -   -    -         -       yes   -    -      -     -
keys.v1.EnvelopeService/BatchRewrapDeks               -        -       -      -        -   -    -         -       yes   -    -      -     -
keys.v1.ScopeService/RotateScopeKey                   -        -       -      -        -   -    -         -       yes   -    -      -     -
keys.v1.ScopeService/DestroyScopeKeyVersion           -        -       -      -        -   -    -         -       yes   -    -      -     -
audit.v1.AuditWriterService/AppendEvents              -        -       -      -        -   -    -         -       yes   yes  yes    yes   -
audit.v1.AuditService/ListEntries                     -        -       -      -        -   -    -         yes     -     yes  -      -     yes
audit.v1.AuditService/TailEntries                     -        -       -      -        -   -    -         yes     -     -    -      -     yes
audit.v1.AuditService/GetLogStatistics                -        -       -      -        -   -    -         yes     -     -    -      -     yes
audit.v1.AuditService/GetEntry                        -        -       -      -        -   -    -         yes     -     -    -      -     yes
audit.v1.AuditService/GetCheckpoint                   -        -       -      -        -   -    -         yes     -     -    -      -     yes
audit.v1.AuditService/GetInclusionProof               -        -       -      -        -   -    -         yes     -     -    yes    -     yes
audit.v1.AuditAdminService/EraseFields                yes      -       -      -        -   -    -         -       -     -    -      -     -
audit.v1.AuditAdminService/GetRetentionPolicy         yes      -       -      -        -   -    -         yes     -     -    -      -     -
audit.v1.AuditAdminService/SetRetentionPolicy         yes      -       -      -        -   -    -         -       -     -    -      -     -
audit.v1.AuditAdminService/PruneEntries               yes      -       -      -        -   -    -         -       -     -    -      -     -
audit.v1.AuditAdminService/GetLogStatus               yes      -       -      -        -   -    -         yes     -     -    -      -     -
audit.v1.AuditService/GetConsistencyProof             -        -       -      -        -   -    -         yes     -     -    -      -     yes
audit.v1.AuditService/ExportLog                       -        -       -      -        -   -    -         yes     -     -    -      -     -
`;

const [header = [], ...lines] = MATRIX.trim()
  .split('\n')
  .map((line) => line.trim().split(/ +/));
const rows = lines.map(([name = '', ...cells]) => ({ name, cells, call: CALLS[name.slice(name.indexOf('v1.') + 3)] }));

const stack = inject('stack');
// Others share the stack, and may bind its app elsewhere.
const KNOWN = [...CALLERS, ...SERVICES].filter((name) => name !== 'app');
const BOUND = ['manager', 'reader', 'payloads', 'app', 'neighbour', 'inspector'] as const;
const path = Object.fromEntries(BOUND.map((name) => [name, newId(name)])) as Record<(typeof BOUND)[number], string>;
const ids: Readonly<Record<string, string>> = Object.fromEntries([
  ...KNOWN.map((name) => [name, spiffeIdOf(name)]),
  ...BOUND.map((name) => [name, spiffe(path[name])]),
]);
const callers: Record<string, Clients> = {};
let targets: Targets;
let begin = 0n;
/** Of every call that was to be denied: who made it, by its correlation id. */
const denials = new Map<string, string>();

beforeAll(async () => {
  for (const name of KNOWN) callers[name] = clientsOf(stack, name);
  for (const name of BOUND) callers[name] = await clientsAs(stack, path[name]);
  const { operator, app, store, auditor } = callers as Record<'operator' | 'app' | 'store' | 'auditor', Clients>;
  targets = await makeTargets(operator, app, store, (group) => bind(operator, group, ids['app']!, Role.WRITER, Role.SECRETS_READER));
  const { READER, SECRETS_READER, WRITER, MANAGER, PURGER } = Role;
  for (const instance of [targets.instance, targets.doomed.instance, targets.deleted.instance]) {
    await bind(operator, instance, spiffe(path.manager), MANAGER);
    await bind(operator, instance, spiffe(path.reader), READER);
    await bind(operator, instance, spiffe(path.payloads), SECRETS_READER, PURGER);
    await bind(operator, instance, spiffe(path.inspector), Role.AUDITOR);
  }
  await bind(operator, (await newTenant(operator)).instance, spiffe(path.neighbour), READER, SECRETS_READER, WRITER, MANAGER, PURGER);
  await grantTo(operator, spiffe(path.manager), KeyRole.MANAGER, targets.ring);
  await grantTo(operator, spiffe(path.reader), KeyRole.READER, targets.ring);
  await grantTo(operator, spiffe(path.payloads), KeyRole.PURGER, targets.ring);
  const { name: elsewhere } = await operator.keyRings.createKeyRing({ keyRingId: newId('ring') });
  for (const role of [KeyRole.MANAGER, KeyRole.READER, KeyRole.PURGER]) await grantTo(operator, spiffe(path.neighbour), role, elsewhere);
  begin = await sizeOf(auditor);
});
afterAll(() => Object.values(callers).forEach((clients) => clients[Symbol.dispose]()));

describe('the table of callers and RPCs', () => {
  it('has a row for every RPC in the descriptors, and none for another', () => {
    const there = rpcs().map(({ name }) => name.replace('strongroom.', ''));
    expect(rows.map(({ name }) => name).sort()).toEqual(there.sort());
    expect(header.toSorted()).toEqual(Object.keys(ids).sort());
  });

  it('says yes or no in every cell, and has a call for every row', () => {
    for (const { name, cells, call } of rows) {
      expect(cells, name).toHaveLength(header.length);
      expect(
        cells.filter((cell) => cell !== 'yes' && cell !== '-'),
        name,
      ).toEqual([]);
      expect(call, name).toBeDefined();
    }
  });
});

describe('what the table says is so', () => {
  it.each(rows)('$name is open to those it names, and denied to everybody else', async ({ name, cells, call }) => {
    const found: Record<string, string> = {};
    const codes: string[] = [];
    const expected = header.map((caller, i) => [caller, cells[i]!] as const);
    // Who is to be denied goes first: then all is there that he must not touch.
    for (const [caller, cell] of expected.toSorted(([, a], [, b]) => a.localeCompare(b))) {
      const correlationId = newId('matrix');
      const outcome = await call!(callers[caller]!, targets, { metadata: { 'x-correlation-id': correlationId } }).then(
        () => 'OK',
        (error: unknown) => properRefusal(error as ServiceError).code,
      );
      const denied = outcome === 'PERMISSION_DENIED' || outcome === 'UNAUTHENTICATED';
      found[caller] = denied ? '-' : 'yes';
      if (cell === '-') denials.set(correlationId, `${name} ${ids[caller]}`);
      else codes.push(outcome);
    }
    expect(found).toEqual(Object.fromEntries(expected));
    // That a call is allowed means something only if it can succeed.
    expect(codes).toContain('OK');
  });

  it('and every denied call is in the audit log, once, as DENIED, under its caller', async () => {
    const entries = await entriesOf(callers['auditor']!, {}, begin);
    const found = entries
      .map(({ event }) => event!)
      .filter(({ correlationId }) => denials.has(correlationId))
      .map(({ correlationId, principal, outcome, reason }) => {
        const told = denials.get(correlationId)!;
        return { told, asExpected: told.endsWith(` ${principal}`), outcome, reason };
      });
    expect(found.map(({ told }) => told).sort()).toEqual([...denials.values()].sort());
    const { DENIED } = Event_Outcome;
    expect(found.filter((one) => !one.asExpected || one.outcome !== DENIED || one.reason !== 'PERMISSION_DENIED')).toEqual([]);
    expect(found.length).toBeGreaterThan(300);
  });

  it('and every action of the service tables is in the audit log as done, by the calls that were allowed', async () => {
    const listed = new Set(SOURCES.flatMap(rowsOf).map(({ action }) => action));
    // Changes arrive through an outbox.
    await vi.waitFor(async () => {
      const done = (await entriesOf(callers['auditor']!, { outcome: Event_Outcome.SUCCESS }, begin)).map(({ event }) => event!.action);
      expect([...listed.difference(new Set(done))]).toEqual([]);
    });
  });
});
