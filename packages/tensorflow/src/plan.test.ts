import { requirements } from '@logsnr/io/node';
import { expect, test } from 'vitest';
import { atLeast, chooseBackends, chooseDevice, chooseWheel, type Machine, suits, whyNotNative } from './plan.js';

const linux: Machine = { platform: 'linux', arch: 'x64', driver: false, avx: true };

test('the GPU is chosen where there is a driver and a wheel for it, unless the user says otherwise', () => {
  expect(chooseDevice(undefined, linux)).toBe('cpu');
  expect(chooseDevice('', { ...linux, driver: true })).toBe('cuda');
  expect(chooseDevice('cpu', { ...linux, driver: true })).toBe('cpu');
  expect(chooseDevice('cuda', linux)).toBe('cuda');
  expect(chooseDevice(undefined, { ...linux, driver: true, arch: 'arm64' })).toBe('cpu');
  expect(chooseDevice(undefined, { ...linux, driver: true, platform: 'win32' })).toBe('cpu');
  expect(() => chooseDevice('gpu', linux)).toThrow('device is "gpu"; it must be "cpu" or "cuda".');
});

test('each machine gets the wheel published for it, pinned by its hash, or a reason', () => {
  const pinned = (device: 'cpu' | 'cuda', machine: Machine) => {
    const choice = chooseWheel(device, machine);
    return 'wheel' in choice ? [choice.wheel.name, choice.wheel.device, choice.wheel.platforms[0]] : choice.reason;
  };
  expect(pinned('cpu', linux)).toEqual(['tensorflow-cpu', 'cpu', 'manylinux_2_27_x86_64']);
  expect(pinned('cuda', linux)).toEqual(['tensorflow', 'cuda', 'manylinux_2_27_x86_64']);
  expect(pinned('cpu', { ...linux, arch: 'arm64' })).toEqual(['tensorflow', 'cpu', 'manylinux_2_27_aarch64']);
  expect(pinned('cuda', { ...linux, arch: 'arm64' })).toContain('for x64 only');
  expect(pinned('cpu', { ...linux, arch: 'riscv64' })).toContain('this is riscv64');
  expect(pinned('cpu', { ...linux, platform: 'darwin' })).toContain('on Linux only, and this is darwin');
  const hashes = (['cpu', 'cuda'] as const).map((device) => {
    const choice = chooseWheel(device, linux);
    return 'wheel' in choice ? choice.wheel.sha256 : '';
  });
  for (const hash of hashes) expect(hash).toMatch(/^[0-9a-f]{64}$/);
  expect(new Set(hashes).size).toBe(2);
});

test('a processor without AVX and a system without a library are told apart from one that can', () => {
  expect(whyNotNative(linux)).toBeUndefined();
  expect(whyNotNative({ ...linux, avx: false })).toContain('lacks AVX');
  expect(whyNotNative({ ...linux, avx: false, arch: 'arm64' })).toBeUndefined();
  expect(whyNotNative({ ...linux, platform: 'win32' })).toContain('win32');
});

test('a library without CUDA does not suit the GPU; every other one suits', () => {
  expect(suits('cpu', 'cuda')).toBe(false);
  expect([suits('cpu', 'cpu'), suits('cuda', 'cpu'), suits('cuda', 'cuda'), suits('unknown', 'cuda')]).toEqual(
    Array(4).fill(true),
  );
});

test('versions compare by number, not by text', () => {
  expect(atLeast('2.16.1', '2.16')).toBe(true);
  expect(atLeast('2.9.1', '2.16')).toBe(false);
  expect(atLeast('3.0.0', '2.16')).toBe(true);
  expect(atLeast('2.17.0rc1', '2.16')).toBe(true);
  expect(atLeast('1.99', '2.16')).toBe(false);
});

test('the order of backends, and one that is forced', () => {
  expect(chooseBackends(undefined)).toEqual(['tensorflow', 'wasm', 'cpu']);
  expect(chooseBackends('')).toEqual(['tensorflow', 'wasm', 'cpu']);
  expect(chooseBackends('wasm')).toEqual(['wasm']);
  expect(() => chooseBackends('webgl')).toThrow('backend is "webgl"; it must be one of "tensorflow", "wasm", "cpu".');
});

test('requirements pin version and hash', () => {
  expect(requirements([['a', '1.2', 'ff']])).toBe('a==1.2 --hash=sha256:ff\n');
});
