// A host of DID documents on loopback, which answers as it is told: with a document, a status, or not at all.
import { createServer, type ServerResponse } from 'node:http'
import { nodeKey, signerOf, type Signer } from './did.ts'
import type { Json } from './json.ts'

/** A document, a status without one, or anything else that can be done with a response. */
export type Hosted = Json | number | ((res: ServerResponse) => void)

export interface DidHost {
  readonly origin: string
  /** did:web of a name that is hosted here. */
  did(name: string): string
  /** What is answered from now on. */
  host(name: string, hosted: Hosted): void
  /** A fresh identity whose document is hosted. */
  identity(name: string): Signer & { readonly document: Json & { readonly verificationMethod: readonly Json[] } }
  /** Paths asked for so far. */
  readonly asked: readonly string[]
  stop(): Promise<void>
}

export async function didHost(): Promise<DidHost> {
  const hosted = new Map<string, Hosted>()
  const asked: string[] = []
  const server = createServer((req, res) => {
    const path = req.url ?? ''
    asked.push(path)
    const found = hosted.get(path) ?? 404
    if (typeof found === 'function') return found(res)
    if (typeof found === 'number') return void res.writeHead(found).end()
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(found))
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('a TCP listener has an address')
  const did = (name: string): string => `did:web:127.0.0.1%3A${address.port}:${name}`
  const host = (name: string, what: Hosted): void => void hosted.set(name.startsWith('/') ? name : `/${name}/did.json`, what)
  return {
    origin: `http://127.0.0.1:${address.port}`,
    did,
    host,
    identity(name) {
      const key = nodeKey('EdDSA')
      const id = did(name)
      const document = {
        id,
        verificationMethod: [{ id: `${id}#key`, type: 'JsonWebKey', controller: id, publicKeyJwk: { ...key.publicJwk } }],
        authentication: [`${id}#key`],
      }
      host(name, document)
      return { ...signerOf(id, `${id}#key`, key), document }
    },
    asked,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
