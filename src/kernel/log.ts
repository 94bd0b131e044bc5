// JSON lines on standard output. Only the fields named here can be written, so no value or key gets into a log by
// somebody logging an object.
import { pino, type Logger } from 'pino';

export interface LogFields {
  method?: string;
  principal?: string;
  correlationId?: string;
  traceId?: string;
  code?: string;
  reason?: string;
  /** Duration in milliseconds. */
  ms?: number;
  /** A message of an error; never built from a request's content. */
  error?: string;
  peer?: string;
  address?: string;
  file?: string;
  count?: number;
  state?: string;
  resource?: string;
  job?: string;
  attempt?: number;
  version?: number;
  index?: string;
}

export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

const FIELDS: ReadonlySet<string> = new Set<keyof LogFields>([
  'method',
  'principal',
  'correlationId',
  'traceId',
  'code',
  'reason',
  'ms',
  'error',
  'peer',
  'address',
  'file',
  'count',
  'state',
  'resource',
  'job',
  'attempt',
  'version',
  'index',
]);

const allowed = (fields: LogFields): LogFields => Object.fromEntries(Object.entries(fields).filter(([key]) => FIELDS.has(key)));

export const openLog = (service: string, level: LogLevel): Log => {
  const logger: Logger = pino({ level, base: { service }, timestamp: pino.stdTimeFunctions.isoTime });
  return {
    debug: (fields, message) => void (logger.isLevelEnabled('debug') && logger.debug(allowed(fields), message)),
    info: (fields, message) => void (logger.isLevelEnabled('info') && logger.info(allowed(fields), message)),
    warn: (fields, message) => logger.warn(allowed(fields), message),
    error: (fields, message) => logger.error(allowed(fields), message),
  };
};

/** What an error says, for a log line: an own error's reason and cause, or the message. */
export const describe = (error: unknown): string => {
  if (!(error instanceof Error)) return 'a thrown value that is no error';
  const cause = error.cause instanceof Error ? ` (${error.cause.name}: ${error.cause.message})` : '';
  return `${error.name}: ${error.message}${cause}`;
};
