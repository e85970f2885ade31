// fetch for what goes the same way as requests to an upstream: its issuers, and whoever looks at it.
import type { Agent } from 'undici'

import { connectorOf, type Way } from './way.ts'

type Fetch = typeof globalThis.fetch

/** Without a way of its own it is Node's own fetch. Redirects are for whoever asks to allow: no header is kept back here. */
export function fetchOver(way: Way | undefined, { connectSeconds }: { connectSeconds: number }): Fetch {
  if (!way || (!way.trust && !way.proxies)) return globalThis.fetch
  let dispatcher: Agent | undefined
  return async (input, init) => {
    // Loaded by the first request: with all that it brings it is slow to start.
    const undici = await import('undici')
    dispatcher ??= new undici.Agent({ connect: connectorOf(way, { connectSeconds }) })
    const { url, method, headers } = input instanceof Request ? input : { url: input, method: undefined, headers: undefined }
    // Node's fetch is undici's, and its types are of another version of it.
    const more = { ...(method !== undefined && { method, headers }), ...init, dispatcher } as Parameters<typeof undici.fetch>[1]
    return undici.fetch(url, more)
  }
}
