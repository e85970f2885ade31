// API keys: who may use which, kept so that whoever reads the store learns none of them. A row is found by the hash of its key, and
// stands in one of so many slots of its identity. The slots are the cap, and the list: a key whose slot names another one is none.
import { createHash, createHmac, randomBytes } from 'node:crypto'

import { jsonIn } from '../protocol/json.ts'
import { isObject } from '../protocol/message.ts'
import type { Row, Store } from '../store/shapes.ts'
import { API_KEY } from '../tokens/api-key.ts'
import { createHashingMark } from './hashing-mark.ts'
import { readKey, type ApiKey, type KeptKey } from './kept-key.ts'

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
  /**
   * In the place of the old one, which ends now or after the overlap. Undefined: the identity has no such key. `over`: it was rotated or
   * revoked before, and of several who do that at once by all but one.
   */
  rotate(identity: string, id: string, change: { overlapSeconds: number; scopes: readonly string[] }): Promise<NewKey | 'full' | 'over' | undefined>
  /** False: the identity has no such key. */
  revoke(identity: string, id: string): Promise<boolean>
  /** Noted at most once an hour; never fails. */
  used(key: ApiKey): void
}

/** For operators, who hold the store. */
export interface KeyList {
  all(): Promise<readonly ShownKey[]>
}

/** Ends what a key has opened, wherever it is remembered. */
export interface KeyEnds {
  now(id: string): Promise<void>
  /** From then on. False: its end was told before, and stays as it is. */
  from(id: string, atMs: number): Promise<boolean>
  /** The key itself lets nobody in any more, now or from then on: its end need not be remembered for ever. */
  settled(id: string, atMs?: number): Promise<void>
}

export interface KeyRingOptions {
  store: Store
  /** The node's secret to hash with. */
  hashing: () => Uint8Array
  ends: KeyEnds
  now: () => number
  random?: (bytes: number) => Buffer
}

export const MOST_KEYS = 20
const USE_MS = 3_600_000
/** A slot without its key is one that is being made, or that a crash left. */
const MAKING_MS = 60_000
const MOST_NOTED = 10_000

