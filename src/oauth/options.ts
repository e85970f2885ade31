// What an operator decides about who may call.
import type { Vid } from '../identity/vid.ts'
import type { TrustRule } from '../policy/shapes.ts'
import type { OpenWebUi } from '../tokens/open-webui.ts'
import type { TrustedIssuer } from '../tokens/trusted-issuer.ts'

export interface SecurityOptions {
  /** Directory of the node's keys: 0700, its files 0600. Made when it is not there. */
  keys: string
  /** `file:PATH` or `memory:`. */
  store: string
  trust: {
    /** Beside those in the store. */
    identities: readonly TrustRule[]
    issuers: readonly TrustedIssuer[]
    /** Whose users come in as `open-webui|ID`, where a rule of `identities` lets them. Undefined: its word is not taken. */
    openWebUi?: OpenWebUi | undefined
    /** Whether a JWT that a trusted DID signed itself is a token here. */
    selfIssued: boolean
  }
  /** Keys that let in whoever holds one, as `urn:openmcp:api-key`. Each at least 32 characters. */
  apiKeys: readonly string[]
  /** Another server that knows the API keys, and the name of the identity that we prove to it. Undefined: we know them ourselves. */
  keyServer?: { url: URL; id: string } | undefined
  /** Seconds a token lives, at most 3600. */
  tokenSeconds: number
  /** `required`: tokens are bound to a key (RFC 9449). `nonce`: and every proof carries a nonce of ours. */
  dpop: 'optional' | 'required' | 'nonce'
  /** Whether documents of DIDs and keys of issuers may be fetched from loopback, over http too. */
  trustLoopback: boolean
  /** Seconds after which the document of a DID that has something open is read again. */
  didSeconds: number
  /** Undefined: nobody is heard by TSP. */
  tsp?: TspOptions | undefined
}

/** What is given and taken by TSP: tokens (`verify`), MCP itself (`message`). */
export interface TspOptions {
  modes: readonly ('verify' | 'message')[]
  /** The name of the identity that is our endpoint. */
  id: string
  /** Where to bind, when that is not what its document says. */
  listen?: { host: string; port: number } | undefined
  /** VIDs that we speak to: related to us they may be, and for that alone they may call nothing here. */
  peers?: readonly Vid[] | undefined
}
