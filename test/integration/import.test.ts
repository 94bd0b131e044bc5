// A customer brings his own key: what comes in works like any other root key, and what is not right stays out, with as little
// said of it as possible.
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { ImportJob_State, type ImportJob } from '../../src/gen/strongroom/keys/v1/import_service.ts';
import { RootKey_Origin } from '../../src/gen/strongroom/keys/v1/key_service.ts';
import { RootKeyRotation_State } from '../../src/gen/strongroom/keys/v1/key_version_service.ts';
import { entriesOf, sizeOf } from '../support/audit-log.ts';
import { clientsOf, type Clients } from '../support/clients.ts';
import { importKey, kwpWrap, newImportJob, newMaterial, offerFor, openRing, proofOf, RING, rsaWrap, wrapFor } from '../support/import.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { withDatabase } from '../support/stack.ts';
import { newId } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, store, auditor, worker] = (['operator', 'store', 'auditor', 'worker'] as const).map((name) => clientsOf(stack, name)) as [
  Clients,
  Clients,
  Clients,
  Clients,
];
beforeAll(() => openRing(operator));
afterAll(() => [operator, store, auditor, worker].forEach((clients) => clients[Symbol.dispose]()));
const destroyKey = async (name: string) => {
  await operator.keys.deleteRootKey({ name });
  return worker.keys.destroyRootKey({ name });
};

const instanceUid = randomUUID();
const get = (name: string): Promise<ImportJob> => operator.imports.getImportJob({ name });
const importAs = (job: ImportJob, material: object, rootKeyId = newId('k')) =>
  operator.imports.importRootKey({
    parent: RING,
    rootKeyId,
    material: { ...offerFor(job, newMaterial()), ...material },
  });
/** Wraps and unwraps a data key under the root key; answers how to unwrap it again. */
const use = async (rootKey: string) => {
  const { name: scope } = await store.envelopes.createScope({ scopeUid: randomUUID(), rootKey, instanceUid, instance: 'instances/a' });
  const context = { instanceUid, resourceUid: randomUUID(), version: 1, additionalData: Buffer.alloc(0) };
  const { dek, wrappedDek } = await store.envelopes.generateDek({ scope, context });
  const again = async () => (await store.envelopes.unwrapDek({ scope, context, wrappedDek })).dek;
  expect(await again()).toEqual(dek);
  return again;
};
const rowsOf = (sql: string, values: unknown[]) =>
  withDatabase(stack, 'keys', async (owner) => (await owner.query<Record<string, unknown>>(sql, values)).rows);

describe('an import job', () => {
  it('comes with a public key and a nonce of its own, and is the same when it is asked for again', async () => {
    const [one, two] = await Promise.all([newImportJob(operator), newImportJob(operator)]);
    expect(one).toMatchObject({ state: ImportJob_State.ACTIVE, attemptsLeft: 5, rootKey: '' });
    expect(one.publicKey).toMatch(/^-----BEGIN PUBLIC KEY-----\n/);
    expect(one.nonce).toHaveLength(32);
    expect(one.expireTime!.getTime() - one.createTime!.getTime()).toBe(3_600_000);
    expect([one.publicKey, one.nonce]).not.toEqual([two.publicKey, two.nonce]);
    expect(await newImportJob(operator, 3_600, one.name.split('/')[3])).toEqual(one);
    expect(await get(one.name)).toEqual(one);
    const other = await properRefusalOf(newImportJob(operator, 60, one.name.split('/')[3]));
    expect(other).toMatchObject({ code: 'ALREADY_EXISTS', reason: 'ALREADY_EXISTS' });
  });

  it('is listed in pages, with the others of its key ring', async () => {
    const { name: parent } = await operator.keyRings.createKeyRing({ keyRingId: newId('ring') });
    for (const importJobId of ['b', 'a', 'c']) await operator.imports.createImportJob({ parent, importJobId }, { timeoutMs: 30_000 });
    const first = await operator.imports.listImportJobs({ parent, pageSize: 2 });
    const next = await operator.imports.listImportJobs({ parent, pageSize: 2, pageToken: first.nextPageToken });
    const names = [...first.importJobs, ...next.importJobs].map(({ name }) => name);
    expect(names).toEqual(['a', 'b', 'c'].map((id) => `${parent}/importJobs/${id}`));
    expect(next.nextPageToken).toBe('');
    const stolen = operator.imports.listImportJobs({ parent: RING, pageToken: first.nextPageToken });
    expect(await properRefusalOf(stolen)).toMatchObject({ reason: 'INVALID_PAGE_TOKEN' });
  });

  it.each([
    ['a ttl of less than a minute', { ttl: { seconds: 59n, nanos: 0 } }, 'ttl'],
    ['a ttl of more than seven days', { ttl: { seconds: 604_801n, nanos: 0 } }, 'ttl'],
    ['a ttl of broken seconds', { ttl: { seconds: 60n, nanos: 1 } }, 'ttl'],
    ['a negative ttl', { ttl: { seconds: -1n, nanos: 0 } }, 'ttl'],
    ['an ID of another shape', { importJobId: 'A' }, 'import_job_id'],
    ['no ID', { importJobId: '' }, 'import_job_id'],
    ['a parent that is no key ring', { parent: 'keyRings/A' }, 'parent'],
  ])('is refused with %s', async (_, request, field) => {
    const call = operator.imports.createImportJob({ parent: RING, importJobId: newId('job'), ...request });
    expect(await properRefusalOf(call)).toMatchObject({ code: 'INVALID_ARGUMENT', fields: [field] });
  });
});

