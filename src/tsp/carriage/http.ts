// Sends to http:// and https:// addresses, as tsp_sdk does: the message is the body of a POST, and the answer says nothing but whether
// it came through.
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'

import { OpenMcpError } from '../../errors.ts'
import { requestTo, type Egress } from './http-request.ts'
import { unreachable, unreachableFor } from './unreachable.ts'
import { createWaiting, type WaitingOptions } from './waiting.ts'

export interface HttpSenderOptions extends Egress, WaitingOptions {
  /** For everything together: to wait for those before it, to look up, to connect, to write, to be answered. */
  seconds?: number
}

export interface HttpSender {
  /** Done when it was answered with a success. Fails with `upstream_unreachable`, `egress_refused` or `busy`. */
  send(address: URL, message: Buffer): Promise<void>
  close(): void
}

const MOST_CONNECTIONS = 64
const MOST_ANSWERED_BYTES = 65_536

/** To each address one after the other, so that messages keep their order. */
export function createHttpSender({ seconds = 5, mostWaitingBytes, mostWaitingForAllBytes, ...egress }: HttpSenderOptions): HttpSender {
  const kept = { keepAlive: true, maxTotalSockets: MOST_CONNECTIONS, maxFreeSockets: 1, timeout: seconds * 1000 }
  const agents = { 'http:': new HttpAgent(kept), 'https:': new HttpsAgent(kept) }
  const waiting = createWaiting({ mostWaitingBytes, mostWaitingForAllBytes })
  const last = new Map<string, Promise<void>>()
  const stopping = new AbortController()

  async function inTurn(address: URL, act: () => Promise<void>): Promise<void> {
    // Whoever is before has less time left, so the turn comes in time.
    const turn = (last.get(address.href) ?? Promise.resolve()).then(act)
    const settled = turn.catch(() => {})
    last.set(address.href, settled)
    try {
      await turn
    } finally {
      if (last.get(address.href) === settled) last.delete(address.href)
    }
  }

  async function post(address: URL, message: Buffer, signal: AbortSignal): Promise<void> {
    const posted = await new Promise<boolean>((resolve, reject) => {
      const agent = address.protocol === 'https:' ? agents['https:'] : agents['http:']
      const req = requestTo(address, egress, { method: 'POST', headers: { 'user-agent': 'openmcp' }, agent, signal })
      let answered = false
      req.on('error', (error: NodeJS.ErrnoException) => {
        if (answered) resolve(true)
        // What was kept from before may have been closed since.
        else if (req.reusedSocket && error.code === 'ECONNRESET') resolve(false)
        else reject(unreachable(address, error))
      })
      req.on('close', () => (answered ? resolve(true) : reject(unreachableFor(address, 'it broke the connection'))))
      req.on('response', (res) => {
        const status = res.statusCode ?? 0
        if (status < 200 || status > 299) {
          reject(unreachableFor(address, `it answered ${status}`))
          return void req.destroy()
        }
        answered = true
        let bytes = 0
        res.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes > MOST_ANSWERED_BYTES) req.destroy()
        })
        res.on('error', () => {})
        res.on('close', () => resolve(true))
      })
      req.end(message)
    })
    if (!posted) await post(address, message, signal)
  }

  return {
    async send(address, message) {
      if (stopping.signal.aborted) throw new OpenMcpError('stopping', 'openmcp is stopping')
      const tooLong = new AbortController()
      const patience = setTimeout(() => tooLong.abort(), seconds * 1000)
      const signal = AbortSignal.any([tooLong.signal, stopping.signal])
      try {
        await waiting(address.host, message.length, () => inTurn(address, () => post(address, message, signal)))
      } catch (error) {
        throw tooLong.signal.aborted ? unreachableFor(address, `it took longer than ${seconds} s`, error) : error
      } finally {
        clearTimeout(patience)
      }
    },
    close() {
      stopping.abort()
      for (const agent of Object.values(agents)) agent.destroy()
    },
  }
}
