import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { calculateJwkThumbprint, jwtVerify, SignJWT } from 'jose'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'

import { openNodeKeys } from '../../src/identity/key-store.ts'
import type { NodeKeys } from '../../src/identity/shapes.ts'
import { createLog } from '../../src/observe/log.ts'
import { until } from '../support/until.ts'

const LIFE = 900
const SKEW = 60

let dir: string
let nowMs: number
let lines: string[]

beforeEach(() => {
  dir = join(mkdtempSync(join(tmpdir(), 'openmcp-keys-')), 'keys')
  nowMs = Date.parse('2026-06-01T12:00:00Z')
  lines = []
})
afterEach(() => rmSync(join(dir, '..'), { recursive: true, force: true }))

const log = createLog({ level: 'debug', format: 'text', write: (line) => void lines.push(line), now: () => 0 })
async function open(options: { tokenLifeSeconds?: number; platform?: NodeJS.Platform } = { tokenLifeSeconds: LIFE }): Promise<NodeKeys> {
  const keys = await openNodeKeys(dir, { now: () => nowMs, log, ...options })
  onTestFinished(keys.close)
  return keys
}
const states = (keys: NodeKeys, purpose = 'tokens') => keys.list().flatMap((key) => (key.purpose === purpose ? [key.state] : []))
const contentOf = (file: string) => readFileSync(join(dir, file), 'utf8')
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

test('the first start makes a key to sign and one to seal with, for nobody else to read, and no key for what is not used', async () => {
  const keys = await open()
  expect(readdirSync(dir).toSorted()).toEqual(['api-keys-1.json', 'seal-1.json', 'tokens-1.json'])
  expect([dir, join(dir, 'seal-1.json'), join(dir, 'tokens-1.json')].map(modeOf)).toEqual(['700', '600', '600'])
  expect(keys.list().map(({ purpose, state }) => `${purpose} ${state}`)).toEqual(['tokens active', 'seal active', 'api-keys active'])
  expect(keys.sealing().map(({ length }) => length)).toEqual([32])
})

test('what is signed is verified by what is published, under the name of its thumbprint', async () => {
  const keys = await open()
  const { kid, alg, privateKey } = keys.signing()
  const [published] = keys.published()
  expect(published).toEqual({ kty: 'OKP', crv: 'Ed25519', x: expect.any(String), kid, alg: 'EdDSA', use: 'sig' })
  expect(await calculateJwkThumbprint({ kty: 'OKP', crv: 'Ed25519', x: published?.x ?? '' })).toBe(kid)
  const token = await new SignJWT({ sub: 'a' }).setProtectedHeader({ alg, kid }).sign(privateKey)
  const key = keys.verifying(kid)
  expect(key && (await jwtVerify(token, key)).payload).toEqual({ sub: 'a' })
  expect(keys.verifying('another')).toBeUndefined()
})

test('a private key cannot be taken out of the process again', async () => {
  const { privateKey } = (await open()).signing()
  expect(privateKey.extractable).toBe(false)
  await expect(crypto.subtle.exportKey('jwk', privateKey)).rejects.toThrow('not extractable')
})

test('another start reads the same keys and writes nothing', async () => {
  const before = await open()
  const files = readdirSync(dir).map(contentOf)
  const after = await open()
  expect(after.signing().kid).toBe(before.signing().kid)
  expect(after.sealing()).toEqual(before.sealing())
  expect(readdirSync(dir).map(contentOf)).toEqual(files)
})

test('of many that start at once one makes the key, and all use it', async () => {
  const all = await Promise.all(Array.from({ length: 12 }, () => open()))
  expect(new Set(all.map((keys) => keys.signing().kid)).size).toBe(1)
  expect(new Set(all.map((keys) => Buffer.from(keys.sealing()[0] ?? []).toString('hex'))).size).toBe(1)
  expect(readdirSync(dir).toSorted()).toEqual(['api-keys-1.json', 'seal-1.json', 'tokens-1.json'])
})