describe('material that is right', () => {
  it('becomes a root key that wraps like any other, and the job is spent, its private key forgotten', async () => {
    const begin = await sizeOf(auditor);
    const [job, material] = [await newImportJob(operator), newMaterial()];
    const key = await importAs(job, offerFor(job, material));
    expect(key).toMatchObject({ origin: RootKey_Origin.IMPORTED, primaryVersion: 1 });
    expect(key.importedVersions).toEqual([{ version: 1, present: true, expireTime: undefined }]);
    await use(key.name);
    expect(await get(job.name)).toMatchObject({ state: ImportJob_State.SPENT, rootKey: key.name, attemptsLeft: 5 });
    expect(await rowsOf('select sealed_key from import_jobs where job_id = $1', [job.name.split('/')[3]])).toEqual([{ sealed_key: null }]);
    const entries = (await entriesOf(auditor, {}, begin)).filter(({ source }) => source === spiffeIdOf('keys'));
    const actions = entries.map(({ event }) => event!.action).filter((action) => /import/.test(action));
    expect(actions).toEqual(expect.arrayContaining(['keys.importjob.create', 'keys.rootkey.import']));
    expect(entries.some(({ leaf }) => leaf.includes(material.toString('hex')) || leaf.includes(material.toString('base64')))).toBe(false);
  });

  it('is taken once, and the same call again, after its answer was lost, has the same answer', async () => {
    const [job, rootKeyId] = [await newImportJob(operator), newId('k')];
    const offer = offerFor(job, newMaterial());
    const key = await importAs(job, offer, rootKeyId);
    expect(await importAs(job, offer, rootKeyId)).toEqual(key);
    // Another call on the spent job is another thing.
    const refused = await properRefusalOf(importAs(job, offer));
    expect(refused).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'IMPORT_JOB_SPENT' });
    expect(await properRefusalOf(importAs(job, { ...offer, proof: randomBytes(32) }, rootKeyId))).toMatchObject({
      reason: 'IMPORT_JOB_SPENT',
    });
  });

  it('asked for by many at once, it is imported once', async () => {
    const [job, other, material] = [await newImportJob(operator), await newImportJob(operator), newMaterial()];
    const calls = [job, job, other, other].map((one) => importAs(one, offerFor(one, material)));
    const results = await Promise.all(
      calls.map((call) =>
        call.then(
          () => 'OK',
          async (error: unknown) => (await properRefusalOf(Promise.reject(error))).reason,
        ),
      ),
    );
    expect(results.filter((result) => result === 'OK')).toHaveLength(1);
    expect(results.filter((result) => result !== 'OK').every((r) => r === 'IMPORT_JOB_SPENT' || r === 'KEY_MATERIAL_REUSED')).toBe(true);
  });

  it('rotates an imported key: all that it protects moves to the new version, and is readable', async () => {
    const key = await importKey(operator, newMaterial());
    const old = await use(key.name);
    const job = await newImportJob(operator);
    const next = await operator.imports.importRootKeyVersion({ name: key.name, material: offerFor(job, newMaterial()) });
    expect(next).toMatchObject({ primaryVersion: 2, uid: key.uid });
    expect(next.importedVersions.map(({ version }) => version)).toEqual([1, 2]);
    const rotation = (await Array.fromAsync(operator.watchRotation({ name: key.name }))).at(-1);
    expect(rotation).toMatchObject({ state: RootKeyRotation_State.DONE, primaryVersion: 2, scopeCount: 1n, movedCount: 1n });
    await Promise.all([old(), use(key.name)]);
    expect(await get(job.name)).toMatchObject({ state: ImportJob_State.SPENT, rootKey: key.name });
    // It does not rotate by itself: new material is its owner’s to bring.
    const made = operator.keyVersions.rotateRootKey({ name: key.name, primaryVersion: 2 });
    expect(await properRefusalOf(made)).toMatchObject({ reason: 'MATERIAL_REQUIRED' });
  });

  it('that was here before is not taken a second time, not even after its key was destroyed', async () => {
    const material = newMaterial();
    const key = await importKey(operator, material);
    const reused = { code: 'FAILED_PRECONDITION', reason: 'KEY_MATERIAL_REUSED' };
    const job = await newImportJob(operator);
    expect(await properRefusalOf(importAs(job, offerFor(job, material)))).toMatchObject(reused);
    const version = operator.imports.importRootKeyVersion({ name: key.name, material: offerFor(job, material) });
    expect(await properRefusalOf(version)).toMatchObject(reused);
    await destroyKey(key.name);
    expect(await properRefusalOf(importAs(job, offerFor(job, material)))).toMatchObject(reused);
    // It was no failed attempt, and the job takes other material.
    expect(await get(job.name)).toMatchObject({ state: ImportJob_State.ACTIVE, attemptsLeft: 5 });
    await importAs(job, offerFor(job, newMaterial()));
  });
});

