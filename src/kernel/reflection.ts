// Server reflection (gRFC A15), v1 and v1alpha, from the descriptor set that `buf build` makes: comments included, and
// google.rpc error details, so that grpcurl can print them. Only for the identities that the configuration names.
import { FileDescriptorSetSchema, type FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { status, type Server, type ServerDuplexStream } from '@grpc/grpc-js';
import { readFileSync } from 'node:fs';
import {
  ServerReflectionService,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from '../gen/grpc/reflection/v1/reflection.ts';

const DESCRIPTORS = new URL('../gen/descriptors.binpb', import.meta.url);

type Answer = NonNullable<ServerReflectionResponse['messageResponse']>;
const failure = (errorCode: number, errorMessage: string): Answer => ({ $case: 'errorResponse', value: { errorCode, errorMessage } });

const symbolsOf = (file: FileDescriptorProto): string[] => {
  const prefix = file.package ? `${file.package}.` : '';
  return [
    ...file.service.flatMap((s) => [s.name, ...s.method.map((m) => `${s.name}.${m.name}`)]),
    ...file.messageType.flatMap((m) => [
      m.name,
      ...m.enumType.map((e) => `${m.name}.${e.name}`),
      ...m.nestedType.map((n) => `${m.name}.${n.name}`),
    ]),
    ...file.enumType.map((e) => e.name),
  ].map((name) => prefix + name);
};

const answerer = (services: readonly string[]) => {
  const files = new Map(fromBinary(FileDescriptorSetSchema, readFileSync(DESCRIPTORS)).file.map((file) => [file.name, file]));
  const bySymbol = new Map([...files.values()].flatMap((file) => symbolsOf(file).map((symbol) => [symbol, file] as const)));

  const withImports = (file: FileDescriptorProto, seen = new Set<string>()): FileDescriptorProto[] => {
    if (seen.has(file.name)) return [];
    seen.add(file.name);
    return [
      file,
      ...file.dependency.flatMap((name) => {
        const next = files.get(name);
        return next ? withImports(next, seen) : [];
      }),
    ];
  };
  const descriptor = (file: FileDescriptorProto | undefined, asked: string): Answer =>
    file
      ? {
          $case: 'fileDescriptorResponse',
          value: { fileDescriptorProto: withImports(file).map((f) => Buffer.from(toBinary(FileDescriptorProtoSchema, f))) },
        }
      : failure(status.NOT_FOUND, `${asked.slice(0, 256)} is not known here`);

  return (request: ServerReflectionRequest): Answer => {
    const asked = request.messageRequest;
    switch (asked?.$case) {
      case 'listServices':
        return { $case: 'listServicesResponse', value: { service: services.map((name) => ({ name })) } };
      case 'fileByFilename':
        return descriptor(files.get(asked.value), asked.value);
      case 'fileContainingSymbol':
        return descriptor(bySymbol.get(asked.value), asked.value);
      case 'fileContainingExtension':
      case 'allExtensionNumbersOfType':
        return failure(status.NOT_FOUND, 'there are no extensions here');
      case undefined:
        return failure(status.INVALID_ARGUMENT, 'the request asks nothing');
      default:
        return asked satisfies never;
    }
  };
};

export const addReflection = (server: Server, services: readonly string[], mayAsk: (peer: string) => boolean): void => {
  const answer = answerer(services);
  const handler = (call: ServerDuplexStream<ServerReflectionRequest, ServerReflectionResponse>): void => {
    if (!mayAsk(call.getPeer())) {
      call.emit('error', { code: status.PERMISSION_DENIED, details: 'reflection is for the identities that the configuration names' });
      return;
    }
    call.on('data', (request: ServerReflectionRequest) => {
      call.write({ validHost: request.host, originalRequest: request, messageResponse: answer(request) });
    });
    call.on('end', () => call.end());
  };
  const { serverReflectionInfo } = ServerReflectionService;
  for (const version of ['v1', 'v1alpha']) {
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    server.addService({ serverReflectionInfo: { ...serverReflectionInfo, path } }, { serverReflectionInfo: handler });
  }
};
