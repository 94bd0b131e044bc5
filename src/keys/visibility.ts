// Whose scopes a caller may look at and destroy: those of his own service, and those of the services whose deputy he is. Pure.
import type { SpiffeId } from '../kernel/identity.ts';
import type { Keys } from './keys.ts';

export const visibilityOf =
  (deputies: Readonly<Record<string, readonly SpiffeId[]>>): Keys['isVisible'] =>
  ({ service }, principal) =>
    service === principal || (deputies[principal]?.some((one) => one === service) ?? false);
