// How the generator proves who it is to an openmcp with --security: a did:key of its own, tokens from /token, proofs for DPoP.
// What a slice needs is signed and fetched before it begins.
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
/** Multicodec of an Ed25519 public key. */
const ED25519 = [0xed, 0x01]
const IN_FLIGHT = 32

const identity = createIdentity()
export const DID = identity.did

/**
 * `kind`: key (one API key for all calls), freshKey (another one with every call), bearer (one token for all calls), fresh (a token per call that was never shown before), dpop (one token bound to a key, a
 * proof per call). Gives `{ begin(), prepare(calls), headers(method), assertions(count), redeem(assertion) }`.
 */
export function createLogin(kind, { pool, url, keys = [] }) {
  if (kind === 'key' || kind === 'freshKey') return createKeyLogin(kind, keys)
  const issuer = url.origin
  const resource = url.href
  const proofKey = kind === 'dpop' ? createProofKey() : undefined
  let token
  let beginning
  let ready = null
  const login = {
    /** Gets the token that everything begins with. */
    async begin() {
      beginning ??= fetchToken(identity.assertion(issuer)).then(
        (fetched) => (token = fetched),
        (error) => {
          beginning = undefined
          throw error
        },
      )
      await beginning
    },
    /** What so many calls need is there when this settles; `fresh` fails once it is used up. */
    async prepare(calls) {
      if (kind === 'fresh') ready = await mintMany(calls)
      if (kind === 'dpop') ready = Array.from({ length: calls }, () => proofKey.proof('POST', resource, token))
    },
    headers(method) {
      if (kind === 'dpop') return { authorization: `DPoP ${token}`, dpop: (method === 'POST' && ready?.pop()) || proofKey.proof(method, resource, token) }
      if (kind !== 'fresh' || ready === null || method !== 'POST') return { authorization: `Bearer ${token}` }
      if (ready.length === 0) throw Object.assign(new Error('every token that was prepared has been shown'), { kind: 'noFreshToken' })
      return { authorization: `Bearer ${ready.pop()}` }
    },
    /** Assertions for `redeem`, signed ahead. */
    assertions: (count) => Array.from({ length: count }, () => identity.assertion(issuer)),
    redeem: fetchToken,
  }
  return login

  async function mintMany(count) {
    const tokens = []
    const assertions = login.assertions(count)
    const worker = async () => {
      for (let one = assertions.pop(); one; one = assertions.pop()) tokens.push(await fetchToken(one))
    }
    await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
    return tokens
  }

  function fetchToken(assertion) {
    const form = `grant_type=${encodeURIComponent(JWT_BEARER)}&assertion=${assertion}&resource=${encodeURIComponent(resource)}`
    const headers = { 'content-type': 'application/x-www-form-urlencoded', dpop: proofKey?.proof('POST', `${issuer}/token`) }
    return new Promise((resolve, reject) => {
      const chunks = []
      let status = 0
      pool.request({
        method: 'POST',
        path: '/token',
        headers,
        body: [Buffer.from(form)],
        onHead: (code) => (status = code),
        onData: (bytes) => chunks.push(bytes),
        onError: reject,
        onEnd() {
          const text = Buffer.concat(chunks).toString()
          if (status === 200) resolve(JSON.parse(text).access_token)
          else reject(Object.assign(new Error(`HTTP ${status} ${text.slice(0, 160)}`), { kind: `http${status}` }))
        },
      })
    })
  }
}

function createKeyLogin(kind, keys) {
  const left = keys.slice(1)
  return {
    async begin() {},
    async prepare() {},
    headers(method) {
      const key = kind === 'freshKey' && method === 'POST' ? left.pop() : keys[0]
      if (key === undefined) throw Object.assign(new Error('every key has been shown'), { kind: 'noFreshKey' })
      return { authorization: `Bearer ${key}` }
    },
  }
}

function createIdentity() {
  const { privateKey, publicKey } = newPair('ed25519')
  const bytes = Buffer.concat([Buffer.from(ED25519), Buffer.from(publicKey.export({ format: 'jwk' }).x, 'base64url')])
  const multibase = `z${base58(bytes)}`
  const did = `did:key:${multibase}`
  const header = part({ alg: 'EdDSA', typ: 'JWT', kid: `${did}#${multibase}` })
  return {
    did,
    assertion(audience) {
      const now = Math.floor(Date.now() / 1000)
      const input = `${header}.${part({ iss: did, sub: did, aud: audience, iat: now, exp: now + 300, jti: randomUUID() })}`
      return `${input}.${sign(null, Buffer.from(input), privateKey).toString('base64url')}`
    },
  }
}

/** ES256, as most clients use. */
function createProofKey() {
  const { privateKey, publicKey } = newPair('ec', { namedCurve: 'P-256' })
  const header = part({ alg: 'ES256', typ: 'dpop+jwt', jwk: publicKey.export({ format: 'jwk' }) })
  return {
    proof(htm, htu, token) {
      const ath = token && createHash('sha256').update(token).digest('base64url')
      const input = `${header}.${part({ jti: randomUUID(), htm, htu, iat: Math.floor(Date.now() / 1000), ath })}`
      return `${input}.${sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
    },
  }
}

function part(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function base58(bytes) {
  let number = BigInt(`0x${bytes.toString('hex')}`)
  let text = ''
  for (; number > 0n; number /= 58n) text = BASE58[Number(number % 58n)] + text
  return text
}

/** Through DER: Node 20 can wait for ever when a pair that it has just made is exported as a JWK. */
function newPair(type, options) {
  const der = { privateKeyEncoding: { type: 'pkcs8', format: 'der' }, publicKeyEncoding: { type: 'spki', format: 'der' } }
  const privateKey = createPrivateKey({ key: generateKeyPairSync(type, { ...options, ...der }).privateKey, ...der.privateKeyEncoding })
  return { privateKey, publicKey: createPublicKey(privateKey) }
}
