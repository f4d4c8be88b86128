/** Reads what stands at a place of the log's bytes, laid out as `records` says. */
import { crc32 } from './crc32.ts';

export const RECORD_HEADER_BYTES = 8;
export const MAGIC_BYTES = Uint8Array.of(0xfe, 0x53, 0xff, 0x51);
export const MAGIC_FIRST_BYTE = 0xfe;
/** The same as one number. */
export const MAGIC = 0x51ff53fe;

/** Where the text behind the text at `at` begins. */
export const nextText = (view: DataView, at: number): number =>
  at + ((2 + view.getUint16(at, true) + 3) & ~3);

/** The bytes of the record that begins at `at`. */
export const recordBytes = (view: DataView, at: number): number => view.getUint16(at, true) * 4;
export const recordKind = (view: DataView, at: number): number => view.getUint8(at + 2);
export const recordDetail = (view: DataView, at: number): number => view.getUint8(at + 3);

/** A record's text that stands at `at`: a view of the log's bytes, valid as long as those are. */
export function recordText(bytes: Uint8Array, view: DataView, at: number): Uint8Array {
  return bytes.subarray(at + 2, at + 2 + view.getUint16(at, true));
}

export function recordSum(bytes: Uint8Array, at: number, size: number, headerSum: number): number {
  return crc32(bytes, at + 8, at + size, crc32(bytes, at, at + 4, headerSum));
}

/** A header at `at`, whole by its sum. There have to be `BATCH_HEADER_BYTES`. */
export function isHeader(bytes: Uint8Array, view: DataView, at: number): boolean {
  return view.getUint32(at, true) === MAGIC && crc32(bytes, at, at + 40) === view.getUint32(at + 40, true);
}

/** A record at `at` that ends by `end`, whole by its sum and of the batch with `headerSum`. */
export function isRecord(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  end: number,
  headerSum: number,
): boolean {
  if (at + RECORD_HEADER_BYTES > end) return false;
  const size = recordBytes(view, at);
  if (size < RECORD_HEADER_BYTES || at + size > end) return false;
  return recordSum(bytes, at, size, headerSum) === view.getUint32(at + 4, true);
}
