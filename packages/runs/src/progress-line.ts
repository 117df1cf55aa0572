import { checkChoice } from '@logsnr/core';
import { type TextStream, tolerant } from '@logsnr/io/node';
import type { StepReport } from '@logsnr/training';
import type { SingleBar } from 'cli-progress';

export interface ProgressLineOptions {
  /** Shown in front. "training" unless given. */
  readonly label?: string;
  /** What the speed counts. "images" unless given. */
  readonly unit?: string;
  /** Where to write: standard error unless given. */
  readonly stream?: TextStream;
  /** Seconds between lines where `stream` is not a terminal. 10 unless given. */
  readonly every?: number;
  /**
   * `line` for people (the default); `json`, a line of JSON for each step that is shown, one every `every` seconds;
   * `quiet`, nothing.
   */
  readonly mode?: 'line' | 'json' | 'quiet';
}

/** The part of a step's report that is shown. */
export type ShownReport = Pick<StepReport, 'step' | 'loss' | 'progress' | 'seconds' | 'imagesPerSecond'> &
  Partial<Pick<StepReport, 'wait' | 'images' | 'skipped'>>;

/** A line that shows how a run goes. */
export interface ProgressLine {
  update(report: ShownReport): void;
  /** Shows the last report and ends the line. */
  stop(): void;
}

/**
 * Shows steps, the loss and the speed (both smoothed over about 50 steps), the time left, the process's memory, the
 * share of the time in which a step waited for its data, and skipped steps if there were any: as a bar that is redrawn
 * on a terminal, else as a plain line every ten seconds. Writes to standard error, so that a program's own output stays
 * clean. Where that cannot be written nothing is shown, and training goes on. Use it as `onStep: progress.update`.
 * @throws RangeError on an unknown mode.
 */
export async function progressLine(options: ProgressLineOptions = {}): Promise<ProgressLine> {
  const { label = 'training', unit = 'images', every = 10, mode = 'line' } = options;
  const stream = tolerant(options.stream ?? process.stderr);
  checkChoice('mode', mode, ['line', 'json', 'quiet']);
  if (mode === 'quiet') return { update() {}, stop() {} };
  const json = mode === 'json';
  const show = stream.isTTY && !json ? await bar(label, stream) : lines(stream, every);
  const [loss, pace, wait] = [smoothed(), smoothed(), smoothed()];
  let seen = false;
  return {
    update(report) {
      seen = true;
      const left = report.progress > 0 ? (report.seconds * (1 - report.progress)) / report.progress : Number.NaN;
      const secondsPerImage = pace(1 / report.imagesPerSecond);
      const waited = wait(((report.wait ?? 0) * report.imagesPerSecond) / (report.images ?? 1));
      const shown = {
        step: report.step,
        loss: loss(report.loss),
        speed: 1 / secondsPerImage,
        left,
        memory: process.memoryUsage().rss,
        wait: report.wait === undefined ? undefined : waited,
        skipped: report.skipped ?? 0,
      };
      const text = json ? jsonOf(label, unit, report, shown) : textOf(unit, shown);
      show.update(
        report.progress,
        report.seconds,
        json || stream.isTTY ? text : `${label} ${percent(report)} | ${text}`,
      );
    },
    stop() {
      if (seen) show.stop();
      seen = false;
    },
  };
}

interface Shown {
  readonly step: number;
  readonly loss: number;
  readonly speed: number;
  readonly left: number;
  readonly memory: number;
  readonly wait: number | undefined;
  readonly skipped: number;
}

const percent = ({ progress }: ShownReport): string => `${Math.floor(progress * 100)}%`;

const textOf = (unit: string, { step, loss, speed, left, memory, wait, skipped }: Shown): string =>
  [
    `step ${step}`,
    `loss ${loss.toFixed(4)}`,
    `${speed.toFixed(speed < 10 ? 2 : 0)} ${unit}/s`,
    `${duration(left)} left`,
    `${(memory / 2 ** 20).toFixed(0)} MiB`,
    ...(wait === undefined ? [] : [`waits ${(100 * wait).toFixed(0)}%`]),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
  ].join(' | ');

const jsonOf = (label: string, unit: string, { progress, seconds }: ShownReport, shown: Shown): string => {
  const { step, loss, speed, left, memory, wait = null, skipped } = shown;
  return JSON.stringify({
    label,
    step,
    progress,
    loss,
    [`${unit}PerSecond`]: speed,
    seconds,
    left,
    memory,
    wait,
    skipped,
  });
};

interface Display {
  update(progress: number, seconds: number, text: string): void;
  stop(): void;
}

async function bar(label: string, stream: TextStream): Promise<Display> {
  const { default: progress } = await import('cli-progress');
  const one: SingleBar = new progress.SingleBar(
    {
      format: `${label} {bar} {percentage}% | {text}`,
      stream: stream as NodeJS.WriteStream,
      barsize: 20,
      // Else the terminal's wrapping is off while the bar is shown, and stays so where the process is ended.
      linewrap: true,
    },
    progress.Presets.shades_classic,
  );
  let started = false;
  return {
    update(fraction, _seconds, text) {
      if (!started) one.start(1, fraction, { text });
      else one.update(fraction, { text });
      started = true;
    },
    stop: () => one.stop(),
  };
}

function lines(stream: TextStream, every: number): Display {
  let last = Number.NEGATIVE_INFINITY;
  let waiting = '';
  return {
    update(_fraction, seconds, text) {
      waiting = `${text}\n`;
      if (seconds - last < every) return;
      stream.write(waiting);
      waiting = '';
      last = seconds;
    },
    stop() {
      if (waiting) stream.write(waiting);
      waiting = '';
    },
  };
}

/** An exponential mean that weighs its first values fairly. */
function smoothed(decay = 0.98): (value: number) => number {
  let [sum, weight] = [0, 0];
  return (value) => {
    // A skipped step's loss would stay in the mean for good.
    if (!Number.isFinite(value)) return sum / weight;
    sum = decay * sum + (1 - decay) * value;
    weight = decay * weight + 1 - decay;
    return sum / weight;
  };
}

function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  return h > 0 ? `${h} h ${m} min` : m > 0 ? `${m} min ${s} s` : `${s} s`;
}
