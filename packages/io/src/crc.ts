import * as zlib from 'node:zlib';

/** The checksum of bytes, or of more bytes after those whose checksum is `before`. */
export type Crc = (bytes: Uint8Array, before?: number) => number;

/** The cyclic redundancy check of 32 bits by a reflected polynomial, such as 0x82f63b78 of CRC-32C (RFC 3720, appendix B.4). */
export function crcOf(polynomial: number): Crc {
  const table = Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    return crc;
  });
  return (bytes, before = 0) => {
    let crc = ~before;
    for (const byte of bytes) crc = (table[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
    return ~crc >>> 0;
  };
}

/** CRC-32 of zip files. Node has it in C from 20.15 on. */
export const crc32: Crc = zlib.crc32 ?? crcOf(0xedb88320);
