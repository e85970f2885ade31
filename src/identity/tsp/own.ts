// Identities of our own for TSP, kept as all others are: a did:peer:4, or a did:web with what a peer needs to seal to it.
import { OpenMcpError } from '../../errors.ts'
import { newOkpPair } from '../okp.ts'
import { formsOf, nameOf, newPair, peerKid, type IdentityFile } from '../own-identity-file.ts'
import { active, addIdentityFile, hasIdentityFile, readIdentityFile, signingKey, type NamedIdentity } from '../own-identity-files.ts'
import { methodOf, type Vid } from '../vid.ts'
import { checkedEndpoint, newEndpoint } from './endpoint-url.ts'
import { parsePiv, type TspIdentity } from './piv.ts'

export interface CreateTspIdentityOptions extends NamedIdentity {
  method: 'peer' | 'web'
  /** For `web`: what follows `did:web:`. */
  domain?: string
  /** A URL of tcp, tls, http or https. Of an address of this machine port 0 becomes a free one, for good. */
  endpoint: string
}

/** Where an identity that nobody asked for is reached: by this machine alone. */
const FIRST_ENDPOINT = 'tcp://127.0.0.1:0'

/** Fails with `usage` when there is one of that name, or the domain makes no did:web; with `identity_invalid` for a wrong endpoint. */
export async function createTspIdentity({ dir, name, method, domain, endpoint, now }: CreateTspIdentityOptions): Promise<TspIdentity> {
  if ((method === 'web') !== (domain !== undefined)) {
    throw new OpenMcpError('usage', method === 'web' ? 'a did:web needs its domain' : 'a did:peer has no domain')
  }
  const pair = newPair('Ed25519')
  const tsp = { sealing: newOkpPair('X25519'), endpoint: await newEndpoint(endpoint) }
  const short = formsOf(pair.jwk.x, tsp).short
  const { vid, kid } = method === 'web' ? await nameOf('web', pair.jwk, domain) : { vid: short, kid: peerKid(short) }
  const createdAt = new Date(now()).toISOString()
  const file: IdentityFile = { vid, createdAt, keys: [{ kid, createdAt, ...pair }], tsp }
  await addIdentityFile({ dir, name, now }, file)
  return tspIdentityOf(name, file)
}

/** Fails with `usage` when there is none of that name, when it is not for TSP, and when it is deactivated. */
export async function openTspIdentity(dir: string, name: string): Promise<TspIdentity> {
  return tspIdentityOf(name, active(name, await readIdentityFile(dir, name)))
}

/** The identity of that name; when there is none, a new did:peer:4 at a port of this machine. Of several processes at once, one makes it. */
export async function ensureTspIdentity({ dir, name, now }: NamedIdentity): Promise<TspIdentity> {
  if (!(await hasIdentityFile(dir, name))) {
    await createTspIdentity({ dir, name, method: 'peer', endpoint: FIRST_ENDPOINT, now }).catch(async (thrown: unknown) => {
      if (!(await hasIdentityFile(dir, name))) throw thrown
    })
  }
  return openTspIdentity(dir, name)
}

/**
 * Takes over what tsp_sdk keeps in a piv.json. Fails with `identity_invalid` for one that is not whole, or is of a DID that openmcp cannot
 * be; with `usage` when there is an identity of that name.
 */
export async function importPiv({ dir, name, now, piv }: NamedIdentity & { piv: unknown }): Promise<TspIdentity> {
  const { vid, profile, secrets } = parsePiv(piv)
  const kid = KIDS.get(methodOf(vid))?.(vid)
  if (kid === undefined || vid.startsWith('did:peer:2')) {
    throw new OpenMcpError('identity_invalid', `${vid.slice(0, 80)} cannot be an identity of openmcp for TSP`, {
      hint: 'those of did:peer:4, did:web and did:webvh can',
    })
  }
  const createdAt = new Date(now()).toISOString()
  const key = { kid, createdAt, jwk: { kty: 'OKP', crv: 'Ed25519', x: profile.verifying }, d: secrets.signing } as const
  const tsp = { sealing: { x: profile.sealing, d: secrets.opening }, endpoint: checkedEndpoint(profile.endpoint) }
  const file: IdentityFile = { vid, createdAt, keys: [key], tsp }
  await addIdentityFile({ dir, name, now }, file)
  return tspIdentityOf(name, file)
}

/** What tsp_sdk calls the key that signs, in documents that it writes. */
const KIDS: ReadonlyMap<string, (vid: Vid) => string> = new Map([
  ['peer', peerKid],
  ['web', verificationKid],
  ['webvh', verificationKid],
])

function verificationKid(vid: Vid): string {
  return `${vid}#verification-key`
}

function tspIdentityOf(name: string, file: IdentityFile): TspIdentity {
  const { vid, tsp } = file
  const { jwk, d } = signingKey(name, file)
  if (!tsp) {
    throw new OpenMcpError('usage', `the identity ${name} is a did:${methodOf(vid)} without what TSP needs`, {
      hint: 'openmcp id create NAME --tsp makes one for TSP',
    })
  }
  return {
    vid,
    long: methodOf(vid) === 'peer' ? formsOf(jwk.x, tsp).long : vid,
    profile: { verifying: jwk.x, sealing: tsp.sealing.x, endpoint: tsp.endpoint },
    secrets: { signing: d, opening: tsp.sealing.d },
  }
}
