// The long forms of did:peer:4 that an operator or a relationship has shown, across restarts: a peer that shows its short form alone is
// resolved by them.
import { isVid, shortFormOf, type Vid } from '../identity/vid.ts'
import { jsonIn } from '../protocol/json.ts'
import { isObject } from '../protocol/message.ts'
import type { Store } from '../store/shapes.ts'

/** Known until then, or until it is forgotten. Of a VID with one form there is nothing to be known. */
export async function knowVid(store: Pick<Store, 'put'>, long: Vid, expiresAtMs: number | undefined): Promise<void> {
  const short = shortFormOf(long)
  if (short !== long) await store.put('tsp', { key: keyOf(short), value: JSON.stringify({ written: long }), expiresAtMs })
}

/** The long form that was said to be known, if one was. */
export async function knownFormOf(store: Pick<Store, 'get'>, short: Vid): Promise<Vid | undefined> {
  const row = await store.get('tsp', keyOf(short))
  const long = row && longFormIn(row.value)
  return long !== undefined && shortFormOf(long) === short ? long : undefined
}

export async function forgetVid(store: Pick<Store, 'remove'>, vid: Vid): Promise<void> {
  await store.remove('tsp', keyOf(shortFormOf(vid)))
}

/** What to show to a resolver when it starts and after every change of trust: those of relationships, and last those that an operator said. */
export async function knownLongForms(store: Pick<Store, 'list'>): Promise<Vid[]> {
  return (await store.list('tsp')).flatMap(({ value }) => longFormIn(value) ?? [])
}

/** The key of a relationship begins with a DID. */
function keyOf(short: Vid): string {
  return `known ${short}`
}

/** A relationship keeps the form in which its peer was written in the same member. */
function longFormIn(text: string): Vid | undefined {
  const row = jsonIn(text)
  const written = isObject(row) ? row['written'] : undefined
  return isVid(written) && shortFormOf(written) !== written ? written : undefined
}
