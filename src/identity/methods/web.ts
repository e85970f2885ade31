// did:web: the document lies at a place that the DID names, and is only as good as the TLS of its host.
import { parseJson } from '../json.ts'
import type { GuardedFetch } from '../shapes.ts'
import { identifierOf } from '../vid.ts'
import { foundIn, type DidMethod } from './method.ts'
import { placeOf } from './place.ts'

export function createWebMethod({ fetch, trustLoopback }: { fetch: GuardedFetch; trustLoopback: boolean }): DidMethod {
  return {
    immutable: false,
    async resolve(vid) {
      const url = placeOf(identifierOf(vid).split(':'), 'did.json', { trustLoopback })
      const { status, body } = await fetch(url, { accept: 'application/did+json, application/json' })
      if (status !== 200) return { state: 'not_found', why: `there is no document at ${url.host}` }
      const document = parseJson(body.toString('utf8'))
      return foundIn(document, vid)
    },
  }
}
