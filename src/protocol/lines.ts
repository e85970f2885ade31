// Newline-delimited messages out of bytes, linear in the bytes and with a cap that does not depend on the chunks.

const LF = 10
const CR = 13
/** How much of a line that is too long is kept, at each end, to find out which request it answered. */
const EDGE_BYTES = 256

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
      return events.tooLong(head, edge(tail, last))
    }
    if (heldBytes + last.length > maxBytes) {
      hold(last)
      return finish(Buffer.alloc(0))
    }
    const whole = held.length === 0 ? last : Buffer.concat([...held, last])
    held = []
    heldBytes = 0
    const bytes = whole[whole.length - 1] === CR ? whole.subarray(0, -1) : whole
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
    overflow = { head: Buffer.from(whole.subarray(0, EDGE_BYTES)), tail: Buffer.from(whole.subarray(-EDGE_BYTES)) }
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
      if (heldBytes > 0 || overflow) finish(Buffer.alloc(0))
    },
  }
}

function edge(tail: Buffer, more: Buffer): Buffer {
  return Buffer.from(more.length >= EDGE_BYTES ? more.subarray(-EDGE_BYTES) : Buffer.concat([tail, more]).subarray(-EDGE_BYTES))
}
