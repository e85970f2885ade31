// Names the revisions before ours: no two of them can talk, and a person has to hear why nothing comes through.
import { text } from './cesr.ts'

const REV_1 = text('XAAA')
const REV_2 = text('YTSP-AAB')

/** In words for a log; undefined for everything else, ours included. What looks like it may still be nonsense. */
export function olderRevisionOf(bytes: Buffer): string | undefined {
  // The code of the frame has three or six bytes.
  for (const at of [3, 6]) {
    if (startsWith(bytes, REV_2, at)) return 'revision 2 (YTSP-AAB), as tsp_sdk 0.9 writes it'
    if (startsWith(bytes, REV_1, at)) return 'revision 1 (XAAA), as tsp_sdk 0.8 writes it'
  }
  return undefined
}

function startsWith(bytes: Buffer, start: Buffer, at: number): boolean {
  return bytes.subarray(at, at + start.length).equals(start)
}
