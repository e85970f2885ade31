// text/event-stream (WHATWG HTML §9.2), written and read. Linear in the bytes, whatever the chunks.
import { OpenMcpError } from '../errors.ts'
import type { Text } from './exchange.ts'

export interface ServerEvent {
  event: string
  data: string
  id: string | undefined
  retryMs: number | undefined
}

/** One event holding one message. The text has no raw line breaks, so it is one `data` line. */
export function eventOf(text: Text, id?: string): Text {
  const head = id === undefined ? 'event: message\ndata: ' : `event: message\nid: ${id}\ndata: `
  if (typeof text === 'string') return `${head}${text}\n\n`
  return [Buffer.from(head), ...text, Buffer.from('\n\n')]
}

export function sizeOf(text: Text): number {
  return typeof text === 'string' ? text.length : text.reduce((bytes, piece) => bytes + piece.length, 0)
}

const LF = 10
const CR = 13

/**
 * A reader to feed with bytes as they come. `onEvent` gets every event that has data, an id or a retry time. An event
 * larger than `maxBytes` throws `too_large` from `feed`.
 */
export function createEventReader(maxBytes: number, onEvent: (event: ServerEvent) => void): { feed(bytes: Buffer): void } {
  let held: Buffer[] = []
  let eventBytes = 0
  let event = ''
  let data: string[] = []
  let id: string | undefined
  let retryMs: number | undefined
  let sawCr = false
  let begun = false

  const dispatch = (): void => {
    if (data.length > 0 || id !== undefined || retryMs !== undefined) onEvent({ event: event === '' ? 'message' : event, data: data.join('\n'), id, retryMs })
    event = ''
    data = []
    id = retryMs = undefined
    eventBytes = 0
  }
  const line = (bytes: Buffer): void => {
    const isFirst = !begun
    begun = true
    if (bytes.length === 0) return dispatch()
    const text = isFirst ? bytes.toString().replace(/^\uFEFF/, '') : bytes.toString()
    const colon = text.indexOf(':')
    if (colon === 0) return
    const field = colon < 0 ? text : text.slice(0, colon)
    const value = colon < 0 ? '' : text.slice(text.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1)
    if (field === 'data') data.push(value)
    else if (field === 'event') event = value
    else if (field === 'id' && !value.includes('\0')) id = value
    else if (field === 'retry' && /^\d{1,9}$/.test(value)) retryMs = Number(value)
  }
  const take = (bytes: Buffer): Buffer => {
    if (held.length === 0) return bytes
    held.push(bytes)
    const whole = Buffer.concat(held)
    held = []
    return whole
  }
  return {
    feed(bytes) {
      let from = 0
      while (from < bytes.length) {
        if (sawCr && bytes[from] === LF) from++
        sawCr = false
        const at = nextBreak(bytes, from)
        const end = at < 0 ? bytes.length : at
        eventBytes += end - from
        if (eventBytes > maxBytes) throw new OpenMcpError('too_large', `an event of the upstream is larger than ${maxBytes} bytes`)
        if (at < 0) {
          if (end > from) {
            held.push(bytes.subarray(from))
          }
          return
        }
        line(take(bytes.subarray(from, at)))
        sawCr = bytes[at] === CR
        from = at + 1
      }
    },
  }
}

function nextBreak(bytes: Buffer, from: number): number {
  const lf = bytes.indexOf(LF, from)
  const cr = (lf < 0 ? bytes : bytes.subarray(0, lf)).indexOf(CR, from)
  return cr >= 0 ? cr : lf
}