describe('a rotation', () => {
  test('publishes the next key before it signs, and the old one until its last token has expired', async () => {
    const keys = await open()
    const { kid: first } = keys.signing()
    await keys.rotate({ leadSeconds: 600 })
    expect(states(keys)).toEqual(['active', 'next'])
    expect(keys.signing().kid).toBe(first)
    const [, next] = keys.published()
    expect(keys.verifying(next?.kid ?? '')).toBeDefined()

    nowMs += 600_000
    expect(states(keys)).toEqual(['retiring', 'active'])
    expect(keys.signing().kid).toBe(next?.kid)
    expect(keys.verifying(first)).toBeDefined()

    nowMs += (LIFE + SKEW) * 1000 - 1
    expect(keys.published().map(({ kid }) => kid)).toEqual([first, next?.kid])
    nowMs += 1
    expect(keys.published().map(({ kid }) => kid)).toEqual([next?.kid])
    expect(keys.verifying(first)).toBeUndefined()
    await until('its file is removed', () => !existsSync(join(dir, 'tokens-1.json')) && !existsSync(join(dir, 'seal-1.json')))
    expect(states(await open())).toEqual(['active'])
  })

  test('seals with the new key, and opens with the old one', async () => {
    const keys = await open()
    const [first] = keys.sealing()
    await keys.rotate({ leadSeconds: 600 })
    expect(keys.sealing()[0]).toEqual(first)
    expect(keys.sealing()).toHaveLength(2)
    nowMs += 600_000
    expect(keys.sealing()[0]).not.toEqual(first)
    expect(keys.sealing()[1]).toEqual(first)
  })

  test('may be at once, and the old key still verifies', async () => {
    const keys = await open()
    const { kid } = keys.signing()
    await keys.rotate({ leadSeconds: 0 })
    expect(states(keys)).toEqual(['retiring', 'active'])
    expect(keys.verifying(kid)).toBeDefined()
  })

  test('of keys that leaked voids all that was there before, the next ones too', async () => {
    const keys = await open()
    const [seal] = keys.sealing()
    await keys.rotate({ leadSeconds: 600 })
    const old = keys.published().map(({ kid }) => kid)
    await keys.rotate({ leadSeconds: 0, dropOld: true })
    expect(old.map((kid) => keys.verifying(kid))).toEqual([undefined, undefined])
    expect(old).not.toContain(keys.signing().kid)
    expect(keys.sealing()).toHaveLength(1)
    expect(keys.sealing()).not.toContainEqual(seal)
    expect(readdirSync(dir).toSorted()).toEqual(['api-keys-1.json', 'seal-3.json', 'tokens-3.json'])
  })

  test.each([{ leadSeconds: -1 }, { leadSeconds: Number.NaN }, { leadSeconds: 1, dropOld: true }])('with %j is refused and makes nothing', async (options) => {
    const keys = await open()
    await expect(keys.rotate(options)).rejects.toMatchObject({ code: 'usage' })
    expect(readdirSync(dir)).toHaveLength(3)
  })

  test('by another process is followed, and so is the removal of a leaked key', async () => {
    const [proxy, command] = [await open(), await open({})]
    await command.rotate({ leadSeconds: 600 })
    await until('the next key is published', () => states(proxy).includes('next'))
    const { kid } = proxy.signing()
    await command.rotate({ leadSeconds: 0, dropOld: true })
    await until('the old key is gone', () => proxy.verifying(kid) === undefined)
    expect(proxy.signing().kid).toBe(command.signing().kid)
  })

  test('a key that was taken away signs no more, even when another file cannot be read', async () => {
    const keys = await open()
    const { kid } = keys.signing()
    writeFileSync(join(dir, 'tokens-2.json'), '{', { mode: 0o600 })
    renameSync(join(dir, 'tokens-1.json'), join(dir, '..', 'away'))
    await until('the key is gone', () => keys.verifying(kid) === undefined)
    expect(() => keys.signing()).toThrow(expect.objectContaining({ code: 'keys_unsafe' }))
    expect(lines.filter((line) => line.includes('tokens-2.json'))).toHaveLength(1)
  })

  test('that a command with no word on the life of tokens sees removes nothing', async () => {
    const command = await open({})
    await command.rotate({ leadSeconds: 0 })
    nowMs += 365 * 86_400_000
    expect(states(command)).toEqual(['retiring', 'active'])
  })
})

test('a clock that was ahead at the first start leaves a key to sign with', async () => {
  await open()
  nowMs -= 86_400_000
  expect(states(await open())).toEqual(['active'])
})

