import { crcOf } from '@logsnr/io/node';
import protobuf from 'protobufjs/light.js';
import { type Appending, appending } from './appending.js';

// The part of TensorFlow's tensorflow/core/util/event.proto and framework/summary.proto that scalars and images need.
const Event = protobuf.Root.fromJSON({
  nested: {
    Image: {
      fields: {
        height: { type: 'int32', id: 1 },
        width: { type: 'int32', id: 2 },
        colorspace: { type: 'int32', id: 3 },
        encoded: { type: 'bytes', id: 4 },
      },
    },
    Value: {
      oneofs: { value: { oneof: ['simpleValue', 'image'] } },
      fields: {
        tag: { type: 'string', id: 1 },
        simpleValue: { type: 'float', id: 2 },
        image: { type: 'Image', id: 4 },
      },
    },
    Summary: { fields: { value: { rule: 'repeated', type: 'Value', id: 1 } } },
    SessionLog: { fields: { status: { type: 'int32', id: 1 } } },
    Event: {
      fields: {
        wallTime: { type: 'double', id: 1 },
        step: { type: 'int64', id: 2 },
        fileVersion: { type: 'string', id: 3 },
        summary: { type: 'Summary', id: 5 },
        sessionLog: { type: 'SessionLog', id: 7 },
      },
    },
  },
}).lookupType('Event');

/** CRC-32C (Castagnoli). */
export const crc32c = crcOf(0x82f63b78);

/** A picture as a PNG file's bytes. */
export interface Picture {
  readonly png: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** A file of events for TensorBoard, written a few records at a time. */
export interface EventFile extends Pick<Appending, 'flush'> {
  scalars(step: number, values: Readonly<Record<string, number>>): void;
  image(step: number, tag: string, picture: Picture): void;
}

const SESSION_START = 1;

/**
 * A file `events.out.tfevents.…` that TensorBoard reads (`tensorboard --logdir FOLDER`). Each start of a run has one of
 * its own, whose first records make TensorBoard forget what earlier files say of step `firstStep` and later, as those
 * steps are taken again.
 */
export function openEvents(path: string, firstStep: number): EventFile {
  const now = () => Date.now() / 1000;
  const { add: append, flush } = appending(path);
  const add = (event: object) => append(record(Event.encode(Event.create(event)).finish()));
  let empty = true;
  const begin = () => {
    if (empty) add({ wallTime: now(), fileVersion: 'brain.Event:2' });
    if (empty) add({ wallTime: now(), step: firstStep, sessionLog: { status: SESSION_START } });
    empty = false;
  };
  return {
    scalars(step, values) {
      begin();
      const value = Object.entries(values).map(([tag, simpleValue]) => ({ tag, simpleValue }));
      add({ wallTime: now(), step, summary: { value } });
    },
    image(step, tag, { png, width, height }) {
      begin();
      const image = { height, width, colorspace: 3, encoded: png };
      add({ wallTime: now(), step, summary: { value: [{ tag, image }] } });
    },
    flush,
  };
}

/** The framing of a TFRecord file: length (uint64), masked CRC of the length, data, masked CRC of the data. */
function record(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.length + 4);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, masked(bytes.subarray(0, 8)), true);
  bytes.set(data, 12);
  view.setUint32(12 + data.length, masked(data), true);
  return bytes;
}

/**
 * A CRC of data that may itself hold CRCs: rotated right by 15 bits, plus a constant (TensorFlow's lib/hash/crc32c.h).
 */
function masked(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
