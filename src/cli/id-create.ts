// `openmcp id create`: a new identity, to log in with, or for TSP as well.
import { OpenMcpError } from '../errors.ts'
import { createIdentity } from '../identity/own-identities.ts'
import { checkNewEndpoint } from '../identity/tsp/endpoint-url.ts'
import { createTspIdentity } from '../identity/tsp/own.ts'
import type { Vid } from '../identity/vid.ts'
import { isLoopbackHost } from '../protocol/loopback.ts'
import type { Asked } from './id-asked.ts'
import { allOf, oneOf } from './target-options.ts'
import { print, say } from './terminal.ts'
import { parseChoice } from './values.ts'

interface Wanted {
  readonly name: string
  readonly isTsp: boolean
  readonly method: (typeof METHODS)[number]
  readonly curve: 'Ed25519' | 'P-256' | 'secp256k1'
  readonly endpoint: string | undefined
  readonly domain: string | undefined
}

const METHODS = ['key', 'jwk', 'web', 'peer'] as const
const CURVES = new Map([
  ['ed25519', 'Ed25519'],
  ['p-256', 'P-256'],
  ['secp256k1', 'secp256k1'],
] as const)

/** Where an identity for TSP is reached when nobody says it: by this machine alone, at a port that is free now. */
const FIRST_ENDPOINT = 'tcp://127.0.0.1:0'

/** stdout is the DID that others have to be told. */
export async function create({ word: name, keys: dir, reading, now, io }: Asked): Promise<void> {
  const isTsp = allOf(reading, 'tsp').length > 0
  const wanted: Wanted = {
    name,
    isTsp,
    method: oneOf(reading, 'method', (text, as) => parseChoice(text, as, METHODS)) ?? (isTsp ? 'peer' : 'key'),
    curve: CURVES.get(oneOf(reading, 'curve', (text, as) => parseChoice(text, as, [...CURVES.keys()])) ?? 'ed25519') ?? 'Ed25519',
    endpoint: oneOf(reading, 'endpoint', (text) => (checkNewEndpoint(text), text)),
    domain: oneOf(reading, 'domain', domainOf),
  }
  for (const mistake of mistakesIn(wanted)) reading.mistakes.add(mistake)
  reading.mistakes.throwIfAny()
  const { vid, long, endpoint } = await made(wanted, { dir, now })
  await print(io, `${long}\n`)
  if (endpoint !== undefined) say(io, `${nameOfForms(vid, long)} at ${endpoint}${reachOf(endpoint)}`)
  if (wanted.method === 'web') say(io, `publish its document at ${documentUrlOf(vid)}: it is the didDocument of 'openmcp id export ${name}'`)
}

async function made({ name, isTsp, method, curve, endpoint, domain }: Wanted, at: { dir: string; now: () => number }): Promise<Made> {
  const named = { ...at, name, ...(domain !== undefined && { domain }) }
  if (method === 'peer' || (method === 'web' && isTsp)) {
    const { vid, long, profile } = await createTspIdentity({ ...named, method, endpoint: endpoint ?? FIRST_ENDPOINT })
    return { vid, long, endpoint: profile.endpoint }
  }
  return createIdentity({ ...named, method, curve })
}

interface Made {
  readonly vid: Vid
  readonly long: Vid
  readonly endpoint?: string
}

function mistakesIn({ name, isTsp, method, curve, endpoint, domain }: Wanted): OpenMcpError[] {
  const mistake = (isWrong: boolean, what: string, hint: string): OpenMcpError[] => (isWrong ? [new OpenMcpError('usage', what, { hint })] : [])
  return [
    ...mistake(method === 'web' && domain === undefined, 'a did:web needs its domain', `openmcp id create ${name} --method web --domain example.com`),
    ...mistake(method === 'peer' && !isTsp, 'a did:peer is for TSP', `openmcp id create ${name} --tsp`),
    ...mistake(method === 'peer' && domain !== undefined, 'a did:peer has no domain', `openmcp id create ${name} --tsp --method web --domain example.com`),
    ...mistake(isTsp && (method === 'key' || method === 'jwk'), `a did:${method} cannot say what TSP needs`, '--tsp goes with --method peer or web'),
    ...mistake(isTsp && curve !== 'Ed25519', `TSP signs with Ed25519, and not with ${curve}`, 'leave --curve away'),
    ...mistake(endpoint !== undefined && !isTsp, '--endpoint says where an identity is reached by TSP', `openmcp id create ${name} --tsp --endpoint URL`),
  ]
}

function nameOfForms(vid: Vid, long: Vid): string {
  return vid === long ? 'it is reached' : `whoever was told this knows it as ${vid}; it is reached`
}

function reachOf(endpoint: string): string {
  return isLoopbackHost(new URL(endpoint).hostname) ? ', by this machine alone' : ''
}

/** `example.com:8443/a` as did:web writes it: `example.com%3A8443:a`. */
function domainOf(text: string): string {
  return text
    .replace(/\/$/, '')
    .replace(/^([^:/]+):(\d+)(?=\/|$)/, '$1%3A$2')
    .replaceAll('/', ':')
}

export function documentUrlOf(vid: Vid): string {
  const [host = '', ...path] = vid.slice('did:web:'.length).split(':')
  return `https://${decodeURIComponent(host)}${path.length === 0 ? '/.well-known' : `/${path.join('/')}`}/did.json`
}
