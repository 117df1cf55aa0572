import { createHash } from 'node:crypto';
import type { Draw } from './fuzz-operations-cases.js';

type Files = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
type Spoiling = (bytes: Buffer, draw: Draw, name: string, files: Files) => Buffer;

const numbers = [
  '0',
  '-1',
  '-0',
  '1.5',
  '1e400',
  '-1e400',
  '4294967296',
  '9007199254740993',
  '1'.repeat(400),
  '',
  'NaN',
];
const long = `"${'x'.repeat(1e6)}"`;
const names = [
  long,
  '"__proto__"',
  '"constructor"',
  '"__metadata__"',
  '"toString"',
  '""',
  '"\\ud800"',
  '"../x"',
  '"/dev/zero"',
];
const nested = (open: string, close: string) => open.repeat(50_000) + close.repeat(50_000);
const values = ['null', 'true', '[]', '{}', nested('[', ']'), nested('{"a":', '1}'), '['.repeat(1e5), long];
const words = [0, 1, 0x7f, 0x80, 0x7fffffff, 0x80000000, 0xffffffff];

const spoilings: Readonly<Record<string, Spoiling>> = {
  'bits flipped'(bytes, draw) {
    for (let n = draw.whole(1, 4); n > 0 && bytes.length > 0; n--) {
      const at = draw.whole(0, bytes.length - 1);
      bytes[at] = (bytes[at] as number) ^ (1 << draw.whole(0, 7));
    }
    return bytes;
  },
  'cut short': (bytes, draw) => bytes.subarray(0, draw.whole(0, bytes.length)),
  extended: (bytes, draw) => Buffer.concat([bytes, Buffer.alloc(draw.whole(1, 64), draw.whole(0, 255))]),
  'a piece taken out'(bytes, draw) {
    const [from, to] = piece(bytes, draw);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
  },
  'a piece put in from elsewhere'(bytes, draw, _name, files) {
    const other = Buffer.from(draw.one([...files.values()]));
    const [from, to] = piece(other, draw);
    const at = draw.whole(0, bytes.length);
    const rest = draw.chance(0.5) ? at : Math.min(bytes.length, at + to - from);
    return Buffer.concat([bytes.subarray(0, at), other.subarray(from, to), bytes.subarray(rest)]);
  },
  'another file in its place': (_bytes, draw, _name, files) => Buffer.from(draw.one([...files.values()])),
  'a word changed'(bytes, draw) {
    if (bytes.length < 4) return bytes;
    const at = 4 * draw.whole(0, Math.min(8, Math.floor(bytes.length / 4) - 1));
    if (draw.chance(0.5)) bytes.writeUInt32BE(draw.one(words), at);
    else bytes.writeUInt32LE(draw.one(words), at);
    return bytes;
  },
  'a number changed': (bytes, draw, name) =>
    inText(bytes, draw, name, /-?\d[\d.e+]*/g, (found) =>
      draw.chance(0.5) ? draw.one(numbers) : String(Number(found) + draw.one([-1, 1])),
    ),
  'a name changed': (bytes, draw, name) =>
    inText(bytes, draw, name, /"(?:[^"\\]|\\.)*"(?=:)/g, (_found, all) => draw.one([...names, ...all])),
  'a value changed': (bytes, draw, name) =>
    inText(bytes, draw, name, /(?<=:)(?:"(?:[^"\\]|\\.)*"|[^,"{}]+)/g, (_found, all) => draw.one([...values, ...all])),
};

/** What a case does to a file, in words, and the file then. */
export function spoil(name: string, files: Files, draw: Draw): [string, Buffer] {
  const how = draw.one(Object.keys(spoilings));
  const bytes = Buffer.from(files.get(name) ?? []);
  const spoilt = spoilings[how]?.(bytes, draw, name, files) ?? bytes;
  return name.endsWith('manifest.json') && draw.chance(0.5)
    ? [`${how}, signed anew`, signedAnew(spoilt)]
    : [how, spoilt];
}

/** One place of a text that `pattern` finds is changed. In a safetensors file that text is the header. */
function inText(
  bytes: Buffer,
  draw: Draw,
  name: string,
  pattern: RegExp,
  change: (found: string, all: string[]) => string,
) {
  const header = name.endsWith('.safetensors') && bytes.length > 8;
  const [from, to] = header ? [8, Math.min(bytes.length, 8 + bytes.readUInt32LE(0))] : [0, bytes.length];
  const text = bytes.toString('latin1', from, to);
  const found = [...text.matchAll(pattern)];
  if (found.length === 0) return bytes;
  const { 0: old, index } = draw.one(found);
  const all = found.map(([match]) => match);
  const changed = `${text.slice(0, index)}${change(old, all)}${text.slice(index + old.length)}`;
  const first = Buffer.from(bytes.subarray(0, from));
  if (header && draw.chance(0.8)) first.writeUInt32LE(changed.length, 0);
  return Buffer.concat([first, Buffer.from(changed, 'latin1'), bytes.subarray(to)]);
}

function piece(bytes: Buffer, draw: Draw): [number, number] {
  const from = draw.whole(0, bytes.length);
  return [from, Math.min(bytes.length, from + draw.whole(1, 64))];
}

/** A manifest with the checksum of what it says now, so that the reader looks at the contents. */
function signedAnew(bytes: Buffer): Buffer {
  try {
    const { contents } = JSON.parse(bytes.toString());
    const sha256 = createHash('sha256').update(JSON.stringify(contents)).digest('hex');
    return Buffer.from(JSON.stringify({ sha256, contents }));
  } catch {
    return bytes;
  }
}
