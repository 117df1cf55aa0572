import { DamagedFile } from '@logsnr/io';
import { type Reading, withFile } from '@logsnr/io/node';

/** A file in an archive: its bytes are those of the archive from `offset` on. */
export interface Member {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
}

const BLOCK = 512;
/** Longer names, or attributes, are of no sound archive. */
const MOST = 2 ** 16;
/** Archives end with zeros, up to a whole record. */
const PADDING = 2 ** 20;

/**
 * The files of a tar archive (POSIX.1-2001, and GNU's long names), found by its headers alone: contents are passed over and nothing is
 * unpacked. `visit` is called in their order and may read.
 * @throws DamagedFile on an archive that is cut short or not sound, that has links or devices, sizes or other contents said in
 *   attributes, or names that lead out of it.
 */
export const tarMembers = (
  path: string,
  visit: (member: Member, file: Reading) => Promise<void> | void,
): Promise<void> =>
  withFile(path, async (file) => {
    const refuse = (what: string): never => {
      throw new DamagedFile(`${path} ${what}`);
    };
    let longName: string | undefined;
    for (let at = 0; ; ) {
      if (at + BLOCK > file.bytes)
        refuse(`ends after ${file.bytes} bytes without the mark of its end; is it cut short?`);
      const header = Buffer.from((await file.read(at, BLOCK)).buffer);
      if (header.every((byte) => byte === 0)) {
        const rest = file.bytes - at <= PADDING ? await file.read(at, file.bytes - at) : [1];
        if (rest.some((byte) => byte !== 0)) refuse(`goes on after the mark of its end, at byte ${at}. Make it anew.`);
        return;
      }
      if (!isHeader(header)) refuse(`has no tar header at byte ${at}; is it a tar archive, and not compressed?`);
      const [offset, bytes, type] = [at + BLOCK, sizeOf(header), String.fromCharCode(header[156] as number)];
      const name = longName ?? nameIn(header);
      if (!(bytes <= file.bytes - offset))
        refuse(`says that "${shown(name)}" has ${bytes} bytes; ${file.bytes - offset} are left. Is it cut short?`);
      at = offset + Math.ceil(bytes / BLOCK) * BLOCK;
      if ('xgL'.includes(type)) {
        if (bytes > MOST) refuse(`has a header of ${bytes} bytes at byte ${offset - BLOCK}; the most are ${MOST}.`);
        const content = new TextDecoder().decode(await file.read(offset, bytes));
        if (type === 'L') longName = textOf(content);
        else longName = attributes(content, type === 'g', refuse) ?? longName;
        continue;
      }
      longName = undefined;
      if (type === '5' || (isFile(type) && name.endsWith('/'))) continue;
      if (!isFile(type))
        refuse(
          `has ${TYPES[type] ?? `an entry of type ${JSON.stringify(type)}`}, "${shown(name)}"; files and folders alone are read. Make it anew.`,
        );
      const inside = name.replace(/^(\.\/)+/, '');
      if (inside === '' || inside.startsWith('/') || inside.split(/[\\/]/).includes('..'))
        refuse(`has a file "${shown(name)}", whose name leads out of it. Make it anew.`);
      await visit({ name: inside, offset, bytes }, file);
    }
  });

const isFile = (type: string) => type === '0' || type === '\0' || type === '7';

const TYPES: Readonly<Record<string, string>> = {
  '1': 'a link',
  '2': 'a symbolic link',
  '3': 'a device',
  '4': 'a device',
  '6': 'a pipe',
  K: 'a link',
  S: 'a file with holes',
};

const shown = (name: string) => (name.length > 200 ? `${name.slice(0, 200)}…` : name);

/** Up to the first NUL. */
const textOf = (text: string) => text.split('\0', 1)[0] as string;
const field = (header: Buffer, from: number, length: number) => textOf(header.toString('utf8', from, from + length));

/** Whether the sum of a header's bytes is the one that it says; its own place counts as blanks. */
function isHeader(header: Buffer): boolean {
  const said = Number.parseInt(field(header, 148, 8).trim(), 8);
  return header.reduce((sum, byte, i) => sum + (i >= 148 && i < 156 ? 32 : byte), 0) === said;
}

/** Octal digits; or, where the first bit is set, a binary number. NaN where it is neither. */
function sizeOf(header: Buffer): number {
  if ((header[124] as number) === 0x80) return Number(header.readBigUInt64BE(128));
  const digits = field(header, 124, 12).trim();
  return /^[0-7]*$/.test(digits) ? Number.parseInt(`0${digits}`, 8) : Number.NaN;
}

function nameIn(header: Buffer): string {
  const prefix = header.toString('latin1', 257, 263) === 'ustar\0' ? field(header, 345, 155) : '';
  return prefix === '' ? field(header, 0, 100) : `${prefix}/${field(header, 0, 100)}`;
}

/** The name in the attributes of a file, or of all files; others such as times say nothing of its bytes. */
function attributes(text: string, all: boolean, refuse: (what: string) => never): string | undefined {
  let name: string | undefined;
  for (const [, key = '', value = ''] of text.matchAll(/^\d+ ([^=\n]+)=(.*)$/gm)) {
    if (/^(size|linkpath|hdrcharset|GNU\.sparse\..*)$/.test(key) || (all && key === 'path'))
      refuse(`has the attribute "${shown(key)}", which is not read. Make it anew, by tar --format=ustar.`);
    if (key === 'path') name = value;
  }
  return name;
}
