import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import * as v from 'valibot';
import { codeOf } from './files.js';

const text = v.pipe(v.string(), v.maxLength(256));

/** Who has a lock, as its file says. What a system does not tell is ''. */
const ownerSchema = v.object({
  pid: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  /** When the process began, so that a number used again is not taken for it. */
  began: text,
  /** The name of the machine, and its own identity: names are not unique. */
  host: text,
  machine: text,
  /** The machine's start. */
  boot: text,
  /** Where the number of the process counts: containers number their processes each for itself. */
  namespace: text,
  since: text,
  /** A name for this one taking of the lock. */
  id: v.pipe(v.string(), v.regex(/^[\w-]{1,64}$/)),
});

export type Owner = v.InferOutput<typeof ownerSchema>;

/** The owner that a lock's text names; undefined where it names none. */
export function ownerOf(text: string): Owner | undefined {
  try {
    return v.parse(ownerSchema, JSON.parse(text));
  } catch {
    return undefined;
  }
}

export const thisProcess = (): Owner => ({
  pid: process.pid,
  began: processAt(process.pid).began,
  ...here(),
  since: new Date().toISOString(),
  id: randomUUID(),
});

/**
 * The process where it may be at work, as messages name it, and what can be done about it; undefined where it is surely
 * gone. Nobody here can know that of a process of another machine or container.
 */
export function aliveAs({ pid, began, host, ...place }: Owner): { who: string; advice: string } | undefined {
  const now = here();
  const unseen = (where: string) => ({ who: `process ${pid} of ${where}`, advice: UNSEEN });
  if (host !== now.host) return unseen(`the machine ${host}`);
  if (place.machine !== now.machine) return unseen(`another machine of the name ${host}`);
  // Numbers of namespaces are given anew after a restart; the first one's is always the same.
  if (place.namespace !== now.namespace || (place.boot !== now.boot && now.namespace !== FIRST_NAMESPACE))
    return unseen('another container');
  if (place.boot !== now.boot) return undefined;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return undefined;
  }
  const found = processAt(pid);
  if (found.ended || (began !== '' && found.began !== '' && began !== found.began)) return undefined;
  const doubt = began === '' ? ' If it is another program by now, delete the file.' : '';
  return { who: `process ${pid}`, advice: `Wait for it, or stop it.${doubt}` };
}

const UNSEEN = 'It cannot be seen from here: if it is gone, delete the file.';

const FIRST_NAMESPACE = 'pid:[4026531836]';

const here = () => ({
  host: hostname(),
  machine: orNothing(() => readFileSync('/etc/machine-id', 'utf8').trim()),
  boot: orNothing(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
  namespace: orNothing(() => readlinkSync('/proc/self/ns/pid')),
});

/** A process's start, in ticks after the machine's, and whether it has ended without being waited for: on Linux. */
function processAt(pid: number): { began: string; ended: boolean } {
  const stat = orNothing(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  // The second field, the command, may hold anything, but ends with the last parenthesis. Start is field 22.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { began: fields[19] ?? '', ended: fields[0] === 'Z' || fields[0] === 'X' };
}

function orNothing(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
