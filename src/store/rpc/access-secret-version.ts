import type { AccessSecretVersionRequest, AccessSecretVersionResponse } from '../../gen/strongroom/secrets/v1/secret_access_service.ts';
import { AppError } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { assertFound, parseAsked, toReadable, toResponse } from '../opening.ts';
import { selectStored, type Asked } from '../sql/secret-versions.ts';
import type { Store } from '../store.ts';

/** When the group's key is replaced, its old version may be destroyed after the row was read: then the row has a fresh wrap. */
export const accessSecretVersion = (
  store: Store,
  request: AccessSecretVersionRequest,
  call: Call,
): Promise<AccessSecretVersionResponse> => {
  const asked = parseAsked(request);
  return open(store, asked, call).catch((error: unknown) => {
    if (error instanceof AppError && error.reason === 'SCOPE_KEY_VERSION_DESTROYED') return open(store, asked, call);
    throw error;
  });
};

const open = async (store: Store, asked: Asked, call: Call): Promise<AccessSecretVersionResponse> => {
  const readable = toReadable(asked, assertFound(asked, await selectStored(store.db.read, asked)));
  call.annotate(readable.draft);
  const { opening } = readable;
  const bytes = opening && (await store.envelope.open(opening.place, opening.sealed, call));
  store.accesses.count(readable);
  return toResponse(readable, bytes);
};