describe('material that is not right', () => {
  let job: ImportJob;
  beforeAll(async () => {
    job = await newImportJob(operator);
  });
  const rejected = { code: 'INVALID_ARGUMENT', reason: 'IMPORT_REJECTED' };
  const material = newMaterial();
  const kek = newMaterial();
  const bad: [string, (one: ImportJob) => object][] = [
    ['a proof of other material', (one) => ({ proof: proofOf(one, newMaterial()) })],
    ['a proof for another job', (one) => ({ proof: proofOf({ ...one, name: `${RING}/importJobs/other` }, material) })],
    ['a proof over another nonce', (one) => ({ proof: proofOf({ ...one, nonce: randomBytes(32) }, material) })],
    ['no proof', () => ({ proof: Buffer.alloc(0) })],
    ['a key that RSA does not open', () => ({ wrappedMaterial: Buffer.concat([randomBytes(512), kwpWrap(kek, material)]) })],
    ['a damaged AES part', (one) => ({ wrappedMaterial: Buffer.concat([rsaWrap(one.publicKey, kek), randomBytes(40)]) })],
    [
      'an AES-128 key around it',
      (one) => ({ wrappedMaterial: Buffer.concat([rsaWrap(one.publicKey, kek.subarray(16)), kwpWrap(kek, material)]) }),
    ],
    [
      'material of 16 bytes',
      (one) => ({ wrappedMaterial: wrapFor(one.publicKey, material.subarray(16)), proof: proofOf(one, material.subarray(16)) }),
    ],
    [
      'material of 31 bytes',
      (one) => ({ wrappedMaterial: wrapFor(one.publicKey, material.subarray(1)), proof: proofOf(one, material.subarray(1)) }),
    ],
    ['nothing', () => ({ wrappedMaterial: Buffer.alloc(0) })],
    ['a byte too much', (one) => ({ wrappedMaterial: Buffer.concat([wrapFor(one.publicKey, material), Buffer.of(0)]) })],
  ];

  it('is rejected with one and the same answer, whatever is wrong, and takes an attempt each time', async () => {
    const answers = new Set<string>();
    for (const [what, change] of bad) {
      if ((await get(job.name)).attemptsLeft === 1) job = await newImportJob(operator);
      const { attemptsLeft } = await get(job.name);
      const call = importAs(job, { ...offerFor(job, material), ...change(job) });
      const refused = await properRefusalOf(call, [material.toString('hex'), material.toString('base64')]);
      expect(refused, what).toMatchObject(rejected);
      answers.add(JSON.stringify({ ...refused, metadata: { ...refused.metadata, requestId: '' } }));
      expect((await get(job.name)).attemptsLeft, what).toBe(attemptsLeft - 1);
    }
    expect(answers.size).toBe(1);
  });

  it('ends the job with the fifth attempt, and every attempt is in the audit log', async () => {
    const begin = await sizeOf(auditor);
    const doomed = await newImportJob(operator);
    for (let i = 0; i < 5; i++) expect(await properRefusalOf(importAs(doomed, { proof: randomBytes(32) }))).toMatchObject(rejected);
    expect(await get(doomed.name)).toMatchObject({ state: ImportJob_State.SPENT, attemptsLeft: 0, rootKey: '' });
    const refused = await properRefusalOf(importAs(doomed, offerFor(doomed, newMaterial())));
    expect(refused).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'IMPORT_JOB_SPENT' });
    expect(await rowsOf('select sealed_key from import_jobs where job_id = $1', [doomed.name.split('/')[3]])).toEqual([
      { sealed_key: null },
    ]);
    await expect
      .poll(async () => {
        const entries = await entriesOf(auditor, { resource: doomed.name }, begin);
        return entries
          .filter(({ event }) => event?.action === 'keys.importjob.attempt')
          .map(({ event }) => event!.attributes.get('attemptsLeft'));
      })
      .toEqual(['4', '3', '2', '1', '0']);
  });

  it.each([
    ['one byte all over', Buffer.alloc(32, 7)],
    ['fifteen different bytes', Buffer.from(Array.from({ length: 32 }, (_, i) => i % 15))],
    ['a half that is repeated', Buffer.concat([material.subarray(0, 16), material.subarray(0, 16)])],
  ])('is refused as weak when it is %s', async (_, weak) => {
    job = await newImportJob(operator);
    expect(await properRefusalOf(importAs(job, offerFor(job, weak)))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'WEAK_KEY_MATERIAL',
    });
    // Who does not have it is not told that it is weak.
    expect(await properRefusalOf(importAs(job, { ...offerFor(job, weak), proof: randomBytes(32) }))).toMatchObject(rejected);
    expect(await get(job.name)).toMatchObject({ attemptsLeft: 4 });
  });
});

