// `make verify-log`: exports the log of the running stack and has it verified by a program that nobody here wrote; then flips one byte in
// each kind of file, and shows that this is found every time.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportLog } from '../audit/export/command.ts';
import { openSigner } from '../audit/note.ts';
import { AuditServiceService } from '../gen/strongroom/audit/v1/audit_service.ts';
import { dialAs } from './clients.ts';
import { kindsIn, withFlipped } from './flip.ts';
import { installFsck, isWhole } from './fsck.ts';
import { addressOf, spiffeIdOf, tlsFilesOf, TRUST_DOMAIN, type Say, type Stack } from './stack.ts';

/** So many that there is a file of every kind. */
const ENOUGH = 300n;

/** Reading the log makes it longer. */
const grow = async (stack: Stack): Promise<void> => {
  await using auditor = dialAs(stack, 'auditor');
  const log = auditor.dial(AuditServiceService, 'audit');
  const read = () => log.getCheckpoint({ cosigned: false }, { deadline: Date.now() + 5_000 });
  for (let { treeSize } = await read(); treeSize < ENOUGH; treeSize += 50n) await Promise.all(Array.from({ length: 50 }, read));
};

export const verifyLog = async (stack: Stack, tools: string, say: Say): Promise<void> => {
  const installed = installFsck(tools);
  if ('why' in installed) throw new Error(`the log cannot be verified by somebody else's program: ${installed.why}`);
  const at = join(stack.state, 'verify-log');
  rmSync(at, { recursive: true, force: true });
  mkdirSync(at, { recursive: true, mode: 0o700 });
  await grow(stack).catch((error: unknown) => {
    throw new Error('the audit log does not answer; run: make up', { cause: error });
  });
  // As its owner knows it: not from the log that is to be checked.
  const { text: verifierKey } = openSigner(`${TRUST_DOMAIN}/audit`, readFileSync(join(stack.state, 'audit-signing.key'))).verifier;
  const config = join(at, 'export.json');
  const audit = { address: addressOf(stack, 'audit'), spiffeId: spiffeIdOf('audit') };
  writeFileSync(config, JSON.stringify({ tls: tlsFilesOf(stack, 'auditor'), audit, verifierKeys: [verifierKey] }));

  const folder = join(at, 'log');
  const { origin, size } = await exportLog(config, folder);
  say(`✓ exported ${size} entries of ${origin} to ${folder}`);
  const { whole, said } = isWhole(installed.program, folder, verifierKey);
  if (!whole) throw new Error(`fsck does not find the log whole: ${said}`);
  say(`✓ verified by fsck of the Tessera project: ${said}`);
  for (const [kind, file] of Object.entries(kindsIn(folder, size))) {
    const changed = withFlipped(file, () => isWhole(installed.program, folder, verifierKey));
    if (changed.whole) throw new Error(`fsck has not noticed a flipped bit in a ${kind}`);
    say(`✓ one bit flipped in a ${kind}: refused (${changed.said})`);
  }
};
