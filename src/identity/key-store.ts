// The keys of this node: a directory of files, one for each key, that several processes share. A file is written once and never
// changed; what a key may do follows from the clock and from the keys that came after it.
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { newKeyFile, parseKeyFile, type KeyFile, type Purpose } from './node-key-file.ts'
import { createPrivateFile, makePrivateDirectory, readPrivateFile, removeLeftovers, removePrivateFile } from './private-files.ts'
import type { NodeKey, NodeKeys } from './shapes.ts'

export interface NodeKeysOptions {
  now: () => number
  log: Log
  platform?: NodeJS.Platform
  /**
   * How long a token lives: a key that signs no more stays published that long, and its file is removed then. Undefined, for a
   * command that does not know it: nothing is removed.
   */
  tokenLifeSeconds?: number
}

const EVERY_MS = 500
const SKEW_SECONDS = 60
/** Made on first start. A key for the audit log is made when there is one. */
const NEEDED: readonly Purpose[] = ['tokens', 'seal', 'api-keys']
/** What API keys are hashed under stays: nobody could hash them anew. */
const ROTATED: readonly Purpose[] = ['tokens', 'seal']
const FILE = /^(tokens|seal|audit|api-keys)-([1-9]\d{0,8})\.json$/
const MAX_FILES = 100

/** Fails with `keys_unsafe`, which names the path and what to do; then nothing was made or changed. */
export async function openNodeKeys(dir: string, { now, log, platform = process.platform, tokenLifeSeconds }: NodeKeysOptions): Promise<NodeKeys> {
  await makePrivateDirectory(dir, platform)
  await removeLeftovers(dir, now())
  let listing = await listed(dir)
  let keys = await readKeys(dir, listing, platform)
  let lastReading = Promise.resolve()
  for (const purpose of NEEDED) {
    // Of several processes that start at once one makes the first key, and the others read it.
    if (!keys.some((key) => key.purpose === purpose)) await create(purpose, 1, now(), now())
  }
  await reread()
  let isFailing = false
  let closed = false
  let timer = later()

  function later(): NodeJS.Timeout {
    return setTimeout(() => void look(), EVERY_MS).unref()
  }
  async function look(): Promise<void> {
    try {
      if ((await listed(dir)).stamp !== listing.stamp) await reread()
      await removeOver()
      isFailing = false
    } catch (thrown) {
      // A key whose file was taken away must sign no more, even if another file cannot be read.
      const names = await readdir(dir).catch(() => undefined)
      if (names) keys = keys.filter(({ name }) => names.includes(name))
      if (!isFailing) log.warn(`the keys cannot be followed, those that are known stay: ${thrown instanceof OpenMcpError ? thrown.message : String(thrown)}`)
      isFailing = true
    }
    if (!closed) timer = later()
  }
  /** One after the other: of two at once the slower one could bring back a key that was dropped between them. */
  function reread(): Promise<void> {
    const reading = lastReading
      .catch(() => {})
      .then(async () => {
        const found = await listed(dir)
        keys = await readKeys(dir, found, platform)
        listing = found
      })
    lastReading = reading
    return reading
  }
  async function create(purpose: Purpose, number: number, createdAtMs: number, activeFromMs: number): Promise<boolean> {
    return createPrivateFile(join(dir, `${purpose}-${number}.json`), await newKeyFile(purpose, { createdAtMs, activeFromMs }))
  }
  async function removeOver(): Promise<void> {
    for (const { key, state } of standing()) if (state === 'over') await removePrivateFile(join(dir, key.name))
  }
  function standing(): Standing[] {
    return (['tokens', 'seal', 'audit', 'api-keys'] as const).flatMap((purpose) =>
      statesOf(
        keys.filter((key) => key.purpose === purpose),
        now(),
        tokenLifeSeconds,
      ),
    )
  }
  const current = (purpose: Purpose): Standing[] => standing().filter(({ key, state }) => key.purpose === purpose && state !== 'over')

  return {
    signing() {
      const material = current('tokens').find(({ state }) => state === 'active')?.key
      if (material?.material.kind !== 'signing')
        throw new OpenMcpError('keys_unsafe', `there is no key to sign with in ${dir}`, { hint: 'start openmcp again' })
      return { kid: material.kid, alg: 'EdDSA', privateKey: material.material.privateKey }
    },
    published: () =>
      current('tokens').flatMap(({ key: { kid, material } }) =>
        material.kind === 'signing' ? [{ ...material.publicJwk, kid, alg: 'EdDSA' as const, use: 'sig' as const }] : [],
      ),
    verifying(kid) {
      const material = current('tokens').find(({ key }) => key.kid === kid)?.key.material
      return material?.kind === 'signing' ? material.publicKey : undefined
    },
    sealing: () =>
      current('seal')
        .toSorted((a, b) => Number(b.state === 'active') - Number(a.state === 'active'))
        .flatMap(({ key: { material } }) => (material.kind === 'sealing' ? [material.bytes] : [])),
    hashing() {
      const material = current('api-keys').find(({ state }) => state === 'active')?.key.material
      if (material?.kind !== 'sealing')
        throw new OpenMcpError('keys_unsafe', `there is no key to hash API keys with in ${dir}`, { hint: 'put it back from a copy' })
      return material.bytes
    },
    list: () => standing().flatMap(({ key: { kid, purpose }, state }) => (state === 'over' ? [] : [{ kid, purpose, state }])),
    async rotate({ leadSeconds, dropOld = false }) {
      if (!Number.isFinite(leadSeconds) || leadSeconds < 0) throw new OpenMcpError('usage', 'the lead of a new key is a number of seconds')
      if (dropOld && leadSeconds > 0) throw new OpenMcpError('usage', 'a key that leaked is replaced at once: there is no lead')
      await reread()
      const old = keys.filter(({ purpose }) => ROTATED.includes(purpose))
      const at = now()
      for (const purpose of ROTATED) {
        const last = Math.max(0, ...keys.flatMap((key) => (key.purpose === purpose ? [key.number] : [])))
        if (await create(purpose, last + 1, at, at + leadSeconds * 1000)) continue
        throw new OpenMcpError('keys_unsafe', `another process rotated the keys in ${dir} at the same moment`, {
          hint: 'look with openmcp id list, and try again',
        })
      }
      if (dropOld) for (const { name } of old) await removePrivateFile(join(dir, name))
      await reread()
    },
    close() {
      closed = true
      clearTimeout(timer)
    },
  }
}

