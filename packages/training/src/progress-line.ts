import type { SingleBar } from 'cli-progress';
import type { StepReport } from './optimize.js';

/** Such as `process.stderr`. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

export interface ProgressLineOptions {
  /** Shown in front. "training" unless given. */
  readonly label?: string;
  /** What the speed counts. "images" unless given. */
  readonly unit?: string;
  /** Where to write: standard error unless given. */
  readonly stream?: TextStream;
  /** Seconds between lines where `stream` is not a terminal. 10 unless given. */
  readonly every?: number;
}

/** A line that shows how a run goes. */
export interface ProgressLine {
  update(report: Pick<StepReport, 'step' | 'loss' | 'progress' | 'seconds' | 'imagesPerSecond'>): void;
  /** Shows the last report and ends the line. */
  stop(): void;
}

/**
 * Shows steps, the loss and the speed (both smoothed over about 50 steps) and the time left: as a bar that is redrawn on
 * a terminal, else as a plain line every ten seconds. Writes to standard error, so that a program's own output stays clean.
 * Use it as `onStep: progress.update`.
 */
export async function progressLine(options: ProgressLineOptions = {}): Promise<ProgressLine> {
  const { label = 'training', unit = 'images', stream = process.stderr, every = 10 } = options;
  const show = stream.isTTY ? await bar(label, stream) : lines(label, stream, every);
  const [loss, pace] = [smoothed(), smoothed()];
  let seen = false;
  return {
    update(report) {
      seen = true;
      const left = report.progress > 0 ? (report.seconds * (1 - report.progress)) / report.progress : Number.NaN;
      const secondsPerImage = pace(1 / report.imagesPerSecond);
      const speed = 1 / secondsPerImage;
      show.update(
        report.progress,
        report.seconds,
        `step ${report.step} | loss ${loss(report.loss).toFixed(4)} | ${speed.toFixed(speed < 10 ? 2 : 0)} ${unit}/s | ${duration(left)} left`,
      );
    },
    stop() {
      if (seen) show.stop();
      seen = false;
    },
  };
}

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
      hideCursor: true,
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

function lines(label: string, stream: TextStream, every: number): Display {
  let last = Number.NEGATIVE_INFINITY;
  let waiting = '';
  return {
    update(fraction, seconds, text) {
      waiting = `${label} ${Math.floor(fraction * 100)}% | ${text}\n`;
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
