// did:webvh: a did:web whose history is a log, every entry of which is signed and bound to the one before. The library verifies;
// what it reads was fetched by us, and is small.
import type { Verifier } from 'didwebvh-ts'

import { OpenMcpError } from '../../errors.ts'
import { fromBase58 } from '../base58.ts'
import { membersOf, parseJson } from '../json.ts'
import { publicKeyOfMultibase } from '../public-key.ts'
import type { GuardedFetch } from '../shapes.ts'
import { verifySignature } from '../signature.ts'
import { identifierOf, type Vid } from '../vid.ts'
import { foundIn, type DidMethod } from './method.ts'
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
    return Promise.all(proofs.map(approvalsIn))
  }
}

/**
 * The same entry with the proofs in it that are good. The others count for nothing, and the library would print on the terminal what
 * the peer wrote into them.
 */
async function approvalsIn(entry: unknown): Promise<object> {
  const members = membersOf(entry)
  const [versionId, proofs] = [members?.get('versionId'), members?.get('proof')]
  if (typeof versionId !== 'string' || !Array.isArray(proofs)) throw invalid('a witness proof is not as it must be')
  checkSmall(entry)
  const good = await Promise.all(proofs.map((proof: unknown) => isApproval(versionId, membersOf(proof))))
  return { versionId, proof: proofs.filter((_proof, index) => good[index]) }
}

async function isApproval(versionId: string, proof: ReadonlyMap<string, unknown> | undefined): Promise<boolean> {
  if (proof?.get('type') !== 'DataIntegrityProof' || proof.get('proofPurpose') !== 'assertionMethod' || proof.get('cryptosuite') !== 'eddsa-jcs-2022')
    return false
  const [, multibase] = /^did:key:(z[1-9A-HJ-NP-Za-km-z]{1,64})(?:#\1)?$/.exec(String(proof.get('verificationMethod'))) ?? []
  const proofValue = proof.get('proofValue')
  const signature = typeof proofValue === 'string' && proofValue.startsWith('z') ? fromBase58(proofValue.slice(1), MOST_TEXT) : undefined
  if (multibase === undefined || !signature) return false
  const key = publicKeyOfMultibase(multibase)
  if (key?.alg !== 'EdDSA') return false
  const { prepareDataForSigning } = await library()
  const signed = Object.fromEntries([...proof].filter(([name]) => name !== 'proofValue'))
  return verifySignature({ id: multibase, ...key }, await prepareDataForSigning({ versionId }, signed), signature)
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
  return foundIn(result.doc, vid)
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
  const asksWitnesses = entries.some(({ parameters }) => witnessesIn(parameters) > 0)
  return { log: entries.map(({ entry }) => entry), asksWitnesses }
}

function isList(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0
}

/** How many witnesses an entry names. A threshold that is no number of them would be reached by none, to the library. */
function witnessesIn(parameters: ReadonlyMap<string, unknown>): number {
  // Where drafts had them, and the library still looks.
  if (parameters.has('witnesses') || parameters.has('witnessThreshold')) throw invalid('the log names witnesses as drafts did')
  const witness = membersOf(parameters.get('witness'))
  const list = witness?.get('witnesses')
  if (!Array.isArray(list) || list.length === 0) return 0
  const threshold = witness?.get('threshold')
  if (!Number.isInteger(threshold) || Number(threshold) < 1 || Number(threshold) > list.length)
    throw invalid('the threshold of witnesses is not a number of them')
  return list.length
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
      // The library has checked the kind of the key, and leaves its bytes.
      const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') } as const
      return verifySignature({ id: '', alg: 'EdDSA', jwk }, message, signature)
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
