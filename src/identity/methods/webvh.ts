// did:webvh: a did:web whose history is a log, every entry of which is signed and bound to the one before. The library verifies;
// what it reads was fetched by us, and is small.
import { createPublicKey, verify } from 'node:crypto'

import type { Verifier } from 'didwebvh-ts'

import { OpenMcpError } from '../../errors.ts'
import { membersOf, parseJson } from '../json.ts'
import { authenticationKeysOf } from '../read-document.ts'
import type { GuardedFetch } from '../shapes.ts'
import { identifierOf, type Vid } from '../vid.ts'
import type { DidMethod } from './method.ts'
import { placeOf } from './place.ts'

type Library = typeof import('didwebvh-ts')
type Log = readonly object[]

const MOST_ENTRIES = 128
/** Every witness is asked about every entry: their product is what has to be bounded. */
const MOST_SIGNATURES = 1024
/** Outside of the documents there are only hashes, keys and times. The library decodes them in the square of their length. */
const MOST_TEXT = 512
const MOST_LIST = 64

export function createWebvhMethod({ fetch, trustLoopback }: { fetch: GuardedFetch; trustLoopback: boolean }): DidMethod {
  return {
    immutable: false,
    async resolve(vid) {
      const [scid = '', ...place] = identifierOf(vid).split(':')
      const answer = await fetch(placeOf(place, 'did.jsonl', { trustLoopback }), { accept: 'text/jsonl, application/jsonl' })
      if (answer.status !== 200) return { state: 'not_found', why: `there is no log of ${vid}` }
      const { log, asksWitnesses } = parseLog(answer.body.toString('utf8'))
      const witnessProofs = asksWitnesses ? await proofsFrom(placeOf(place, 'did-witness.json', { trustLoopback })) : []
      return verified(vid, scid, log, witnessProofs)
    },
  }

  async function proofsFrom(url: URL): Promise<readonly object[]> {
    const { status, body } = await fetch(url, { accept: 'application/json' })
    // Without proofs the library finds that the witnesses have not approved.
    if (status !== 200) return []
    const proofs = parseJson(body.toString('utf8'))
    if (!Array.isArray(proofs) || proofs.length > MOST_ENTRIES) throw invalid('the witness proofs are not a list of a reasonable length')
    return proofs.map((entry: unknown) => {
      const members = membersOf(entry)
      if (!Array.isArray(members?.get('proof'))) throw invalid('a witness proof is not as it must be')
      checkSmall(entry)
      return Object.fromEntries(members)
    })
  }
}

async function verified(vid: Vid, scid: string, log: Log, witnessProofs: readonly object[]): ReturnType<DidMethod['resolve']> {
  const { resolveDIDFromLog } = await library()
  const result = await resolveDIDFromLog(log, { scid, requestedDid: vid, witnessProofs, verifier: createVerifier() }).catch((cause: unknown) => {
    throw new OpenMcpError('identity_invalid', 'the log does not verify', { detail: cause instanceof Error ? cause.message : String(cause), cause })
  })
  // Some failures are told beside the last entry that was good: an entry that is not good ends all trust in the log.
  if (result.meta.error !== undefined) throw invalid('the log does not verify')
  if (result.meta.deactivated) return { state: 'deactivated', why: 'its log says that it is deactivated' }
  // A portable DID may have moved: then it has another name now, and this one says nothing any more.
  if (result.did !== vid) throw invalid('the log is of another DID')
  return { state: 'found', authentication: authenticationKeysOf(result.doc, vid) }
}

function parseLog(text: string): { log: Log; asksWitnesses: boolean } {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  if (lines.length === 0 || lines.length > MOST_ENTRIES) throw invalid(`a log has one to ${MOST_ENTRIES} entries`)
  const entries = lines.map((line) => {
    const entry = membersOf(parseJson(line))
    const parameters = membersOf(entry?.get('parameters'))
    if (!entry || !parameters || !membersOf(entry.get('state'))) throw invalid('an entry of the log is not as it must be')
    // The library checks every proof of an entry, and so finds nothing wrong with an entry that has none.
    if (!isList(entry.get('proof'))) throw invalid('an entry of the log is not signed')
    checkSmall(Object.fromEntries([...entry].filter(([name]) => name !== 'state')))
    return { entry: Object.fromEntries(entry), parameters }
  })
  // Drafts before 1.0 hash and witness otherwise.
  if (entries[0]?.parameters.get('method') !== 'did:webvh:1.0') throw invalid('the log is not of did:webvh:1.0')
  const asksWitnesses = entries.some(({ parameters }) => namesWitnesses(parameters))
  return { log: entries.map(({ entry }) => entry), asksWitnesses }
}

function isList(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0
}

/** The list in its place, or where drafts had it and the library still looks. */
function namesWitnesses(parameters: ReadonlyMap<string, unknown>): boolean {
  return isList(membersOf(parameters.get('witness'))?.get('witnesses')) || isList(parameters.get('witnesses'))
}

function checkSmall(value: unknown): void {
  if (typeof value === 'string' && value.length > MOST_TEXT) throw invalid('a text in the log is too long')
  if (typeof value !== 'object' || value === null) return
  const below = Object.values(value)
  if (below.length > MOST_LIST) throw invalid('a list in the log is too long')
  for (const member of below) checkSmall(member)
}

function createVerifier(): Verifier {
  let left = MOST_SIGNATURES
  return {
    async verify(signature, message, publicKey) {
      if (left-- <= 0) throw invalid('the log has too many signatures')
      const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') }, format: 'jwk' })
      return new Promise((resolve) => {
        verify(null, message, key, signature, (error, good) => resolve(!error && good))
      })
    },
  }
}

let loaded: Promise<Library> | undefined

/**
 * Under NODE_ENV=test the library writes each log that it resolves into the working directory, under a name that the peer chose.
 * It looks at the environment once, when it is loaded.
 */
async function library(): Promise<Library> {
  loaded ??= (async () => {
    const before = process.env['NODE_ENV']
    process.env['NODE_ENV'] = 'production'
    try {
      return await import('didwebvh-ts')
    } finally {
      if (before === undefined) delete process.env['NODE_ENV']
      else process.env['NODE_ENV'] = before
    }
  })()
  return loaded
}

function invalid(message: string): OpenMcpError {
  return new OpenMcpError('identity_invalid', message)
}
