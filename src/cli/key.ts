// `openmcp key`: API keys, made and taken back by the operator. It acts on the store; a proxy that runs on the same store follows.
import { createKeyEnds } from '../api-keys/ends.ts'
import { createKeyRing, type KeyList, type KeyRing, type ShownKey } from '../api-keys/key-ring.ts'
import { MOST_LABEL, isLabel } from '../api-keys/label.ts'
import { shownOf } from '../api-keys/shown-key.ts'
import { OpenMcpError } from '../errors.ts'
import { openNodeKeys } from '../identity/key-store.ts'
import { createLog } from '../observe/log.ts'
import { parseIdentityPattern } from '../policy/patterns.ts'
import { SCOPES, isScope } from '../policy/scopes.ts'
import { openStore } from '../store/open-store.ts'
import { isApiKey } from '../tokens/api-key.ts'
import { createRevocation } from '../tokens/revocation.ts'
import type { Arguments } from './arguments.ts'
import { keysDirectory, sharedStoreUrl } from './home.ts'
import type { Io } from './io.ts'
import { machineOf } from './machine.ts'
import { createMistakes } from './mistakes.ts'
import { subcommandOf, type Subcommand } from './subcommand.ts'
import { oneOf, type Reading } from './target-options.ts'
import { clean, print, say } from './terminal.ts'
import { identityOf } from '../config/trust-rule.ts'
import { parseUntil } from './values.ts'

const SUBCOMMANDS = {
  create: {
    how: "openmcp key create ID [--label NAME] [--scope 'mcp:tools'] [--until 90d]",
    least: 1,
    most: 1,
    options: ['store', 'keys', 'label', 'scope', 'until'],
  },
  list: { how: 'openmcp key list [ID] [--json]', least: 0, most: 1, options: ['store', 'keys', 'json'] },
  revoke: { how: 'openmcp key revoke KEY', least: 1, most: 1, options: ['store', 'keys'] },
} satisfies Record<string, Subcommand>

/** stdout is the key and nothing else, or the list. */
export async function key(args: Arguments, io: Io): Promise<number> {
  const reading: Reading = { args, machine: machineOf(io), mistakes: createMistakes(args.mistakes), warnings: [] }
  if (args.words.some(isApiKey)) {
    // It is not repeated.
    throw new OpenMcpError('usage', 'this is a key itself, and other programs of this machine can read a command line: name the key by its id', {
      hint: 'openmcp key list; openmcp key revoke KEY, for this one too, since it was typed',
    })
  }
  const { name, words } = subcommandOf('key', SUBCOMMANDS, reading)
  const [word = ''] = words
  const url = sharedStoreUrl(reading)
  if (name === 'create') return create(newKeyOf(word, reading), { url, dir: keysDirectory(reading) }, reading, io)
  const identity = name === 'list' && word !== '' ? reading.mistakes.attempt(() => identityOf(word)) : undefined
  reading.mistakes.throwIfAny()
  return withRing({ url, hashing: unused }, reading, (ring) => (name === 'list' ? list(ring, identity, args, io) : revoke(ring, word, io)))
}

async function create(asked: NewKey, { url, dir }: { url: string; dir: string }, reading: Reading, io: Io): Promise<number> {
  reading.mistakes.throwIfAny()
  const { now } = reading.machine
  const keys = await openNodeKeys(dir, { now, log: createLog({ level: 'error', format: 'text', write: () => {}, now }) })
  const made = await withRing({ url, hashing: keys.hashing }, reading, (ring) => ring.create(asked)).finally(keys.close)
  if (made === 'full') {
    throw new OpenMcpError('usage', `${asked.identity} has as many keys as an identity may have`, { hint: 'openmcp key list; openmcp key revoke KEY' })
  }
  say(io, `made ${shownKey({ ...made.key, lastUsedMs: undefined })}`)
  say(io, 'it lets in as long as its identity is trusted: openmcp trust add')
  await print(io, `${made.secret}\n`)
  return 0
}

async function list(ring: KeyRing & KeyList, identity: string | undefined, args: Arguments, io: Io): Promise<number> {
  const keys = await (identity === undefined ? ring.all() : ring.listOf(identity))
  if (args.given.has('json'))
    await print(
      io,
      `${JSON.stringify(
        keys.map((one) => ({ id: one.id, did: one.identity, ...shownOf(one) })),
        null,
        2,
      )}\n`,
    )
  else if (keys.length === 0) say(io, 'there is no key: openmcp key create ID')
  else await print(io, keys.map((one) => `${clean(shownKey(one))}\n`).join(''))
  return 0
}

async function revoke(ring: KeyRing & KeyList, id: string, io: Io): Promise<number> {
  const found = (await ring.all()).find((one) => one.id === id)
  if (!found || !(await ring.revoke(found.identity, found.id))) {
    throw new OpenMcpError('not_found', 'there is no such key in this store', { hint: 'openmcp key list' })
  }
  say(io, `revoked: ${shownKey(found)}`)
  return 0
}

type NewKey = Parameters<KeyRing['create']>[0]

function newKeyOf(word: string, reading: Reading): NewKey {
  const { mistakes, machine } = reading
  const identity = mistakes.attempt(() => {
    const id = identityOf(word)
    // That it is missing was told before.
    if (word === '' || parseIdentityPattern(id)?.kind === 'exact') return id
    throw new OpenMcpError('usage', 'a key is of one identity, and this is none', { hint: "ID is a DID, or 'ISSUER|SUBJECT': openmcp trust list" })
  })
  const scopes = oneOf(reading, 'scope', (text, as) => {
    const asked = text.split(/\s+/).filter((scope) => scope !== '')
    if (asked.length > 0 && asked.every(isScope)) return asked
    throw new OpenMcpError('usage', `${as} has a word that is no scope`, { hint: SCOPES.join(', ') })
  })
  const expiresAt = oneOf(reading, 'until', (text, as) => parseUntil(text, as, machine.now()))
  const label = oneOf(reading, 'label', (text, as) => {
    if (isLabel(text.trim())) return text.trim()
    throw new OpenMcpError('usage', `${as} is not one line of text`, { hint: `${as} takes at most ${MOST_LABEL} characters` })
  })
  return { identity: identity ?? '', label: label ?? '', scopes: scopes ?? ['mcp'], expiresAtMs: expiresAt === undefined ? undefined : Date.parse(expiresAt) }
}

async function withRing<T>(
  { url, hashing }: { url: string; hashing: () => Uint8Array },
  { machine: { now } }: Reading,
  act: (ring: KeyRing & KeyList) => Promise<T>,
): Promise<T> {
  const store = await openStore(url, { now })
  try {
    const revocation = await createRevocation({ store, now })
    return await act(createKeyRing({ store, hashing, ends: createKeyEnds({ revocation, now, ended() {} }), now }))
  } finally {
    await store.close()
  }
}

/** To see and to revoke no key has to be known. */
function unused(): never {
  throw new Error('nothing is hashed here')
}

function shownKey({ id, identity, label, scopes, expiresAtMs, lastUsedMs }: ShownKey): string {
  const parts = [
    ...(label === '' ? [] : [JSON.stringify(label)]),
    scopes.join(' '),
    ...(expiresAtMs === undefined ? [] : [`until ${new Date(expiresAtMs).toISOString()}`]),
    lastUsedMs === undefined ? 'never used' : `last used ${new Date(lastUsedMs).toISOString()}`,
  ]
  return `${id} of ${identity} (${parts.join(', ')})`
}
