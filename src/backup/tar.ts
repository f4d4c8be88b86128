/**
 * As much of the tar format (POSIX ustar) as a backup needs: regular files, one after the other. `tar` lists
 * and unpacks what is written here.
 *
 *     file    header of 512 bytes · its bytes, filled up with zeros to whole blocks of 512
 *     end     two blocks of zeros
 */
import assert from 'node:assert/strict';

export const tarBlockBytes = 512;

/** The largest size that eleven octal digits hold; a larger one is binary, as GNU tar does it. */
const OCTAL_MAX = 8 ** 11 - 1;
const SIZE_AT = 124;
const SUM_AT = 148;
const MAGIC_AT = 257;

/** The zeros that fill a file of `size` bytes up to whole blocks. */
export const tarPadding = (size: number): number => (tarBlockBytes - (size % tarBlockBytes)) % tarBlockBytes;

/** The header of a file. `name`: ASCII, at most 100 bytes. */
export function tarHeader(name: string, size: number, modifiedAtMs: number): Buffer {
  assert(/^[\x21-\x7e]{1,100}$/.test(name));
  const header = Buffer.alloc(tarBlockBytes);
  const octal = (value: number, at: number, digits: number): void =>
    void header.write(value.toString(8).padStart(digits, '0'), at, 'latin1');
  header.write(name, 0, 'latin1');
  octal(0o600, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  if (size <= OCTAL_MAX) octal(size, SIZE_AT, 11);
  else {
    header[SIZE_AT] = 0x80;
    header.writeBigUInt64BE(BigInt(size), SIZE_AT + 4);
  }
  octal(Math.floor(modifiedAtMs / 1000), 136, 11);
  header.write('0', 156, 'latin1');
  header.write('ustar\x0000', MAGIC_AT, 'latin1');
  octal(sumOf(header), SUM_AT, 6);
  header[SUM_AT + 6] = 0;
  header[SUM_AT + 7] = 0x20;
  return header;
}

/** What a header says; undefined: the archive ends here. Throws where it is not one of a regular file. */
export function readTarHeader(header: Buffer): { readonly name: string; readonly size: number } | undefined {
  if (header.every(byte => byte === 0)) return undefined;
  const isTar =
    header.length === tarBlockBytes && header.toString('latin1', MAGIC_AT, MAGIC_AT + 5) === 'ustar';
  const isFile = header[156] === 0x30;
  if (
    !isTar ||
    !isFile ||
    Number.parseInt(header.toString('latin1', SUM_AT, SUM_AT + 6), 8) !== sumOf(header)
  )
    throw new Error('no header of a file where one has to be');
  const name = header.toString('latin1', 0, Math.max(0, header.indexOf(0)));
  const isBinary = header[SIZE_AT] === 0x80;
  const size = isBinary
    ? Number(header.readBigUInt64BE(SIZE_AT + 4))
    : Number.parseInt(header.toString('latin1', SIZE_AT, SIZE_AT + 11), 8);
  if (!Number.isSafeInteger(size) || size < 0) throw new Error(`${name} has no size`);
  return { name, size };
}

/** All bytes of a header, those of the sum taken for spaces. */
function sumOf(header: Buffer): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < tarBlockBytes; at++) if (at < SUM_AT || at >= SUM_AT + 8) sum += header[at]!;
  return sum;
}
