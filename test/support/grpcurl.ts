// Stands in for grpcurl where that is not installed: the few of its options that the README uses, carried out by buf curl.
import { spawnSync } from 'node:child_process';

const args = process.argv.slice(2);
const option = (name: string): string[] => {
  const at = args.indexOf(name);
  return at < 0 ? [] : args.splice(at, 2).slice(1);
};
const [[cacert = ''], [cert = ''], [key = ''], [maxTime], data] = [
  option('-cacert'),
  option('-cert'),
  option('-key'),
  option('-max-time'),
  option('-d'),
];
const [address = '', verb = '', symbol] = args;

const what =
  verb === 'list'
    ? ['--list-services', `https://${address}`]
    : verb === 'describe'
      ? ['--list-methods', `https://${address}`]
      : [...data.flatMap((json) => ['-d', json]), `https://${address}/${verb}`];
const { status, stdout, stderr } = spawnSync(
  'buf',
  ['curl', '--protocol', 'grpc', '--cacert', cacert, '--cert', cert, '--key', key, ...what],
  {
    encoding: 'utf8',
    ...(maxTime === undefined ? {} : { timeout: Number(maxTime) * 1_000 }),
  },
);
process.stdout.write(
  symbol === undefined
    ? stdout
    : stdout
        .split('\n')
        .filter((line) => line.includes(symbol))
        .join('\n'),
);
process.stderr.write(stderr);
process.exit(status ?? 1);
