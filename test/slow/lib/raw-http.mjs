// HTTP as bytes: what is sent need not be HTTP, what comes back must be.
import { connect } from 'node:net'

/**
 * Sends bytes in these pieces and reads until the other side closes. A side that neither answers nor closes within
 * `patienceMs` is told that nothing more will come; one that does not close then within `limitMs` hangs.
 */
export function exchangeBytes(origin, pieces, { patienceMs, limitMs, leaveAfterMs }) {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(origin)
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
    const received = []
    let size = 0
    let hasEnded = false
    let timer
    const finish = (how) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ how, bytes: Buffer.concat(received) })
    }
    const hang = () => finish('hang')
    const patience = () => {
      clearTimeout(timer)
      timer = setTimeout(() => {
        hasEnded = true
        socket.end()
        timer = setTimeout(hang, limitMs)
      }, patienceMs)
    }
    socket.on('connect', () => {
      for (const piece of pieces) socket.write(piece)
      if (leaveAfterMs !== undefined) timer = setTimeout(() => finish('left'), leaveAfterMs)
      else patience()
    })
    socket.on('data', (bytes) => {
      size += bytes.length
      if (size < 10_000_000) received.push(bytes)
      if (!hasEnded && leaveAfterMs === undefined) patience()
    })
    socket.on('end', () => finish(hasEnded ? 'closed late' : 'closed'))
    // Whoever sends nonsense is cut off.
    socket.on('error', (error) => finish(error.code === 'ECONNREFUSED' ? 'refused' : hasEnded ? 'closed late' : 'closed'))
  })
}

/** The answers in what was received; `isWhole` is false for the last one when it was cut off. */
export function answersIn(bytes, method) {
  const answers = []
  let rest = bytes.toString('latin1')
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n')
    const head = /^HTTP\/1\.1 (\d{3}) [^\r\n]*((?:\r\n[^\r\n]+)*)$/.exec(rest.slice(0, Math.max(end, 0)))
    if (!head) return [...answers, { status: undefined, headers: {}, body: rest, isWhole: end >= 0 }]
    const status = Number(head[1])
    const headers = Object.fromEntries([...head[2].matchAll(/\r\n([^:]+): ?([^\r\n]*)/g)].map(([, name, value]) => [name.toLowerCase(), value]))
    const { body, isWhole, after } = bodyIn(rest.slice(end + 4), headers, method === 'HEAD' || status < 200 || status === 204)
    answers.push({ status, headers, body: Buffer.from(body, 'latin1').toString(), isWhole })
    rest = after
  }
  return answers
}

function bodyIn(text, headers, hasNone) {
  if (hasNone) return { body: '', isWhole: true, after: text }
  const length = headers['content-length']
  if (length !== undefined) return { body: text.slice(0, Number(length)), isWhole: text.length >= Number(length), after: text.slice(Number(length)) }
  if (headers['transfer-encoding'] !== 'chunked') return { body: text, isWhole: true, after: '' }
  let body = ''
  for (let at = 0; ;) {
    const line = text.indexOf('\r\n', at)
    const size = Number.parseInt(text.slice(at, line), 16)
    if (line < 0 || !(size >= 0) || text.length < line + 4 + size) return { body, isWhole: false, after: '' }
    if (size === 0) return { body, isWhole: true, after: text.slice(line + 4) }
    body += text.slice(line + 2, line + 2 + size)
    at = line + 4 + size
  }
}
