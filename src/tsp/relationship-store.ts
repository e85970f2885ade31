// Relationships across restarts. With each the long form of a did:peer:4 is kept: by its short one nobody could be found again.
import { createHash, randomBytes } from 'node:crypto'

import { isObject } from '../protocol/message.ts'
import { isVid, type Vid } from '../identity/vid.ts'
import type { Store } from '../store/shapes.ts'
import { parseDigest, type Digest } from './digest.ts'
import { NO_RELATIONSHIP, type Relationship } from './relationship.ts'

/** Every function fails with `store_failed` when the store cannot do its work. */
export interface RelationshipStore {
  get(local: Vid, remote: Vid): Promise<Held>
  /** `written` is the remote VID as it was shown, in its long form or in its short one. */
  put(local: Vid, remote: Vid, relationship: Relationship, written?: Vid): Promise<void>
  /** Whether this invite of the remote VID was not taken before: a message says nothing of when it was made. */
  isFirst(local: Vid, remote: Vid, invite: Digest): Promise<boolean>
}

export interface Held {
  readonly relationship: Relationship
  /** Of our own, and the same when a peer begins it anew: what was made in it ends when it ends. Empty: there is none. */
  readonly id: string
  /** When it ends if nothing is done for it. */
  readonly untilMs: number
}

export const NOTHING_HELD: Held = { relationship: NO_RELATIONSHIP, id: '', untilMs: 0 }

export interface KeptRelationships extends RelationshipStore {
  /** Who has a relationship with this VID, in the form by which it can be resolved. */
  remotesOf(local: Vid): Promise<Vid[]>
}

export interface KeptRelationshipsOptions {
  store: Pick<Store, 'add' | 'get' | 'put' | 'remove' | 'list'>
  /** So long after its last change a relationship is there. */
  lifeSeconds: number
  now: () => number
}

interface Kept {
  readonly relationship: Relationship
  readonly id: string
  readonly written: Vid
}

/** So long what was read is believed: it is asked for with every message, and another process on this store is rare. */
const BELIEVED_MS = 500
const MOST_BELIEVED = 1000

/** An invite that was recorded can be played again after this: for ever would be a row for every invite that there was. */
const INVITE_MS = 7 * 24 * 3600 * 1000

export function createKeptRelationships({ store, lifeSeconds, now }: KeptRelationshipsOptions): KeptRelationships {
  let writes = 0
  const believed = new Map<string, { held: Held; untilMs: number }>()

  async function read(key: string): Promise<Held> {
    const row = await store.get('tsp', key)
    const kept = row && parseKept(row.value)
    return row && kept ? { relationship: kept.relationship, id: kept.id, untilMs: row.expiresAtMs ?? Infinity } : NOTHING_HELD
  }

  async function write(key: string, relationship: Relationship, written: Vid, remote: Vid): Promise<void> {
    if (relationship.state === 'none') {
      await store.remove('tsp', key)
      return
    }
    const row = await store.get('tsp', key)
    const before = row && parseKept(row.value)
    // The short form, which every later message shows, takes nothing from the long one that came first.
    const longest = written === remote ? (before?.written ?? written) : written
    const id = before?.id ?? randomBytes(16).toString('base64url')
    await store.put('tsp', { key, value: JSON.stringify({ relationship, id, written: longest }), expiresAtMs: now() + lifeSeconds * 1000 })
  }

  /** Not what is none: strangers have many. */
  function believe(key: string, held: Held): void {
    believed.delete(key)
    if (held === NOTHING_HELD) return
    believed.set(key, { held, untilMs: Math.min(now() + BELIEVED_MS, held.untilMs) })
    const [oldest] = believed.keys()
    if (believed.size > MOST_BELIEVED && oldest !== undefined) believed.delete(oldest)
  }

  return {
    async get(local, remote) {
      const key = keyOf(local, remote)
      const known = believed.get(key)
      if (known && now() < known.untilMs) return known.held
      const writtenBefore = writes
      const held = await read(key)
      // What was written meanwhile is newer than what was read.
      if (writes === writtenBefore) believe(key, held)
      return held
    },
    async put(local, remote, relationship, written = remote) {
      const key = keyOf(local, remote)
      try {
        await write(key, relationship, written, remote)
      } finally {
        writes++
        believed.delete(key)
      }
    },
    isFirst(local, remote, invite) {
      const key = createHash('sha256')
        .update(JSON.stringify(['invite', local, remote, invite]))
        .digest('base64url')
      return store.add('replay', { key, value: '', expiresAtMs: now() + INVITE_MS })
    },
    async remotesOf(local) {
      const rows = await store.list('tsp')
      return rows.filter(({ key }) => key.startsWith(`${local} `)).flatMap(({ value }) => parseKept(value)?.written ?? [])
    },
  }
}

/** A DID has no space in it. */
function keyOf(local: Vid, remote: Vid): string {
  return `${local} ${remote}`
}

/** Undefined for a row that is not as it was written: then there is no relationship. */
function parseKept(text: string): Kept | undefined {
  const kept = parsed(text)
  if (!isObject(kept) || !isObject(kept['relationship'])) return undefined
  const relationship = relationshipOf(kept['relationship'])
  const { id, written } = kept
  return relationship && typeof id === 'string' && isVid(written) ? { relationship, id, written } : undefined
}

function relationshipOf({ state, invite: inviteText, accept: acceptText }: Record<string, unknown>): Relationship | undefined {
  const [invite, accept] = [parseDigest(inviteText), parseDigest(acceptText)]
  if (invite === undefined) return undefined
  if (state === 'invite-sent' || state === 'invite-received') return { state, invite }
  return state === 'bidirectional' && accept !== undefined ? { state, invite, accept } : undefined
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
