// The floor: 1 KiB to a gRPC server that does nothing with it, and back.
import { SecretPayload } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { ECHO } from '../echo.ts';
import { frame } from '../grpc.ts';
import { assertPayload, newPayload, type Operation } from '../operation.ts';

export const echoes = (): Operation => {
  const payload = newPayload();
  const request = frame(SecretPayload.encode(payload).finish());
  return {
    path: ECHO.echo.path,
    to: 'echo',
    as: 'app',
    items: 1,
    next: () => ({ request, check: (reply) => assertPayload(SecretPayload.decode(reply), payload) }),
  };
};
