import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Milliseconds in which one signal may arrive more than once: a terminal, npm and a launcher each pass it on. */
const ONE = 1000;

/**
 * Turns what would end the process (Ctrl-C, SIGTERM, a hangup, an error that nothing catches) into an abort, so that
 * there is time to save. The same a second time, more than a second later, ends the process as it would without this.
 */
export function interruptible(say: (text: string) => void): {
  readonly signal: AbortSignal;
  /** What came first, if something did. */
  readonly cause: () => { readonly signal: NodeJS.Signals } | { readonly error: unknown } | undefined;
  stop(): void;
} {
  const controller = new AbortController();
  let cause: ReturnType<ReturnType<typeof interruptible>['cause']>;
  const first = new Map<NodeJS.Signals, number>();
  const onSignal = (signal: NodeJS.Signals) => {
    const at = first.get(signal);
    if (at !== undefined) {
      if (performance.now() - at < ONE) return;
      process.removeListener(signal, onSignal);
      process.kill(process.pid, signal);
      return;
    }
    first.set(signal, performance.now());
    say(`${signal}: saving after the step under way; once more to end at once.`);
    cause ??= { signal };
    controller.abort();
  };
  const onError = (error: unknown) => {
    process.removeListener('uncaughtException', onError);
    say(`An error that nothing caught: saving after the step under way. ${error}`);
    cause = { error };
    controller.abort();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  process.on('uncaughtException', onError);
  return {
    signal: controller.signal,
    cause: () => cause,
    stop() {
      for (const signal of SIGNALS) process.removeListener(signal, onSignal);
      process.removeListener('uncaughtException', onError);
    },
  };
}

/** Ends the process as the signal does, whose listeners are gone. */
export async function endBy(signal: NodeJS.Signals): Promise<never> {
  process.kill(process.pid, signal);
  // Where the program has a listener of its own for the signal, that did not end it.
  return new Promise(() => setTimeout(() => process.exit(128 + constants.signals[signal]), 500));
}
