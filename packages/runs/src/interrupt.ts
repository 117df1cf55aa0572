/** Turns Ctrl-C (SIGINT) and SIGTERM into an abort; the second one ends the process as it would without this. */
export function interruptible(say: (text: string) => void): {
  readonly signal: AbortSignal;
  /** The signal that arrived, if one did. */
  readonly received: () => NodeJS.Signals | undefined;
  stop(): void;
} {
  const controller = new AbortController();
  let received: NodeJS.Signals | undefined;
  const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM'];
  const stop = () => {
    for (const signal of signals) process.removeListener(signal, on);
  };
  const on = (signal: NodeJS.Signals) => {
    stop();
    received = signal;
    say(`${signal}: saving after the step under way; once more to end at once.`);
    controller.abort();
  };
  for (const signal of signals) process.on(signal, on);
  return { signal: controller.signal, received: () => received, stop };
}
