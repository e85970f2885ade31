// Clients that register themselves (RFC 7591): public ones. What they said of themselves is their id, sealed by us, so that a flood
// of registrations leaves nothing behind.
import { createHmac, timingSafeEqual } from 'node:crypto'

import { isObject } from '../../protocol/message.ts'
import { clientMetadataOf, isNoClient, type ClientMetadata, type NoClient } from './client-metadata.ts'

export interface Registrations {
  /** What RFC 7591 §3.2.1 answers. */
  register(body: unknown): Registered | NoClient
  /** Undefined: not registered here, or too long ago. */
  find(id: string): ClientMetadata | undefined
}

interface Registered {
  readonly client_id: string
  readonly client_id_issued_at: number
  readonly client_name?: string
  readonly application_type: 'native' | 'web'
  readonly redirect_uris: readonly string[]
  readonly token_endpoint_auth_method: 'none'
  readonly grant_types: readonly string[]
  readonly response_types: readonly string[]
}

export interface RegistrationOptions {
  /**
   * A key that never rotates: whoever has it can only say what everybody may register anyway, and a client whose registration
   * ended with a key would have to ask its person to log in again.
   */
  hashing: () => Uint8Array
  now: () => number
}

const LIFE_SECONDS = 90 * 24 * 3600
const PREFIX = 'reg.'
/** It goes through many URLs. */
const MOST_CHARACTERS = 2048

export function createRegistrations({ hashing, now }: RegistrationOptions): Registrations {
  const sealOf = (text: string): Buffer =>
    createHmac('sha256', hashing())
      .update(JSON.stringify(['oauth-client', text]))
      .digest()

  return {
    register(body) {
      const metadata = clientMetadataOf(body)
      if (isNoClient(metadata)) return metadata
      const { name, native, redirectUris } = metadata
      const issuedAt = Math.floor(now() / 1000)
      const text = Buffer.from(JSON.stringify({ iat: issuedAt, name, native, uris: redirectUris })).toString('base64url')
      const id = `${PREFIX}${text}.${sealOf(text).toString('base64url')}`
      if (id.length > MOST_CHARACTERS) return { error: 'invalid_client_metadata', description: 'its name and its redirect URIs are too long together' }
      return {
        client_id: id,
        client_id_issued_at: issuedAt,
        ...(name !== '' && { client_name: name }),
        application_type: native ? 'native' : 'web',
        redirect_uris: redirectUris,
        // Whatever it asked for: there are no secrets here, and no other flow.
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
      }
    },
    find(id) {
      if (!id.startsWith(PREFIX) || id.length > MOST_CHARACTERS) return undefined
      const [text = '', seal = '', ...more] = id.slice(PREFIX.length).split('.')
      const given = Buffer.from(seal, 'base64url')
      // One spelling alone: it is compared as a text elsewhere.
      if (more.length > 0 || given.length !== 32 || given.toString('base64url') !== seal) return undefined
      return timingSafeEqual(sealOf(text), given) ? opened(text) : undefined
    },
  }

  function opened(text: string): ClientMetadata | undefined {
    const found: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    if (!isObject(found) || typeof found['iat'] !== 'number' || found['iat'] + LIFE_SECONDS <= now() / 1000) return undefined
    const metadata = clientMetadataOf({
      client_name: found['name'],
      application_type: found['native'] === true ? 'native' : 'web',
      redirect_uris: found['uris'],
    })
    return isNoClient(metadata) ? undefined : metadata
  }
}
