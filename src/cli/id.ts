// `openmcp id`: identities of our own, and the keys of this node.
import { readdir } from 'node:fs/promises'
import { OpenMcpError } from '../errors.ts'
import { openNodeKeys } from '../identity/key-store.ts'
import { deactivateIdentity, listIdentities, rotateIdentity } from '../identity/own-identities.ts'
import type { NodeKeys, OwnIdentity } from '../identity/shapes.ts'
import { methodOf, parseVid, shortFormOf } from '../identity/vid.ts'
import { createLog } from '../observe/log.ts'
import { openStore } from '../store/open-store.ts'
import type { Arguments } from './arguments.ts'
import { keysDirectory, sharedStoreUrl } from './home.ts'
import type { Asked } from './id-asked.ts'
import { exported, imported } from './id-carry.ts'
import { create, documentUrlOf } from './id-create.ts'
import type { Io } from './io.ts'
import { machineOf } from './machine.ts'
import { createMistakes } from './mistakes.ts'
import { subcommandOf, type Subcommand } from './subcommand.ts'
import { allOf, type Reading } from './target-options.ts'
import { print, say } from './terminal.ts'

const SUBCOMMANDS = {
  create: {
    how: 'openmcp id create NAME [--method key|jwk|web] [--curve Ed25519|P-256|secp256k1] [--domain DOMAIN], or NAME --tsp [--endpoint URL] [--method peer|web]',
    least: 1,
    most: 1,
    options: ['keys', 'method', 'curve', 'domain', 'tsp', 'endpoint'],
  },
  list: { how: 'openmcp id list [--json]', least: 0, most: 0, options: ['keys', 'json'] },
  show: { how: 'openmcp id show [NAME] [--json]', least: 0, most: 1, options: ['keys', 'json'] },
  export: { how: 'openmcp id export NAME [--private | --piv]', least: 1, most: 1, options: ['keys', 'private', 'piv'] },
  import: { how: 'openmcp id import NAME [FILE]', least: 1, most: 2, options: ['keys'] },
  rotate: { how: 'openmcp id rotate [NAME | --now]', least: 0, most: 1, options: ['keys', 'now'] },
  deactivate: { how: 'openmcp id deactivate NAME|DID', least: 1, most: 1, options: ['keys', 'store'] },
} satisfies Record<string, Subcommand>

const ACTS: Record<keyof typeof SUBCOMMANDS, (asked: Asked) => Promise<void>> = {
  create,
  list,
  show,
  export: exported,
  import: imported,
  rotate,
  deactivate,
}

export async function id(args: Arguments, io: Io): Promise<number> {
  const machine = machineOf(io)
  const reading: Reading = { args, machine, mistakes: createMistakes(args.mistakes), warnings: [] }
  const { name, words } = subcommandOf('id', SUBCOMMANDS, reading)
  const [word = '', second] = words
  await ACTS[name]({ word, second, keys: keysDirectory(reading), reading, now: machine.now, io })
  return 0
}

async function list({ keys, reading, io }: Asked): Promise<void> {
  reading.mistakes.throwIfAny()
  const all = await listIdentities(keys)
  if (allOf(reading, 'json').length > 0) return print(io, `${JSON.stringify(all.map(toJson), null, 2)}\n`)
  if (all.length === 0) return say(io, 'there is no identity yet: openmcp id create NAME')
  return print(io, all.map(listed).join(''))
}

function listed({ name, vid, endpoint, deactivated }: OwnIdentity): string {
  return `${name} ${vid}${endpoint === undefined ? '' : ` ${endpoint}`}${deactivated ? ' (deactivated)' : ''}\n`
}

async function show(asked: Asked): Promise<void> {
  const { word: name, keys, reading, io } = asked
  reading.mistakes.throwIfAny()
  const isJson = allOf(reading, 'json').length > 0
  if (name === '') {
    const all = await withNodeKeys(asked, async (node) => node.list())
    return print(io, isJson ? `${JSON.stringify(all, null, 2)}\n` : all.map(({ purpose, state, kid }) => `${purpose} ${state} ${kid}\n`).join(''))
  }
  const one = toJson(await identityNamed(keys, name))
  return print(io, isJson ? `${JSON.stringify(one, null, 2)}\n` : shown(one))
}