describe('an import that cannot be', () => {
  let job: ImportJob;
  beforeAll(async () => {
    job = await newImportJob(operator);
  });

  it('into a job whose time is over says so, also before anybody has tidied up', async () => {
    const late = await newImportJob(operator);
    await rowsOf(`update import_jobs set expire_time = now() where job_id = $1`, [late.name.split('/')[3]]);
    expect(await get(late.name)).toMatchObject({ state: ImportJob_State.EXPIRED });
    const refused = await properRefusalOf(importAs(late, offerFor(late, newMaterial())));
    expect(refused).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'IMPORT_JOB_EXPIRED' });
  });

  it.each([
    ['a job that is not there', () => ({ importJob: `${RING}/importJobs/none` }), 'NOT_FOUND', undefined],
    ['a job of another key ring', () => ({ importJob: 'keyRings/provider/importJobs/a' }), 'INVALID_FIELD', 'material.import_job'],
    ['a job that is none', () => ({ importJob: 'importJobs/a' }), 'MALFORMED_NAME', 'material.import_job'],
    ['a time to expire that has passed', () => ({ expireTime: new Date(Date.now() - 1_000) }), 'INVALID_FIELD', 'material.expire_time'],
  ])('names %s', async (_, change, reason, field) => {
    expect(await properRefusalOf(importAs(job, { ...offerFor(job, newMaterial()), ...change() }))).toMatchObject({
      reason,
      fields: field === undefined ? [] : [field],
    });
  });

  it('without material, to a name that is taken, or among the keys of instances is refused, and costs no attempt', async () => {
    const request = { parent: RING, rootKeyId: newId('k'), owner: instanceUid };
    expect(await properRefusalOf(operator.imports.importRootKey(request))).toMatchObject({ fields: ['material'] });
    const { name } = await importKey(operator, newMaterial());
    const taken = { ...offerFor(job, newMaterial()) };
    expect(await properRefusalOf(importAs(job, taken, name.split('/')[3]))).toMatchObject({ reason: 'ALREADY_EXISTS' });
    const provider = { ...request, parent: 'keyRings/provider', material: { ...taken, importJob: 'keyRings/provider/importJobs/a' } };
    expect(await properRefusalOf(operator.imports.importRootKey(provider))).toMatchObject({ fields: ['parent'] });
    expect(await get(job.name)).toMatchObject({ attemptsLeft: 5 });
  });

  it('of a version into a key that was made here, that is not there, or that was destroyed is refused', async () => {
    const made = await operator.keys.createRootKey({ parent: RING, rootKeyId: newId('k') });
    const add = (name: string) => operator.imports.importRootKeyVersion({ name, material: offerFor(job, newMaterial()) });
    expect(await properRefusalOf(add(made.name))).toMatchObject({ reason: 'INVALID_FIELD', fields: ['name'] });
    expect(await properRefusalOf(add(`${RING}/keys/none`))).toMatchObject({ reason: 'NOT_FOUND' });
    const gone = await importKey(operator, newMaterial());
    expect(await destroyKey(gone.name)).toMatchObject({ importedVersions: [], origin: RootKey_Origin.IMPORTED });
    expect(await properRefusalOf(add(gone.name))).toMatchObject({ reason: 'KEY_DESTROYED' });
  });
});
