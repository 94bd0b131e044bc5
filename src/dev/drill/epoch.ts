// The end of a purge epoch: the master key is replaced, and the one before destroyed as soon as it may be.
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { KeyServiceService, RotateMasterKeyRequest } from '../../gen/strongroom/keys/v1/key_service.ts';
import { dialAs } from '../clients.ts';
import { configFileOf } from '../configs.ts';
import { startDatabase, startService } from '../parts.ts';
import type { Stack } from '../stack.ts';
import { down } from '../up.ts';

/** The shortest that a configuration may say. */
const KEEP_FOR = '5s';
const END_MS = 60_000;

const keepShortly = (stack: Stack): void => {
  const file = configFileOf(stack, 'keys');
  const config = JSON.parse(readFileSync(file, 'utf8')) as { masterKeys: object };
  writeFileSync(file, JSON.stringify({ ...config, masterKeys: { ...config.masterKeys, keepFor: KEEP_FOR } }));
};

/** Of a stack that is stopped, and is so again at the end. */
export const endEpoch = async (stack: Stack): Promise<void> => {
  keepShortly(stack);
  await startDatabase(stack);
  for (const service of ['audit', 'keys'] as const) {
    const refusal = await startService(stack, service);
    if (refusal !== undefined) throw new Error(refusal);
  }
  {
    await using operator = dialAs(stack, 'operator');
    const keys = operator.dial(KeyServiceService, 'keys');
    const options = () => ({ deadline: Date.now() + 15_000 });
    const currentId = (await keys.getMasterKeyStatus({}, options())).current?.id ?? '';
    await keys.rotateMasterKey(RotateMasterKeyRequest.fromPartial({ currentId }), options());
    for (const end = Date.now() + END_MS; (await keys.getMasterKeyStatus({}, options())).previous.length > 0; await sleep(100))
      if (Date.now() > end) throw new Error(`master key ${currentId} is not destroyed ${END_MS / 1_000} s after it was replaced`);
  }
  await down(stack);
};