interface Key extends KeyFile {
  readonly name: string
  readonly number: number
}

interface Listing {
  readonly names: readonly string[]
  /** Another one when a file came, went or was replaced. */
  readonly stamp: string
}

interface Standing {
  readonly key: Key
  readonly state: NodeKey['state'] | 'over'
}

/** By number: the highest one whose time has come is active; when none's has, as after a clock that was wrong, it is the first. */
function statesOf(keys: readonly Key[], nowMs: number, lifeSeconds: number | undefined): Standing[] {
  const inOrder = keys.toSorted((a, b) => a.number - b.number)
  const active = inOrder.findLast(({ activeFromMs }) => activeFromMs <= nowMs) ?? inOrder[0]
  return inOrder.map((key, index) => {
    if (key === active) return { key, state: 'active' }
    if (active && key.number > active.number) return { key, state: 'next' }
    const retiredAtMs = Math.min(...inOrder.slice(index + 1).map(({ activeFromMs }) => activeFromMs))
    const isOver = lifeSeconds !== undefined && nowMs >= retiredAtMs + (lifeSeconds + SKEW_SECONDS) * 1000
    return { key, state: isOver ? 'over' : 'retiring' }
  })
}

async function listed(dir: string): Promise<Listing> {
  const found = await readdir(dir).catch((thrown: unknown) => {
    throw new OpenMcpError('keys_unsafe', `${dir} cannot be read`, { cause: thrown })
  })
  const names = found.filter((name) => name.endsWith('.json') && !name.startsWith('.')).toSorted()
  if (names.length > MAX_FILES) throw new OpenMcpError('keys_unsafe', `${dir} holds more than ${MAX_FILES} keys`)
  const stamps = await Promise.all(names.map((name) => lstat(join(dir, name)).catch(() => undefined)))
  return {
    names,
    stamp: JSON.stringify(names.map((name, index) => [name, stamps[index]?.ino, stamps[index]?.mtimeMs, stamps[index]?.mode, stamps[index]?.uid])),
  }
}

async function readKeys(dir: string, { names }: Listing, platform: NodeJS.Platform): Promise<Key[]> {
  const keys: Key[] = []
  for (const name of names) {
    const path = join(dir, name)
    const [, purpose, number] = FILE.exec(name) ?? []
    // A key that somebody renamed would be passed over without a word.
    if (purpose === undefined)
      throw new OpenMcpError('keys_unsafe', `${path} is not a name that openmcp gives to a key`, { hint: 'move it out of the directory' })
    const text = await readPrivateFile(path, platform).catch(async (thrown: unknown) => {
      // Another process may just have removed it.
      if (await lstat(path).catch(() => undefined)) throw thrown
      return undefined
    })
    if (text === undefined) continue
    // FILE has these three.
    const file = await parseKeyFile(text, path, purpose as Purpose)
    keys.push({ ...file, name, number: Number(number) })
  }
  return keys
}