describe('refused is', () => {
  test.each(['711', '740', '755', '777'])('a directory of mode %s, with what to type', async (mode) => {
    mkdirSync(dir)
    chmodSync(dir, Number.parseInt(mode, 8))
    await expect(open()).rejects.toMatchObject({ code: 'keys_unsafe', message: expect.stringContaining(dir), hint: `chmod 700 ${dir}` })
    expect(readdirSync(dir)).toEqual([])
  })

  test.each(['640', '604', '620'])('a key of mode %s, with what to type', async (mode) => {
    await open()
    const path = join(dir, 'tokens-1.json')
    chmodSync(path, Number.parseInt(mode, 8))
    await expect(open()).rejects.toMatchObject({ code: 'keys_unsafe', message: expect.stringContaining(path), hint: `chmod 600 ${path}` })
    await expect(open({ platform: 'win32' })).resolves.toBeDefined()
  })

  test.skipIf(process.getuid?.() !== 0)('a key or a directory of another user', async () => {
    await open()
    chownSync(join(dir, 'tokens-1.json'), 12_345, 12_345)
    await expect(open()).rejects.toMatchObject({ code: 'keys_unsafe', message: expect.stringContaining('another user') })
    chownSync(dir, 12_345, 12_345)
    await expect(open()).rejects.toMatchObject({ code: 'keys_unsafe', message: expect.stringContaining(dir) })
  })

  test('a key behind a symbolic link, and a directory behind one', async () => {
    await open()
    const path = join(dir, 'tokens-1.json')
    renameSync(path, join(dir, '..', 'elsewhere.json'))
    symlinkSync(join(dir, '..', 'elsewhere.json'), path)
    await expect(open()).rejects.toMatchObject({ code: 'keys_unsafe', message: expect.stringContaining('symbolic link') })
    renameSync(dir, `${dir}.real`)
    symlinkSync(`${dir}.real`, dir)
    await expect(open()).rejects.toMatchObject({ code: 'keys_unsafe' })
  })

  test('a directory that is a file, or lies below one', async () => {
    writeFileSync(dir, '')
    await expect(open()).rejects.toMatchObject({ code: 'keys_unsafe' })
    dir = join(dir, 'below')
    await expect(open()).rejects.toMatchObject({ code: 'keys_unsafe' })
    dir = join(dir, '..')
  })

  test('a key that somebody renamed', async () => {
    await open()
    renameSync(join(dir, 'tokens-1.json'), join(dir, 'old-key.json'))
    await expect(open()).rejects.toMatchObject({ code: 'keys_unsafe', message: expect.stringContaining('old-key.json') })
    expect(readdirSync(dir).toSorted()).toEqual(['api-keys-1.json', 'old-key.json', 'seal-1.json'])
  })

  const other = { x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A' }
  type File = Record<string, unknown> & { jwk: Record<string, unknown> }
  test.each<[string, string, (file: File) => unknown]>([
    ['no JSON', 'tokens', () => '{"version":1,'],
    ['an empty text', 'tokens', () => ''],
    ['a list', 'tokens', () => []],
    ['a newer version', 'tokens', (file) => ({ ...file, version: 2 })],
    ['an unknown member', 'tokens', (file) => ({ ...file, state: 'active' })],
    ['a missing member', 'tokens', (file) => ({ ...file, createdAt: undefined })],
    ['the purpose of another key', 'tokens', (file) => ({ ...file, purpose: 'audit' })],
    ['another name than its thumbprint', 'tokens', (file) => ({ ...file, kid: 'mine' })],
    ['a moment that is none', 'tokens', (file) => ({ ...file, activeFrom: 'soon' })],
    ['a public key that is not of the private one', 'tokens', (file) => ({ ...file, jwk: { ...file.jwk, x: other.x } })],
    ['a private key that is not of the public one', 'tokens', (file) => ({ ...file, jwk: { ...file.jwk, d: other.d } })],
    ['a member of the key too many', 'tokens', (file) => ({ ...file, jwk: { ...file.jwk, ext: true } })],
    ['a short key to seal with', 'seal', (file) => ({ ...file, jwk: { kty: 'oct', k: 'c2hvcnQ' } })],
    ['64 KiB and more', 'tokens', (file) => ({ ...file, kid: 'x'.repeat(70_000) })],
  ])('a file with %s, and it is left as it is, with nothing of the key in any word', async (_what, purpose, change) => {
    await open()
    const name = `${purpose}-1.json`
    // As it was just written by us.
    const file = JSON.parse(contentOf(name)) as File
    const changed = change(structuredClone(file))
    const text = typeof changed === 'string' ? changed : JSON.stringify(changed)
    writeFileSync(join(dir, name), text)
    const refusal: unknown = await open().catch((thrown: unknown) => thrown)
    expect(refusal).toMatchObject({ code: 'keys_unsafe', message: expect.stringContaining(join(dir, name)) })
    expect(contentOf(name)).toBe(text)
    const words = JSON.stringify([
      refusal,
      String(refusal),
      refusal instanceof Error && refusal.stack,
      refusal instanceof Error && String(refusal.cause),
      lines,
    ])
    const secrets = [file.jwk['d'], file.jwk['k'], other.d].filter((secret) => typeof secret === 'string')
    expect(secrets.filter((secret) => words.includes(secret))).toEqual([])
  })
})

test('files of others in the directory are left alone, and what a dead process left of a key is removed', async () => {
  await open()
  writeFileSync(join(dir, 'README.md'), 'keys')
  mkdirSync(join(dir, 'identities'), { mode: 0o700 })
  const [old, fresh] = ['.tokens-2.json.0123456789abcdef.tmp', '.tokens-2.json.fedcba9876543210.tmp'].map((name) => join(dir, name))
  for (const path of [old, fresh]) writeFileSync(path ?? '', '{}', { mode: 0o600 })
  utimesSync(old ?? '', new Date(nowMs - 120_000), new Date(nowMs - 120_000))
  utimesSync(fresh ?? '', new Date(nowMs), new Date(nowMs))
  await open()
  expect(readdirSync(dir).toSorted()).toEqual([
    '.tokens-2.json.fedcba9876543210.tmp',
    'README.md',
    'api-keys-1.json',
    'identities',
    'seal-1.json',
    'tokens-1.json',
  ])
})
