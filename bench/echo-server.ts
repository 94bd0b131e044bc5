// The floor that everything is compared with: a grpc-js server in a process of its own that decodes a 1 KiB message, encodes
// it again and answers. It has our listener, so the same mutual TLS, and none of our steps.
import { Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { HOST, tlsFilesOf, TRUST_DOMAIN, type Stack } from '../src/dev/stack.ts';
import type { SecretPayload } from '../src/gen/strongroom/secrets/v1/secret_service.ts';
import { openListener } from '../src/kernel/listener.ts';
import { openLog } from '../src/kernel/log.ts';
import { openTls } from '../src/kernel/tls.ts';
import { answer } from './child.ts';
import { ECHO } from './echo.ts';

/** Answers its port. */
const serve = async (stack: Stack): Promise<number> => {
  const log = openLog('echo', 'silent');
  const server = new Server({ 'grpc.enable_channelz': 0 });
  const echo = (call: ServerUnaryCall<SecretPayload, SecretPayload>, reply: sendUnaryData<SecretPayload>) => reply(null, call.request);
  server.addService(ECHO, { echo });
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const { port } = await openListener({
    listen: { host: HOST, port: 0 },
    trustDomain: TRUST_DOMAIN,
    tls: openTls(tlsFilesOf(stack, 'store'), log),
    log,
    accept: (socket) => injector.injectConnection(socket),
  });
  return port;
};

answer({ serve });
