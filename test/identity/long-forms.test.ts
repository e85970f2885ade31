import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'

import { newOkpPair } from '../../src/identity/okp.ts'
import { peerFourOf } from '../../src/identity/peer-four.ts'
import { createResolver } from '../../src/identity/resolver.ts'
import type { KeepingResolver } from '../../src/identity/shapes.ts'
import { parseVid, type Vid } from '../../src/identity/vid.ts'

interface Forms {
  short: Vid
  long: Vid
}

const keys = { verifying: newOkpPair('Ed25519').x, sealing: newOkpPair('X25519').x }
const peer = (port: number): Forms => peerFourOf({ ...keys, endpoint: `tcp://127.0.0.1:${port}` })

/** It remembers two long forms that were shown, and keeps twenty. */
const small = (): KeepingResolver => createResolver({ fetch: () => Promise.reject(new Error('nothing is fetched')), now: () => 0, mostEntries: 20 })

async function isKnown(resolver: KeepingResolver, { short }: Forms): Promise<boolean> {
  return (await resolver.resolve(short)).state === 'found'
}

async function showMany(resolver: KeepingResolver): Promise<void> {
  for (let port = 100; port < 110; port++) await resolver.resolve(peer(port).long)
}

describe('the long form of a did:peer:4', () => {
  const [ann, bob] = [peer(1), peer(2)]

  test('that strangers showed is pushed out by others', async () => {
    const resolver = small()
    await resolver.resolve(ann.long)
    await showMany(resolver)
    expect(await isKnown(resolver, ann)).toBe(false)
  })

  test('that was pushed out is known again when it is shown again, however long its document is remembered', async () => {
    const resolver = createResolver({ fetch: () => Promise.reject(new Error('nothing is fetched')), now: () => 0, mostEntries: 20 })
    await resolver.resolve(ann.long)
    for (const port of [100, 101]) await resolver.resolve(peer(port).long)
    expect(await isKnown(resolver, ann)).toBe(false)
    await resolver.resolve(ann.long)
    expect(await isKnown(resolver, ann)).toBe(true)
  })

  test('that is kept is known though it was never shown, and strangers do not push it out', async () => {
    const resolver = small()
    resolver.keep([ann.long])
    await showMany(resolver)
    expect(await resolver.resolve(ann.short)).toMatchObject({ state: 'found', vid: ann.short, tsp: { endpoint: 'tcp://127.0.0.1:1' } })
  })

  test('is kept by its short form when it was shown, and nothing is when it was not', async () => {
    const resolver = small()
    await resolver.resolve(ann.long)
    resolver.keep([ann.short, bob.short, parseVid('did:web:example.com')])
    await showMany(resolver)
    expect([await isKnown(resolver, ann), await isKnown(resolver, bob)]).toEqual([true, false])
  })

  test('with the document of another is not kept', async () => {
    const resolver = small()
    resolver.keep([parseVid(`${ann.short}:${bob.long.split(':')[3] ?? ''}`)])
    expect([await isKnown(resolver, ann), await isKnown(resolver, bob)]).toEqual([false, false])
  })

  test('takes nothing from one that is kept, when somebody shows it', async () => {
    const resolver = small()
    resolver.keep([ann.long])
    await resolver.resolve(ann.long)
    const first = await resolver.resolve(ann.short)
    await showMany(resolver)
    expect(await resolver.resolve(ann.short)).toMatchObject({ state: 'found', tsp: first.state === 'found' ? first.tsp : undefined })
  })

  test('is kept with so many others, the latest', async () => {
    const resolver = small()
    const many = Array.from({ length: 25 }, (_, index) => peer(200 + index))
    resolver.keep(many.map(({ long }) => long))
    const known = await Promise.all(many.map((forms) => isKnown(resolver, forms)))
    expect(known).toEqual(many.map((_forms, index) => index >= 5))
  })

  test('of no sound document is kept for nothing', async () => {
    const resolver = small()
    const { short, long } = peerFourOf({
      verifying: Buffer.alloc(32).toString('base64url'),
      sealing: randomBytes(32).toString('base64url'),
      endpoint: 'tcp://127.0.0.1:1',
    })
    resolver.keep([long])
    expect(await resolver.resolve(short)).toMatchObject({ state: 'invalid' })
  })
})
