// The official SDK's client, for everything up to 2025-11-25.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { McpError, ResultSchema } from '@modelcontextprotocol/sdk/types.js'
import { JsonRpcRefusal, type Ask, listAll, serverOf, type Found, type Watch } from './found.ts'
import { readVersion } from '../version.ts'

/** The deadline of the whole test is what ends a request, not one of the SDK's. */
const UNBOUNDED_MS = 2 ** 31 - 1

/** Connects, lists what is there, and leaves, saying goodbye where a server remembers its sessions. Throws as the SDK does. */
export async function inspectLegacy(
  transport: Transport,
  { signal, now }: Pick<Watch, 'signal' | 'now'>,
  goodbye = async () => {},
): Promise<Omit<Found, 'transport' | 'revisions'>> {
  const client = new Client({ name: 'openmcp-test', version: readVersion() })
  const seen = observe(transport, now)
  const options = { signal, timeout: UNBOUNDED_MS }
  const started = now()
  try {
    await unlessAborted(signal, client.connect(transport, options))
    const connected = now()
    const ask: Ask = (method, params) => unlessAborted(signal, client.request({ method, params }, ResultSchema, options)).catch(asRefusal)
    const capabilities = { ...client.getServerCapabilities() }
    const { counts, listMs } = await listAll(ask, capabilities, now)
    const openedAt = seen.openedAt ?? started
    await unlessAborted(signal, goodbye()).catch(() => {})
    return {
      server: serverOf(client.getServerVersion()),
      protocol: seen.protocol ?? 'unknown',
      capabilities,
      counts,
      times: { connectMs: openedAt - started, initializeMs: connected - openedAt, listMs },
    }
  } finally {
    await client.close()
  }
}

/** What the client does not tell: when the transport was open, and which revision was agreed on. */
function observe(transport: Transport, now: () => number): { openedAt?: number; protocol?: string } {
  const seen: { openedAt?: number; protocol?: string } = {}
  const start = transport.start.bind(transport)
  const setProtocolVersion = transport.setProtocolVersion?.bind(transport)
  transport.start = async () => {
    await start()
    seen.openedAt = now()
  }
  transport.setProtocolVersion = (version) => {
    seen.protocol = version
    setProtocolVersion?.(version)
  }
  return seen
}

function asRefusal(error: unknown): never {
  throw error instanceof McpError ? new JsonRpcRefusal(error.code, error.message) : error
}

/** Not every wait of the SDK knows signals: opening an event stream, for one. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  // Work that nobody waits for any more may fail unheard.
  work.catch(() => {})
  signal.throwIfAborted()
  return new Promise<T>((resolve, reject) => {
    const stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