function shown(one: object): string {
  return Object.entries(one)
    .map(([label, text]) => `${label}: ${text}\n`)
    .join('')
}

function toJson({ name, vid, long, endpoint, kid, alg, createdAtMs, deactivated }: OwnIdentity): object {
  const forTsp = { ...(long !== vid && { long }), ...(endpoint !== undefined && { endpoint }) }
  return { name, did: vid, ...forTsp, key: kid, alg, created: new Date(createdAtMs).toISOString(), deactivated }
}

async function identityNamed(keys: string, name: string): Promise<OwnIdentity> {
  const found = (await listIdentities(keys)).find((each) => each.name === name)
  if (found) return found
  throw new OpenMcpError('usage', `there is no identity ${name}`, { hint: 'openmcp id list says which there are' })
}

/** Published so long before it signs, that whoever has read the keys before reads them again. */
const LEAD_SECONDS = 300

async function rotate(asked: Asked): Promise<void> {
  const { word: name, keys: dir, reading, now, io } = asked
  const isNow = allOf(reading, 'now').length > 0
  if (name !== '' && isNow) {
    reading.mistakes.add(
      new OpenMcpError('usage', '--now is for the keys of this node, and a name is given', { hint: `openmcp id deactivate ${name} ends an identity at once` }),
    )
  }
  reading.mistakes.throwIfAny()
  if (name !== '') {
    const { vid, kid, endpoint } = await rotateIdentity({ dir, name, now })
    await print(io, `${kid}\n`)
    say(io, `${name} signs with a new key: publish its document again at ${documentUrlOf(vid)}`)
    if (endpoint !== undefined) say(io, 'start what runs as it anew: what is sealed to it is sealed to a new key, and the one before opens nothing any more')
    return
  }
  const before = now()
  const kid = await withNodeKeys(asked, async (node) => {
    const known = node.list().map((key) => key.kid)
    await node.rotate(isNow ? { leadSeconds: 0, dropOld: true } : { leadSeconds: LEAD_SECONDS })
    return node.list().find((key) => key.purpose === 'tokens' && !known.includes(key.kid))?.kid ?? ''
  })
  await print(io, `${kid}\n`)
  if (isNow) return say(io, 'signs from now on; all keys of before are gone, and every token they signed is refused')
  const from = new Date(before + LEAD_SECONDS * 1000).toISOString()
  say(io, `is published now and signs from ${from} on; the one before it stays published until its last token has expired`)
}

/** Looking at keys makes none. */
async function withNodeKeys<T>({ keys, now, io }: Asked, act: (node: NodeKeys) => Promise<T>): Promise<T> {
  const names = await readdir(keys).catch(() => [])
  if (!names.some((file) => file.startsWith('tokens-'))) {
    throw new OpenMcpError('usage', `there are no keys of a node in ${keys}`, { hint: 'openmcp run --security makes them when it starts first' })
  }
  const log = createLog({ level: 'warn', format: 'text', write: (line) => void io.stderr.write(line), now })
  const node = await openNodeKeys(keys, { now, log })
  try {
    return await act(node)
  } finally {
    node.close()
  }
}

/** An identity of our own signs no more; any, ours or not, is shut out of what runs on this store, and what it has open ends. */
async function deactivate({ word, keys: dir, reading, now, io }: Asked): Promise<void> {
  const url = sharedStoreUrl(reading)
  const did = word.startsWith('did:') ? reading.mistakes.attempt(() => shortFormOf(parseVid(word))) : undefined
  reading.mistakes.throwIfAny()
  const ours = did === undefined ? [word] : (await listIdentities(dir)).filter(({ vid }) => vid === did).map(({ name }) => name)
  let vid = did
  for (const name of ours) ({ vid } = await deactivateIdentity({ dir, name, now }))
  if (vid === undefined) throw new OpenMcpError('internal', 'neither a name nor a DID')
  const store = await openStore(url, { now })
  try {
    await store.put('deactivated', { key: vid, value: JSON.stringify({ atMs: now() }), expiresAtMs: undefined })
  } finally {
    await store.close()
  }
  say(io, `deactivated: ${vid}; what it has open at a proxy on this store ends`)
  if (ours.length > 0 && methodOf(vid) === 'web') say(io, `publish its document again, without a key: openmcp id export ${ours[0]}`)
}
