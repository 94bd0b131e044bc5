// Secrets moved in from elsewhere, shown on a running stack: a dotenv file and a dump of Vault, each looked at first, then imported,
// then once more, which changes nothing.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { BindingServiceService, Role } from '../gen/strongroom/secrets/v1/binding_service.ts';
import { InstanceServiceService } from '../gen/strongroom/secrets/v1/instance_service.ts';
import { SecretGroupServiceService } from '../gen/strongroom/secrets/v1/secret_group_service.ts';
import { dialAs } from './clients.ts';
import { writeFile } from './files.ts';
import { addressOf, MAIN, ROOT, spiffeIdOf, tlsFilesOf, type Say, type Stack } from './stack.ts';

const COUNT = 200;
const random = () => randomBytes(18).toString('base64url');
const newRequest = () => ({ requestId: crypto.randomUUID() });
const options = () => ({ deadline: Date.now() + 15_000 });

const makeGroup = async (stack: Stack): Promise<string> => {
  await using operator = dialAs(stack, 'operator');
  const instanceId = `import-${randomBytes(3).toString('hex')}`;
  const { name } = await operator
    .dial(InstanceServiceService, 'store')
    .createInstance({ instanceId, instance: undefined, ...newRequest() }, options());
  const request = { parent: name, secretGroupId: 'moved', secretGroup: undefined, ...newRequest() };
  const group = await operator.dial(SecretGroupServiceService, 'store').createSecretGroup(request, options());
  for (const role of [Role.WRITER, Role.SECRETS_READER]) {
    const binding = { scope: group.name, principal: spiffeIdOf('app'), role, createTime: undefined };
    await operator.dial(BindingServiceService, 'store').createBinding({ binding, ...newRequest() }, options());
  }
  return group.name;
};

export const importDemo = async (stack: Stack, say: Say): Promise<void> => {
  const folder = join(stack.state, 'import-demo');
  const [config, dotenv, vault] = [join(folder, 'client.json'), join(folder, 'example.env'), join(folder, 'vault.json')];
  mkdirSync(folder, { recursive: true });
  const tls = tlsFilesOf(stack, 'app');
  writeFile(
    config,
    `${JSON.stringify({ tls, store: { address: addressOf(stack, 'store'), spiffeId: spiffeIdOf('store') } }, undefined, 2)}\n`,
  );
  const lines = Array.from({ length: COUNT }, (_, i) => `SERVICE_${i}_TOKEN='${random()}'`);
  writeFile(dotenv, `# written by make import-demo\n${lines.join('\n')}\n`, 0o600);
  const paths = ['apps/orders/db', 'apps/billing/smtp'].map((path) => [
    path,
    { data: { username: path.split('/')[1], password: random() }, metadata: { version: 3 } },
  ]);
  writeFile(vault, `${JSON.stringify(Object.fromEntries(paths))}\n`, 0o600);

  const group = await makeGroup(stack);
  say(`✓ operator made ${group}, in which app may write and read`);
  const from = (file: string): string => relative(ROOT, file);
  const importFrom = (format: string, file: string, ...more: string[]): void => {
    const args = ['import', from(config), group, '--format', format, ...more, from(file)];
    say(`\n$ node src/main.ts ${args.join(' ')}`);
    const { status } = spawnSync(process.execPath, [MAIN, ...args], { cwd: ROOT, stdio: 'inherit' });
    if (status !== 0) throw new Error('the import has failed');
  };
  importFrom('dotenv', dotenv, '--dry-run');
  importFrom('dotenv', dotenv);
  importFrom('dotenv', dotenv);
  importFrom('vault-kv2', vault);
};
