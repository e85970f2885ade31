import { createLineSplitter } from './line-splitter.mjs'

/** Reads text/event-stream as it comes: feed it bytes, get (event name, data). Linear for events of megabytes. */
export function createSseReader(onEvent) {
  let name = ''
  let data = []
  return createLineSplitter(
    (line) => {
      const text = line.at(-1) === 13 ? line.subarray(0, -1) : line
      if (text.length === 0) {
        if (data.length > 0) onEvent(name, joined(data))
        name = ''
        data = []
      } else if (startsWith(text, DATA)) data.push(valueAfter(text, DATA))
      else if (startsWith(text, EVENT)) name = valueAfter(text, EVENT).toString()
    },
    { keepEmpty: true },
  )
}

const DATA = Buffer.from('data:')
const EVENT = Buffer.from('event:')
const SPACE = 32
const NEWLINE = Buffer.from('\n')

const startsWith = (text, field) => text.length >= field.length && text.compare(field, 0, field.length, 0, field.length) === 0
const valueAfter = (text, field) => text.subarray(field.length + (text[field.length] === SPACE ? 1 : 0))
const joined = (lines) => (lines.length === 1 ? lines[0] : Buffer.concat(lines.flatMap((line, i) => (i === 0 ? [line] : [NEWLINE, line]))))