export function createKeyRing({ store, hashing, ends, now, random = randomBytes }: KeyRingOptions): KeyRing & KeyList {
  const mark = createHashingMark({ store, hashing })
  /** Of each key that was used lately the hour that is written down. */
  const noted = new Map<string, number>()
  const hashOf = (secret: string): string => createHmac('sha256', hashing()).update(secret).digest('base64url')

  async function keyAt(hash: string): Promise<KeptKey | undefined> {
    const row = await store.get('api_keys', hash)
    const key = row && readKey(row)
    const slot = key && (await store.get('api_key_slots', key.slot))
    if (!key || !slot || slotIn(slot.value).hash !== hash) return undefined
    const endMs = Math.min(key.expiresAtMs ?? Infinity, slot.expiresAtMs ?? Infinity)
    return { ...key, expiresAtMs: endMs === Infinity ? undefined : endMs }
  }
  async function keysOf(identity: string): Promise<KeptKey[]> {
    const slots = await Promise.all(slotNames(identity).map((slot) => store.get('api_key_slots', slot)))
    const keys = await Promise.all(slots.flatMap((slot) => (slot ? [keyAt(slotIn(slot.value).hash)] : [])))
    return keys.filter((key) => key !== undefined)
  }
  function made(of: Pick<ApiKey, 'identity' | 'label' | 'scopes' | 'expiresAtMs'>): NewKey & { hash: string } {
    const secret = `sk_${random(32).toString('base64url')}`
    const key: ApiKey = { ...of, id: random(8).toString('hex'), createdAtMs: now() }
    return { secret, key, hash: hashOf(secret) }
  }
  async function write(hash: string, slot: string, { expiresAtMs, ...value }: ApiKey): Promise<void> {
    await store.put('api_keys', { key: hash, value: JSON.stringify({ ...value, slot }), expiresAtMs })
  }
  const slotRow = (slot: string, hash: string, expiresAtMs: number | undefined): Row => ({
    key: slot,
    value: JSON.stringify({ hash, atMs: now() }),
    expiresAtMs,
  })

  /** Of several processes that ask at once each gets another one. */
  async function takeSlot(identity: string, hash: string, expiresAtMs: number | undefined): Promise<string | undefined> {
    const slots = slotNames(identity)
    for (const slot of slots) if (await store.add('api_key_slots', slotRow(slot, hash, expiresAtMs))) return slot
    for (const slot of slots) {
      const left = slotIn((await store.get('api_key_slots', slot))?.value)
      if (left.atMs + MAKING_MS > now() || (await store.get('api_keys', left.hash))) continue
      if (await turnSlot(slot, left.hash, slotRow(slot, hash, expiresAtMs))) return slot
    }
    return undefined
  }
  /** In one step. False: another key has it by now, or none. */
  async function turnSlot(slot: string, from: string, to: Row | undefined): Promise<boolean> {
    const value = (await store.get('api_key_slots', slot))?.value
    return value !== undefined && slotIn(value).hash === from && store.swap('api_key_slots', slot, value, to)
  }
  async function shown({ hash: _hash, slot: _slot, ...key }: KeptKey): Promise<ShownKey> {
    const use = Number((await store.get('api_key_uses', key.id))?.value)
    return { ...key, lastUsedMs: Number.isFinite(use) && use > 0 ? use : undefined }
  }

  return {
    async create(of) {
      await mark.claim()
      const { secret, key, hash } = made(of)
      const slot = await takeSlot(key.identity, hash, key.expiresAtMs)
      if (slot === undefined) return 'full'
      await write(hash, slot, key)
      return { secret, key }
    },
    async find(secret) {
      return API_KEY.test(secret) ? keyAt(hashOf(secret)) : undefined
    },
    async listOf(identity) {
      const keys = await keysOf(identity)
      return Promise.all(keys.toSorted((a, b) => a.createdAtMs - b.createdAtMs).map(shown))
    },
    async rotate(identity, id, { overlapSeconds, scopes }) {
      const old = (await keysOf(identity)).find((key) => key.id === id)
      if (!old) return undefined
      const { secret, key, hash } = made({ identity, label: old.label, scopes, expiresAtMs: old.expiresAtMs })
      const endsMs = now() + overlapSeconds * 1000
      const stays = overlapSeconds > 0
      const slot = stays ? await takeSlot(identity, hash, key.expiresAtMs) : old.slot
      if (slot === undefined) return 'full'
      // No key yet where the old one has the slot.
      await write(hash, slot, key)
      const isFirst = await ends.from(id, endsMs)
      // The row of the old one is never written again: it would bring back what somebody revokes now.
      const isIn = isFirst && (await turnSlot(old.slot, old.hash, stays ? slotRow(old.slot, old.hash, endsMs) : slotRow(slot, hash, key.expiresAtMs)))
      if (!isFirst || (!stays && !isIn)) {
        await store.remove('api_keys', hash)
        if (stays) await turnSlot(slot, hash, undefined)
        return 'over'
      }
      if (!stays) await forget(old)
      if (isIn) await ends.settled(id, endsMs)
      return { secret, key }
    },
    async revoke(identity, id) {
      const key = (await keysOf(identity)).find((one) => one.id === id)
      if (!key) return false
      // First: what is left when this breaks off is listed, lets nobody in, and can be revoked again.
      await ends.now(id)
      const wasThere = await forget(key)
      await turnSlot(key.slot, key.hash, undefined)
      await ends.settled(id)
      return wasThere
    },
    used({ id, expiresAtMs }) {
      const hourMs = Math.floor(now() / USE_MS) * USE_MS
      if (noted.get(id) === hourMs) return
      if (noted.size >= MOST_NOTED) noted.clear()
      noted.set(id, hourMs)
      store.put('api_key_uses', { key: id, value: String(hourMs), expiresAtMs }).catch(() => noted.delete(id))
    },
    async all() {
      const keys = await Promise.all((await store.list('api_keys')).map(({ key }) => keyAt(key)))
      return Promise.all(keys.filter((key) => key !== undefined).map(shown))
    },
  }

  async function forget({ hash, id }: KeptKey): Promise<boolean> {
    const wasThere = await store.remove('api_keys', hash)
    await store.remove('api_key_uses', id)
    return wasThere
  }
}

function slotNames(identity: string): string[] {
  const owner = createHash('sha256').update(identity).digest('base64url')
  return Array.from({ length: MOST_KEYS }, (_, index) => `${owner}.${index}`)
}

/** What cannot be read is nobody's, and stays. */
function slotIn(value = ''): { hash: string; atMs: number } {
  const row = jsonIn(value)
  const isWhole = isObject(row) && typeof row['hash'] === 'string' && typeof row['atMs'] === 'number'
  return isWhole ? { hash: String(row['hash']), atMs: Number(row['atMs']) } : { hash: '', atMs: Infinity }
}
