// What people do with tools as REST, as a session of the load generator: each call is a POST, and there is nothing to open.
const failure = (kind, message = kind) => Object.assign(new Error(message), { kind })

/** `open` waits for the document, which is there when the tools are. */
export function createRestSession(target) {
  const { pool, url } = target
  const pending = new Set()
  const session = {
    foreign: 0,
    notifications: 0,
    onNotification: null,
    async open() {
      await exchange('GET', 'openapi.json', null)
      return session
    },
    // args is JSON text, as buffers: a payload of megabytes is not copied for every call
    async call(tool, args, { atLeastBytes = 0 } = {}) {
      const body = await exchange('POST', tool, args)
      if (body.length < atLeastBytes) throw failure('short', `an answer of ${body.length} bytes`)
      return { content: [{ type: 'text', text: body.toString() }] }
    },
    expireCalls(sentBeforeMs) {
      for (const one of pending) if (one.sentMs < sentBeforeMs) one.fail(failure('timeout', `no answer in ${target.timeoutMs} ms`))
    },
    async close() {
      if (!target.live.delete(session)) return
      for (const one of pending) one.fail(failure('closed'))
    },
  }
  return session

  function exchange(method, name, body) {
    return new Promise((resolve, reject) => {
      const one = { sentMs: performance.now(), fail: (error) => end(() => reject(error), true) }
      const chunks = []
      let status = 0
      pending.add(one)
      const end = (settle, aborts) => {
        if (!pending.delete(one)) return
        if (aborts) out.abort()
        settle()
      }
      const out = pool.request({
        method,
        path: `${url.pathname}${name}`,
        headers: { accept: 'application/json', ...(body && { 'content-type': 'application/json' }) },
        body,
        onHead: (code) => (status = code),
        onData: (bytes) => chunks.push(bytes),
        onEnd() {
          const whole = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)
          end(() => (status === 200 ? resolve(whole) : reject(failure(`http ${status}`, `${status} ${whole.subarray(0, 120)}`))))
        },
        onError: (error) => end(() => reject(failure('broken', error.message))),
      })
    })
  }
}
