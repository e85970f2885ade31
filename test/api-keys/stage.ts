// The key flow as a program goes it: ask, sign, act.
import { createPrivateKey, sign as signBytes } from 'node:crypto'
import { assertionClaims, nodeKey, type NodeKey, type Signer } from '../support/did.ts'
import { at, type Json } from '../support/json.ts'
import { CLIENT_ASSERTION, type Secured } from '../support/secured.ts'
import type { TestWallet } from '../support/wallet.ts'
import { ask, type Answer } from '../support/wire.ts'

/** Somebody who signs challenges. */
export interface Prover {
  readonly asked: Json
  readonly did: string
  sign(message: string): string
}

export function walletProver(wallet: TestWallet): Prover {
  return { asked: { hex_string: wallet.address }, did: wallet.did, sign: wallet.sign }
}

export function keyProver(alg: NodeKey['alg'] = 'EdDSA'): Prover {
  const { privateKey, multibase } = nodeKey(alg)
  const did = `did:key:${multibase}`
  const key = createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' }))
  return {
    asked: { did },
    did,
    sign: (message) => signBytes(alg === 'EdDSA' ? null : 'sha256', Buffer.from(message), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url'),
  }
}

export function postJson({ base }: Pick<Secured, 'base'>, path: string, body: Json | string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return ask(new URL(`${base}${path}`), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

export async function challengeFor(stage: Pick<Secured, 'base'>, asked: Json): Promise<string> {
  return challengeOf(await postJson(stage, '/challenge', asked))
}

/** The message to sign. */
export function challengeOf({ status, json, text }: Answer): string {
  if (typeof json['message'] !== 'string') throw new Error(`no challenge: ${status} ${text}`)
  return json['message']
}

/** The whole of it. */
export async function act(stage: Pick<Secured, 'base'>, who: Prover, path: string, more: Json = {}): Promise<Answer> {
  const message = await challengeFor(stage, who.asked)
  return postJson(stage, path, { ...who.asked, message, signature: who.sign(message), ...more })
}

export async function keyOf(stage: Pick<Secured, 'base'>, who: Prover, more: Json = {}): Promise<{ secret: string; id: string }> {
  const { status, json, text } = await act(stage, who, '/gen-api-key', more)
  const [secret, id] = [json['api_key'], at(json, 'key', 'id')]
  if (typeof secret !== 'string' || typeof id !== 'string') throw new Error(`no key: ${status} ${text}`)
  return { secret, id }
}

/** Asks whose a key is, as a server that proves itself, or as nobody. */
export async function lookup(stage: Secured, key: string, by?: Pick<Signer, 'did' | 'sign'>): Promise<Answer> {
  const assertion = by && (await by.sign(assertionClaims(by.did, stage.base)))
  return postJson(stage, '/reverse-lookup', {
    api_key: key,
    ...(by && { client_id: by.did, client_assertion_type: CLIENT_ASSERTION, client_assertion: assertion }),
  })
}
