// API keys: who may use which, kept so that whoever reads the store learns none of them. A row is found by the hash of its key; the
// keys of an identity stand in so many slots, which are the cap, and need no list of everything.
import { createHash, createHmac, randomBytes } from 'node:crypto'

import { OpenMcpError } from '../errors.ts'
import { isObject } from '../protocol/message.ts'
import type { Store } from '../store/shapes.ts'
import { API_KEY } from '../tokens/api-key.ts'

export interface ApiKey {
  /** Names the key; nothing can be done with it. */
  readonly id: string
  readonly identity: string
  readonly label: string
  readonly scopes: readonly string[]
  readonly createdAtMs: number
  /** Undefined: until it is revoked. */
  readonly expiresAtMs: number | undefined
}

export interface ShownKey extends ApiKey {
  /** To the hour; undefined: never. */
  readonly lastUsedMs: number | undefined
}

interface NewKey {
  readonly secret: string
  readonly key: ApiKey
}

export interface KeyRing {
  /** `full`: this identity has as many as it may. */
  create(key: Pick<ApiKey, 'identity' | 'label' | 'scopes' | 'expiresAtMs'>): Promise<NewKey | 'full'>
  /** What is known of a key; undefined: nothing. */
  find(secret: string): Promise<ApiKey | undefined>
  listOf(identity: string): Promise<readonly ShownKey[]>
  /** In the place of the old one, which ends now or after the overlap. Undefined: the identity has no such key. */
  rotate(identity: string, id: string, change: { overlapSeconds: number; scopes: readonly string[] }): Promise<NewKey | 'full' | undefined>
  /** False: the identity has no such key. */
  revoke(identity: string, id: string): Promise<boolean>
  /** Noted at most once an hour; never fails. */
  used(key: ApiKey): void
}

/** For operators, who hold the store. */
export interface KeyList {
  all(): Promise<readonly ShownKey[]>
}

export interface KeyRingOptions {
  store: Store
  /** The node's secret to hash with. */
  hashing: () => Uint8Array
  /** Ends what a key has opened: now, or from a moment on. */
  end(id: string, fromMs: number): Promise<void>
  now: () => number
  random?: (bytes: number) => Buffer
}

export const MOST_KEYS = 20
export const MOST_LABEL = 64
const USE_MS = 3_600_000

