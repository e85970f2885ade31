// What only the node could sign: tokens that are right but for one thing.
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

import { openNodeKeys } from '../../src/identity/key-store.ts'
import type { NodeKeys } from '../../src/identity/shapes.ts'
import { createLog } from '../../src/observe/log.ts'
import { secondsNow } from '../support/did.ts'
import type { Json } from '../support/json.ts'
import type { Secured } from '../support/secured.ts'

export interface NodeSigner {
  readonly keys: NodeKeys
  /** A token as the node makes them, with some members changed; undefined ones are left out. */
  token(subject: string, changes?: Json, header?: Json): Promise<string>
}

export async function nodeSigner({ home, base, url, now }: Pick<Secured, 'home' | 'base' | 'url' | 'now'>): Promise<NodeSigner> {
  const log = createLog({ level: 'error', format: 'text', write: () => {}, now })
  const keys = await openNodeKeys(join(home, 'keys'), { now, log, tokenLifeSeconds: 900 })
  onTestFinished(keys.close)
  return {
    keys,
    async token(subject, changes = {}, header = {}) {
      const { alg, kid, privateKey } = keys.signing()
      const iat = secondsNow()
      const claims = { iss: base, sub: subject, client_id: subject, aud: url.href, iat, exp: iat + 300, jti: randomUUID(), scope: 'mcp', ...changes }
      // By hand: a library would not sign every header that somebody may send.
      const input = `${part({ alg, kid, typ: 'at+jwt', ...header })}.${part(claims)}`
      const signature = await crypto.subtle.sign('Ed25519', privateKey, Buffer.from(input))
      return `${input}.${Buffer.from(signature).toString('base64url')}`
    },
  }
}

function part(value: Json): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
