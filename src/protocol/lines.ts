// Newline-delimited messages out of bytes, linear in the bytes and with a cap that does not depend on the chunks.

const LF = 10
const CR = 13
/** How much of a line that is too long is kept, at each end, to find out which request it answered. */
export const EDGE_BYTES = 256

export interface LineEvents {
  line(bytes: Buffer): void
  /** A line longer than the cap was passed over; its first and last bytes. Reading goes on at the next line. */
  tooLong(head: Buffer, tail: Buffer): void
}

export function createLineReader(maxBytes: number, events: LineEvents): { feed(chunk: Buffer): void; end(): void } {
  let held: Buffer[] = []
  let heldBytes = 0
  let overflow: { head: Buffer; tail: Buffer } | undefined

  const finish = (last: Buffer): void => {
    if (overflow) {
      const { head, tail } = overflow
      overflow = undefined
      return events.tooLong(head, withoutCr(edge(tail, last)).subarray(-EDGE_BYTES))
    }
    if (heldBytes + last.length > maxBytes) {
      hold(last)
      return finish(NOTHING)
    }
    const whole = held.length === 0 ? last : Buffer.concat([...held, last])
    held = []
    heldBytes = 0
    const bytes = withoutCr(whole)
    if (bytes.length > 0) events.line(bytes)
  }
  const hold = (piece: Buffer): void => {
    if (overflow) {
      overflow.tail = edge(overflow.tail, piece)
      return
    }
    held.push(piece)
    heldBytes += piece.length
    if (heldBytes <= maxBytes) return
    const whole = Buffer.concat(held)
    overflow = { head: Buffer.from(whole.subarray(0, EDGE_BYTES)), tail: edge(NOTHING, whole) }
    held = []
    heldBytes = 0
  }
  return {
    feed(chunk) {
      let from = 0
      for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, from)) {
        finish(chunk.subarray(from, at))
        from = at + 1
      }
      if (from < chunk.length) hold(chunk.subarray(from))
    },
    /** The stream ended: what was begun without a line break is a line too. */
    end() {
      if (heldBytes > 0 || overflow) finish(NOTHING)
    },
  }
}

function withoutCr(bytes: Buffer): Buffer {
  return bytes[bytes.length - 1] === CR ? bytes.subarray(0, -1) : bytes
}

const NOTHING = Buffer.alloc(0)

/** The end of what was read so far: one byte more than is told, for a carriage return may be the last of it. */
function edge(tail: Buffer, more: Buffer): Buffer {
  const kept = -EDGE_BYTES - 1
  return Buffer.from(more.length >= -kept ? more.subarray(kept) : Buffer.concat([tail, more]).subarray(kept))
}
