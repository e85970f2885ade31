// A keep-alive HTTP/1.1 client straight on node:net: about a third of the CPU of node:http, so that the generator takes less of
// the cores it shares with what it measures. It trusts the loopback peers it is pointed at and is no client for anything else.
import net from 'node:net'

// A server closes a connection that lay idle (Node after 5 s); it must not do so while we write to it.
const REUSE_WITHIN_MS = 2500
const SMALL_BODY = 4096
const HEAD_END = Buffer.from('\r\n\r\n')
const NEED_MORE = -1

/**
 * Builds `{ request, close }`. `request({ method, path, headers, body: Buffer[] | null, lastOnConnection, onHead(status, headers),
 * onData(bytes), onEnd(), onError(error) })` returns `{ abort }`; exactly one of onEnd and onError is called unless aborted.
 */
export function createPool(url) {
  const { hostname, port, host } = new URL(url)
  const idle = []
  const open = new Set()

  return {
    request(exchange) {
      const connection = freshest() ?? connect()
      start(connection, exchange)
      return {
        abort() {
          if (connection.exchange === exchange) drop(connection)
        },
      }
    },
    close() {
      for (const connection of open) drop(connection)
      open.clear()
      idle.length = 0
    },
  }

  function freshest() {
    for (let connection = idle.pop(); connection; connection = idle.pop()) {
      if (connection.dead) continue
      if (performance.now() - connection.idleSinceMs < REUSE_WITHIN_MS) return connection
      drop(connection)
    }
    return null
  }

  function connect() {
    const socket = net.connect({ host: hostname, port: Number(port), noDelay: true })
    const connection = {
      socket,
      host,
      exchange: null,
      unread: null,
      step: readHead,
      left: 0,
      keepAlive: true,
      dead: false,
      idleSinceMs: 0,
      release: () => idle.push(connection),
    }
    socket.on('data', (bytes) => read(connection, bytes))
    socket.on('error', (error) => fail(connection, error))
    socket.on('close', () => {
      open.delete(connection)
      ended(connection)
    })
    open.add(connection)
    return connection
  }
}

function start(connection, exchange) {
  connection.exchange = exchange
  connection.step = readHead
  const { socket } = connection
  const { method, path, headers, body } = exchange
  let head = `${method} ${path} HTTP/1.1\r\nhost: ${connection.host}\r\n`
  for (const name in headers) if (headers[name] !== undefined) head += `${name}: ${headers[name]}\r\n`
  if (!body) return socket.write(`${head}\r\n`, 'latin1')

  const length = body.reduce((sum, part) => sum + part.length, 0)
  head += `content-length: ${length}\r\n\r\n`
  if (length < SMALL_BODY) return socket.write(Buffer.concat([Buffer.from(head, 'latin1'), ...body]))
  socket.cork()
  socket.write(head, 'latin1')
  for (const part of body) socket.write(part)
  return socket.uncork()
}

// Each step reads from `at` and returns where the next one begins, or NEED_MORE when the bytes are not all there yet.
function read(connection, chunk) {
  const bytes = connection.unread ? Buffer.concat([connection.unread, chunk]) : chunk
  connection.unread = null
  let at = 0
  while (at < bytes.length) {
    if (!connection.exchange) {
      if (!connection.dead) fail(connection, new Error('bytes without a request'))
      return
    }
    const next = connection.step(connection, bytes, at)
    if (next === NEED_MORE) {
      connection.unread = bytes.subarray(at)
      return
    }
    at = next
  }
}

function readHead(connection, bytes, at) {
  const end = bytes.indexOf(HEAD_END, at)
  if (end === -1) return NEED_MORE
  const [statusLine, ...lines] = bytes.latin1Slice(at, end).split('\r\n')
  const status = Number(statusLine.slice(9, 12))
  if (status === 100) return end + HEAD_END.length

  const headers = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  connection.keepAlive = !/close/i.test(headers.connection ?? '')
  const { exchange } = connection
  exchange.onHead?.(status, headers)
  if (connection.exchange !== exchange) return bytes.length // aborted by the one who asked

  connection.left = Number(headers['content-length'] ?? 0)
  if (status === 204 || status === 304) connection.left = 0
  else if (/chunked/i.test(headers['transfer-encoding'] ?? '')) connection.step = readChunkSize
  else if (headers['content-length'] === undefined) connection.step = readUntilClosed
  else connection.step = readSized
  if (connection.step === readHead || (connection.step === readSized && connection.left === 0)) finish(connection)
  return end + HEAD_END.length
}

function readSized(connection, bytes, at) {
  const next = handOver(connection, bytes, at)
  if (connection.left === 0 && connection.exchange) finish(connection)
  return next
}

function readChunkSize(connection, bytes, at) {
  const end = bytes.indexOf(10, at)
  if (end === -1) return NEED_MORE
  connection.left = Number.parseInt(bytes.latin1Slice(at, end), 16)
  connection.step = connection.left === 0 ? readTrailer : readChunk
  return end + 1
}

function readChunk(connection, bytes, at) {
  const next = handOver(connection, bytes, at)
  if (connection.left === 0) connection.step = readChunkEnd
  return next
}

function readChunkEnd(connection, bytes, at) {
  if (bytes.length - at < 2) return NEED_MORE
  connection.step = readChunkSize
  return at + 2
}

function readTrailer(connection, bytes, at) {
  const end = bytes.indexOf(10, at)
  if (end === -1) return NEED_MORE
  if (end - at <= 1) finish(connection)
  return end + 1
}

function readUntilClosed(connection, bytes, at) {
  connection.exchange.onData?.(bytes.subarray(at))
  return bytes.length
}

function handOver(connection, bytes, at) {
  const next = Math.min(at + connection.left, bytes.length)
  connection.left -= next - at
  connection.exchange.onData?.(bytes.subarray(at, next))
  return next
}

function finish(connection) {
  const { exchange } = connection
  connection.exchange = null
  connection.step = readHead
  if (connection.keepAlive && !connection.dead && !exchange.lastOnConnection) {
    connection.idleSinceMs = performance.now()
    connection.release()
  } else drop(connection)
  exchange.onEnd?.()
}

function drop(connection) {
  connection.dead = true
  connection.exchange = null
  connection.socket.destroy()
}

function fail(connection, error) {
  const { exchange } = connection
  drop(connection)
  exchange?.onError?.(error)
}

function ended(connection) {
  const { exchange, step } = connection
  drop(connection)
  if (!exchange) return
  if (step === readUntilClosed) exchange.onEnd?.()
  else exchange.onError?.(Object.assign(new Error('connection closed before the answer ended'), { code: 'EARLYCLOSE' }))
}
