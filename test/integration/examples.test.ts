// The examples do what they say, with stubs made from the protos as they are: TypeScript always, Go and Python where their tools are
// there, or may be brought (STRONGROOM_EXAMPLES=all).
import { execFile } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { addressOf, ROOT, spiffeIdOf, tlsFilesOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { clientsOf } from '../support/clients.ts';
import { bind, newTenant } from '../support/tenants.ts';

const stack = inject('stack');
const operator = clientsOf(stack, 'operator');
const TOOLS = join(ROOT, '.dev/tools');
const bring = process.env['STRONGROOM_EXAMPLES'] === 'all';
const minutes = 10 * 60_000;
let env: NodeJS.ProcessEnv;

const run = async (command: string, args: string[], more: NodeJS.ProcessEnv = {}): Promise<string> =>
  (await promisify(execFile)(command, args, { cwd: ROOT, env: { ...env, ...more } })).stdout;
const works = (command: string, ...args: string[]): Promise<boolean> =>
  run(command, args).then(
    () => true,
    () => false,
  );
const stubs = (language: string): Promise<string> =>
  run('buf', ['generate', '--template', `examples/${language}/buf.gen.yaml`, '--path', 'proto/strongroom/secrets/v1']);

beforeAll(async () => {
  const tenant = await newTenant(operator);
  await bind(operator, tenant.group, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
  const { caFile, certFile, keyFile } = tlsFilesOf(stack, 'app');
  env = {
    ...process.env,
    PATH: [join(ROOT, 'node_modules/.bin'), join(TOOLS, 'bin'), process.env['PATH']].join(delimiter),
    GOBIN: join(TOOLS, 'bin'),
    STRONGROOM_ADDRESS: addressOf(stack, 'store'),
    STRONGROOM_GROUP: tenant.group,
    STRONGROOM_CA: caFile,
    STRONGROOM_CERT: certFile,
    STRONGROOM_KEY: keyFile,
    STRONGROOM_SERVICE_CONFIG: join(ROOT, 'docs/client/service-config.json'),
  };
});
afterAll(() => operator[Symbol.dispose]());

const TOLD = new RegExp(
  ['created (\\S+)', 'read version 1: as written', 'added \\1/versions/2', 'watched: version 2', 'read version 2: as written', ''].join(
    '\n',
  ),
);

describe('the example', () => {
  it('in TypeScript does it', async () => {
    await stubs('typescript');
    await run('tsc', ['-p', 'examples/typescript']);
    expect(await run('node', ['examples/typescript/main.ts'])).toMatch(TOLD);
  });

  it('in Python does it', { timeout: minutes }, async ({ skip }) => {
    const own = join(TOOLS, 'python/bin/python3');
    if (bring && !(await works(own, '-c', 'import grpc_tools'))) {
      await run('python3', ['-m', 'venv', join(TOOLS, 'python')]);
      await run(own, ['-m', 'pip', 'install', '--quiet', '-r', 'examples/python/requirements.txt']);
    }
    const python = (await works(own, '-c', 'import grpc_tools')) ? own : 'python3';
    if (!(await works(python, '-c', 'import grpc, grpc_tools')))
      return skip('python3 has no grpcio-tools here; STRONGROOM_EXAMPLES=all brings it');
    await run('mkdir', ['-p', 'examples/python/gen']);
    const out = ['--python_out=examples/python/gen', '--grpc_python_out=examples/python/gen'];
    await run('sh', ['-c', `'${python}' -m grpc_tools.protoc -I proto ${out.join(' ')} proto/strongroom/secrets/v1/*.proto`]);
    return expect(await run(python, ['examples/python/main.py'], { PYTHONPATH: 'examples/python/gen' })).toMatch(TOLD);
  });

  it('in Go does it', { timeout: minutes }, async ({ skip }) => {
    if (!(await works('go', 'version'))) return skip('there is no go here');
    if (bring && !(await works('protoc-gen-go-grpc', '--version'))) {
      await run('go', ['install', 'google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12']);
      await run('go', ['install', 'google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2']);
    }
    if (!(await works('protoc-gen-go-grpc', '--version')) || !(await works('protoc-gen-go', '--version')))
      return skip('there is no protoc-gen-go here; STRONGROOM_EXAMPLES=all brings it');
    await stubs('go');
    return expect(await run('go', ['run', '-C', 'examples/go', '.'])).toMatch(TOLD);
  });
});
