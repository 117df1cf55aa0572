/** Where TensorFlow computes: the processor, or an NVIDIA GPU. */
export type Device = 'cpu' | 'cuda';

/** What the decisions are made from: nothing here is read from the machine by the functions below. */
export interface Machine {
  /** `process.platform`, e.g. `linux`. */
  platform: string;
  /** `process.arch`, e.g. `x64`. */
  arch: string;
  /** Whether an NVIDIA driver was found. */
  driver: boolean;
  /** Whether the processor has the instructions that TensorFlow's library is compiled to. */
  avx: boolean;
}

/** A wheel of the Python package index, pinned by the hash of its bytes. */
export interface Wheel {
  /** The package's name, e.g. `tensorflow-cpu`. */
  name: string;
  version: string;
  /** Platform tags that pip accepts for it, and for what it needs. */
  platforms: readonly string[];
  sha256: string;
  /** The hash of what is unpacked, see `contentsHash`: it tells that a cache of earlier versions is whole. */
  contents?: string;
  /** Size in MB, for the reader of the progress line. */
  megabytes: number;
  device: Device;
}

/** The TensorFlow release that is fetched when none is found. */
export const tensorflowVersion = '2.21.0';

/** The oldest TensorFlow release whose library and headers the binding is built against. */
export const oldestVersion = '2.16';

const wheels: Readonly<Record<string, Wheel>> = {
  'x64 cpu': {
    name: 'tensorflow-cpu',
    version: tensorflowVersion,
    platforms: ['manylinux_2_27_x86_64'],
    sha256: '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c',
    contents: '95cc3fbff5a58209c37bdadbb314e9dae9701536fe84a32f205b914fe0bde4e6',
    megabytes: 274,
    device: 'cpu',
  },
  'x64 cuda': {
    name: 'tensorflow',
    version: tensorflowVersion,
    platforms: ['manylinux_2_27_x86_64', 'manylinux_2_17_x86_64', 'manylinux2014_x86_64'],
    sha256: '9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124',
    megabytes: 574,
    device: 'cuda',
  },
  'arm64 cpu': {
    name: 'tensorflow',
    version: tensorflowVersion,
    platforms: ['manylinux_2_27_aarch64'],
    sha256: '4b24aca16d527a3cf1c37f720c04c484c3d20f4d0fdfa98632ac8b9f3be6eb5c',
    contents: 'a12fab53696d71b0daa2473c6eb605bafa96eabd399714a58fb23bda1e58f58e',
    megabytes: 259,
    device: 'cpu',
  },
};

/**
 * The device asked for: `asked` (an option or LOGSNR_DEVICE), else the GPU where there is a driver and a wheel for it.
 * @throws RangeError when `asked` is neither `cpu` nor `cuda`.
 */
export function chooseDevice(asked: string | undefined, machine: Machine): Device {
  if (asked === undefined || asked === '')
    return machine.driver && machine.platform === 'linux' && machine.arch === 'x64' ? 'cuda' : 'cpu';
  if (asked !== 'cpu' && asked !== 'cuda') throw new RangeError(`device is "${asked}"; it must be "cpu" or "cuda".`);
  return asked;
}

/** Why no native library can run on this machine; undefined where one can. */
export function whyNotNative({ platform, arch, avx }: Machine): string | undefined {
  if (platform !== 'linux') return `the native library is used on Linux only, and this is ${platform}`;
  if (arch === 'x64' && !avx) return 'this processor lacks AVX, which TensorFlow is compiled to use';
  return undefined;
}

/** The wheel to fetch for a device, or the reason why there is none. */
export function chooseWheel(device: Device, machine: Machine): { wheel: Wheel } | { reason: string } {
  const reason = whyNotNative(machine);
  if (reason) return { reason };
  const wheel = wheels[`${machine.arch} ${device}`];
  if (wheel) return { wheel };
  return device === 'cuda' && wheels[`${machine.arch} cpu`]
    ? { reason: `TensorFlow with CUDA is published for x64 only, and this is ${machine.arch}; use the device "cpu"` }
    : { reason: `TensorFlow is published for x64 and arm64, and this is ${machine.arch}` };
}

/** Whether `version` (such as `2.21.0` or `2.17.0rc1`) is at least `least` (such as `2.16`), by major and minor. */
export function atLeast(version: string, least: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  const [leastMajor = 0, leastMinor = 0] = least.split('.').map(Number);
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}

/** Whether a TensorFlow built for `built` can compute on `device`. One with CUDA can also use the processor. */
export const suits = (built: Device | 'unknown', device: Device): boolean => device === 'cpu' || built !== 'cpu';

/** The backends in the order in which they are tried. */
const backends = ['tensorflow', 'wasm', 'cpu'] as const;

/** A backend of TensorFlow.js that `useBackend` knows. */
export type BackendName = (typeof backends)[number];

/**
 * The backends to try: only `asked` (an option or LOGSNR_BACKEND) where one is given, else all of them.
 * @throws RangeError on an unknown name.
 */
export function chooseBackends(asked: string | undefined): readonly BackendName[] {
  if (asked === undefined || asked === '') return backends;
  const known = backends.find((name) => name === asked);
  if (!known)
    throw new RangeError(`backend is "${asked}"; it must be one of ${backends.map((name) => `"${name}"`).join(', ')}.`);
  return [known];
}
