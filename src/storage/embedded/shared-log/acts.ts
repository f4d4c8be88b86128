/** An operator's act as the log has it. */
import type { ActKind } from '../../acts.ts';
import { ACT_KINDS } from '../../acts.ts';
import type { LogBytes } from './decoder.ts';
import { nextText, recordText } from './records.ts';

export interface OrderedAct {
  /** Where its batch begins. */
  readonly position: number;
  /** 16 bytes. */
  readonly id: Uint8Array;
  readonly kind: ActKind;
  readonly atMs: number;
  readonly who: string;
  readonly text: string;
}

const utf8 = new TextDecoder();

/** The act in the record at `at`. */
export function actAt({ bytes, view }: LogBytes, at: number, position: number): OrderedAct {
  return {
    position,
    id: bytes.slice(at + 8, at + 24),
    kind: ACT_KINDS[view.getUint8(at + 53)] as ActKind,
    atMs: view.getFloat64(at + 40, true),
    who: utf8.decode(recordText(bytes, view, at + 64)),
    text: utf8.decode(recordText(bytes, view, nextText(view, at + 64))),
  };
}
