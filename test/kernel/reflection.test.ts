import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, type FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import type { Client, ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ServerReflectionRequest, ServerReflectionResponse } from '../../src/gen/grpc/reflection/v1/reflection.ts';
import { APP, contextOf, eventually, newSite, SERVICE, spiffe, startServer, type Site } from './harness.ts';

let site: Site;
beforeAll(async () => {
  site = await newSite();
});
afterAll(() => site[Symbol.asyncDispose]());

type Question = NonNullable<ServerReflectionRequest['messageRequest']>;
type Reply = NonNullable<ServerReflectionResponse['messageResponse']>;

/** One conversation: all questions on one stream, as grpcurl has it. Rejects with the status if that is not OK. */
const ask = (client: Client, questions: readonly (Question | undefined)[], version = 'v1'): Promise<Reply[]> =>
  new Promise((resolve, reject) => {
    const replies: Reply[] = [];
    const stream = client.makeBidiStreamRequest(
      `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      (request: ServerReflectionRequest) => Buffer.from(ServerReflectionRequest.encode(request).finish()),
      (bytes: Buffer) => ServerReflectionResponse.decode(bytes),
      { deadline: Date.now() + 3_000 },
    );
    stream.on('data', (response: ServerReflectionResponse) => {
      if (response.messageResponse) replies.push(response.messageResponse);
    });
    stream.on('error', (error: ServiceError) => reject(error));
    stream.on('end', () => resolve(replies));
    for (const messageRequest of questions) stream.write({ host: 'localhost', messageRequest });
    stream.end();
  });

const filesOf = (reply: Reply | undefined): FileDescriptorProto[] => {
  if (reply?.$case !== 'fileDescriptorResponse') throw new Error(`no files but ${JSON.stringify(reply)}`);
  return reply.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
};
const start = () => startServer(site, { config: { reflection: [APP] } });

describe.each(['v1', 'v1alpha'])('reflection %s', (version) => {
  it('lists the services that are served, health included', async () => {
    await using server = await start();
    const [reply] = await ask(server.client(), [{ $case: 'listServices', value: '*' }], version);
    expect(reply).toEqual({ $case: 'listServicesResponse', value: { service: [{ name: SERVICE }, { name: 'grpc.health.v1.Health' }] } });
  });

  it('describes a service with its comments, and brings every file that it needs', async () => {
    await using server = await start();
    const [reply] = await ask(server.client(), [{ $case: 'fileContainingSymbol', value: SERVICE }], version);
    const files = filesOf(reply);
    const names = new Set(files.map((file) => file.name));
    expect(files[0]?.name).toBe('strongroom/keys/v1/envelope_service.proto');
    for (const file of files) for (const needed of file.dependency) expect(names, `${file.name} imports ${needed}`).toContain(needed);
    // The comment that stands above the service in its file: path [6, 0].
    const location = files[0]?.sourceCodeInfo?.location.find(({ path }) => path.length === 2 && path[0] === 6 && path[1] === 0);
    expect(location?.leadingComments).toContain('Envelope encryption');
  });

  it('answers many questions in one conversation, each in its turn', async () => {
    await using server = await start();
    const symbols = [
      `${SERVICE}.GetScope`,
      'strongroom.keys.v1.Scope',
      'strongroom.keys.v1.Scope.State',
      'google.rpc.ErrorInfo',
      'google.rpc.ErrorInfo.MetadataEntry',
      'grpc.health.v1.Health',
    ];
    const replies = await ask(
      server.client(),
      symbols.map((value) => ({ $case: 'fileContainingSymbol', value })),
      version,
    );
    expect(replies.map((reply) => filesOf(reply)[0]?.name)).toEqual([
      ...Array.from({ length: 3 }, () => 'strongroom/keys/v1/envelope_service.proto'),
      'google/rpc/error_details.proto',
      'google/rpc/error_details.proto',
      'grpc/health/v1/health.proto',
    ]);
  });

  it('gives a file by its name', async () => {
    await using server = await start();
    const [reply] = await ask(server.client(), [{ $case: 'fileByFilename', value: 'google/protobuf/timestamp.proto' }], version);
    expect(filesOf(reply).map((file) => file.name)).toEqual(['google/protobuf/timestamp.proto']);
  });

  it.each<[string, Question | undefined, number]>([
    ['an unknown symbol', { $case: 'fileContainingSymbol', value: 'strongroom.Nothing' }, 5],
    ['an unknown file', { $case: 'fileByFilename', value: 'nothing.proto' }, 5],
    ['an extension', { $case: 'fileContainingExtension', value: { containingType: 'x', extensionNumber: 1 } }, 5],
    ['nothing', undefined, 3],
  ])('says in the conversation that there is no %s, and goes on', async (_, question, errorCode) => {
    await using server = await start();
    const [refusal, list] = await ask(server.client(), [question, { $case: 'listServices', value: '' }], version);
    expect(refusal).toMatchObject({ $case: 'errorResponse', value: { errorCode } });
    expect(list?.$case).toBe('listServicesResponse');
  });

  it('is denied to whom the configuration does not name, and that is recorded', async () => {
    await using server = await start();
    const other = await site.authority.issue({ uris: [spiffe('app2')] });
    await expect(ask(server.client(contextOf(site, other)), [{ $case: 'listServices', value: '' }], version)).rejects.toMatchObject({
      code: 7,
    });
    await eventually(() => server.events.length === 1, 'the denial is recorded');
    expect(server.events[0]).toMatchObject({
      action: 'rpc.call.refuse',
      principal: spiffe('app2'),
      outcome: 3,
      code: 7,
      resource: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    });
  });

  it('is denied to everybody if the configuration names nobody, and to a peer without an identity', async () => {
    await using nobody = await startServer(site);
    await expect(ask(nobody.client(), [{ $case: 'listServices', value: '' }], version)).rejects.toMatchObject({ code: 7 });
    await using server = await start();
    const two = await site.authority.issue({ uris: [APP, spiffe('app2')] });
    await expect(ask(server.client(contextOf(site, two)), [{ $case: 'listServices', value: '' }], version)).rejects.toMatchObject({
      code: 7,
    });
  });
});
