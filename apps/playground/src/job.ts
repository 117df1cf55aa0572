// One piece of work at a time: another one stops it and waits until it has ended.
let current: { readonly stop: AbortController; readonly over: Promise<void> } | undefined;

/** Runs `work` after the one under way has stopped. `work` ends soon after its signal aborts. */
export function startJob(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const before = current;
  before?.stop.abort();
  const stop = new AbortController();
  const over = (async () => {
    await before?.over.catch(() => {});
    if (!stop.signal.aborted) await work(stop.signal);
  })();
  current = { stop, over };
  return over;
}

/** Asks the work under way to end. */
export const stopJob = (): void => current?.stop.abort();

/** Lets the page draw and take input. A page in the background draws no frames, and goes on all the same. */
export const nextFrame = (): Promise<void> =>
  new Promise((resolve) => {
    const late = setTimeout(resolve, 100);
    requestAnimationFrame(() => {
      clearTimeout(late);
      // After the frame was drawn, not before it.
      setTimeout(resolve);
    });
  });