export function createKeyRing({ store, hashing, end, now, random = randomBytes }: KeyRingOptions): KeyRing & KeyList {
  /** Of each key that was used lately the hour that is written down. */
  const noted = new Map<string, number>()
  const hashOf = (secret: string): string => createHmac('sha256', hashing()).update(secret).digest('base64url')

  async function slotsOf(identity: string): Promise<(Slot & { slot: string })[]> {
    const slots = slotNames(identity)
    const rows = await Promise.all(slots.map((slot) => store.get('api_key_slots', slot)))
    return rows.flatMap((row) => {
      const read = row && readSlot(row.value)
      return row && read ? [{ ...read, slot: row.key }] : []
    })
  }
  async function keyAt(hash: string): Promise<ApiKey | undefined> {
    const row = await store.get('api_keys', hash)
    return row && readKey(row.value, row.expiresAtMs)
  }
  async function write(hash: string, key: ApiKey): Promise<void> {
    const { expiresAtMs, ...value } = key
    await store.put('api_keys', { key: hash, value: JSON.stringify(value), expiresAtMs })
  }
  /** Of several processes that ask at once each gets another one. */
  async function takeSlot(identity: string, { id, hash }: Slot, expiresAtMs: number | undefined): Promise<string | undefined> {
    for (const slot of slotNames(identity)) {
      if (await store.add('api_key_slots', { key: slot, value: JSON.stringify({ id, hash }), expiresAtMs })) return slot
    }
    return undefined
  }
  function made(of: Pick<ApiKey, 'identity' | 'label' | 'scopes' | 'expiresAtMs'>): NewKey & { hash: string } {
    const secret = `sk_${random(32).toString('base64url')}`
    const key: ApiKey = { ...of, id: random(9).toString('base64url'), createdAtMs: now() }
    return { secret, key, hash: hashOf(secret) }
  }
  async function shown(key: ApiKey): Promise<ShownKey> {
    const use = Number((await store.get('api_key_uses', key.id))?.value)
    return { ...key, lastUsedMs: Number.isFinite(use) && use > 0 ? use : undefined }
  }
  async function slotWith(identity: string, id: string): Promise<(Slot & { slot: string }) | undefined> {
    return (await slotsOf(identity)).find((slot) => slot.id === id)
  }

  return {
    async create(of) {
      const { secret, key, hash } = made(of)
      if ((await takeSlot(key.identity, { id: key.id, hash }, key.expiresAtMs)) === undefined) return 'full'
      await write(hash, key)
      return { secret, key }
    },
    async find(secret) {
      return API_KEY.test(secret) ? keyAt(hashOf(secret)) : undefined
    },
    async listOf(identity) {
      const keys = await Promise.all((await slotsOf(identity)).map(({ hash }) => keyAt(hash)))
      const own = keys.filter((key) => key !== undefined).filter((key) => key.identity === identity)
      return Promise.all(own.toSorted((a, b) => a.createdAtMs - b.createdAtMs).map(shown))
    },
    async rotate(identity, id, { overlapSeconds, scopes }) {
      const found = await slotWith(identity, id)
      const old = found && (await keyAt(found.hash))
      if (!found || !old) return undefined
      const { secret, key, hash } = made({ identity, label: old.label, scopes, expiresAtMs: old.expiresAtMs })
      const endsMs = Math.min(now() + overlapSeconds * 1000, old.expiresAtMs ?? Infinity)
      if (overlapSeconds > 0) {
        if ((await takeSlot(identity, { id: key.id, hash }, key.expiresAtMs)) === undefined) return 'full'
        await write(hash, key)
        await store.put('api_key_slots', { key: found.slot, value: JSON.stringify({ id: old.id, hash: found.hash }), expiresAtMs: endsMs })
        await write(found.hash, { ...old, expiresAtMs: endsMs })
        await end(old.id, endsMs)
      } else {
        // Of two that rotate one key at once, one takes it.
        if (!(await store.take('api_keys', found.hash))) return undefined
        await end(old.id, now())
        await store.put('api_key_slots', { key: found.slot, value: JSON.stringify({ id: key.id, hash }), expiresAtMs: key.expiresAtMs })
        await write(hash, key)
      }
      return { secret, key }
    },
    async revoke(identity, id) {
      const found = await slotWith(identity, id)
      if (!found) return false
      // What lets in goes first.
      const wasThere = await store.remove('api_keys', found.hash)
      await end(id, now())
      await store.remove('api_key_slots', found.slot)
      await store.remove('api_key_uses', id)
      return wasThere
    },
    used({ id, expiresAtMs }) {
      const hourMs = Math.floor(now() / USE_MS) * USE_MS
      if (noted.get(id) === hourMs) return
      if (noted.size > 10_000) noted.clear()
      noted.set(id, hourMs)
      store.put('api_key_uses', { key: id, value: String(hourMs), expiresAtMs }).catch(() => noted.delete(id))
    },
    async all() {
      const rows = await store.list('api_keys')
      return Promise.all(rows.flatMap(({ value, expiresAtMs }) => readKey(value, expiresAtMs) ?? []).map(shown))
    },
  }
}

interface Slot {
  readonly id: string
  readonly hash: string
}

function slotNames(identity: string): string[] {
  const owner = createHash('sha256').update(identity).digest('base64url')
  return Array.from({ length: MOST_KEYS }, (_, index) => `${owner}.${index}`)
}

function readSlot(value: string): Slot | undefined {
  const row = parsed(value)
  return isObject(row) && typeof row['id'] === 'string' && typeof row['hash'] === 'string' ? { id: row['id'], hash: row['hash'] } : undefined
}

function readKey(value: string, expiresAtMs: number | undefined): ApiKey {
  const row = parsed(value)
  if (isObject(row)) {
    const { id, identity, label, scopes, createdAtMs } = row
    const isWhole = typeof id === 'string' && typeof identity === 'string' && typeof label === 'string' && typeof createdAtMs === 'number'
    if (isWhole && Array.isArray(scopes) && scopes.every((scope) => typeof scope === 'string')) return { id, identity, label, scopes, createdAtMs, expiresAtMs }
  }
  throw new OpenMcpError('store_failed', 'the store does not hold what it should', { detail: 'a row of api_keys' })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
