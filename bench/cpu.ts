// CPU time and memory of processes, as Linux counts them in /proc.
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ is 100 on every architecture that Linux and Node share: a tick is 10 ms. */
const TICK_US = 10_000;

/** The numbers after the command, which is in parentheses and may hold anything: state, parent, … (proc_pid_stat(5)). */
const statOf = (pid: number | string): string[] | undefined => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
};
const [PARENT, USER, SYSTEM, CHILDREN_USER, CHILDREN_SYSTEM] = [1, 11, 12, 13, 14];
const sum = (stat: readonly string[] | undefined, ...fields: number[]): number =>
  fields.reduce((total, field) => total + Number(stat?.[field] ?? 0), 0) * TICK_US;

/** User and system time of one process with all its threads, in microseconds. */
export const cpuOf = (pid: number): number => sum(statOf(pid), USER, SYSTEM);

/** Of a process and its children, those that have ended included. */
export const cpuOfTree = (pid: number): number => {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(statOf)
    .filter((stat) => stat?.[PARENT] === String(pid));
  return children.reduce((total, stat) => total + sum(stat, USER, SYSTEM), sum(statOf(pid), USER, SYSTEM, CHILDREN_USER, CHILDREN_SYSTEM));
};

/** All that the machine has worked, in microseconds, what a hypervisor took from it included. */
export const cpuOfMachine = (): number => {
  const [line = ''] = readFileSync('/proc/stat', 'latin1').split('\n', 1);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.trim().split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq + steal) * TICK_US;
};

/** Resident memory in MiB. */
export const memoryOf = (pid: number): number => {
  const [, kib] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return Math.round(Number(kib ?? 0) / 1024);
};
