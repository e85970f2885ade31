// Appendix A of the specification, and the ephemeral keys that make its messages again. Where they are from stands in the file.
import { createHmac } from 'node:crypto'

import { parseVid, type Vid } from '../../src/identity/vid.ts'
import { readFrame, type Frame } from '../../src/tsp/envelope.ts'
import { ownKeysOf, type OwnKeys } from '../../src/tsp/keys.ts'
import { openMessage } from '../../src/tsp/open.ts'
import type { Payload } from '../../src/tsp/payload.ts'
import file from './vectors.json' with { type: 'json' }

export interface Party {
  readonly vid: Vid
  readonly long: Vid
  readonly keys: OwnKeys
}

export const { vectors, vids } = file

const parties: ReadonlyMap<string, Party> = new Map(
  Object.entries(vids).map(([name, { id, idLongForm, sigkey, enckey }]) => [
    name,
    { vid: parseVid(id), long: parseVid(idLongForm), keys: ownKeysOf({ signing: sigkey, opening: enckey }) },
  ]),
)

export const alice = party('alice')
export const bob = party('bob')
export const carol = party('p')

export function party(name: string): Party {
  const found = parties.get(name)
  if (!found) throw new Error(`nobody is called ${name}`)
  return found
}

export function vector(name: string): (typeof vectors)[number] {
  const found = vectors.find((candidate) => candidate.name === name)
  if (!found) throw new Error(`there is no vector ${name}`)
  return found
}

export function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'base64url')
}

/** Everybody of the vectors knows everybody. */
export function opened(bytes: Buffer): Payload & { readonly frame: Frame } {
  const frame = readFrame(bytes)
  const [from, to] = [partyOf(frame.sender), frame.receiver === undefined ? undefined : partyOf(frame.receiver)]
  return { frame, ...openMessage(frame, { from: from.keys, to: to?.keys }) }
}

function partyOf(vid: Vid): Party {
  const found = Object.keys(vids)
    .map(party)
    .find((one) => one.vid === vid || one.long === vid)
  if (!found) throw new Error(`nobody is ${vid}`)
  return found
}

/** DeriveKeyPair of RFC 9180 §7.1.3, which only vectors need. */
export function derivedSecret(material: string): Buffer {
  const kem = Buffer.from('KEM\0\x20', 'latin1')
  const extracted = createHmac('sha256', '').update('HPKE-v1').update(kem).update('dkp_prk').update(bytesOf(material)).digest()
  return createHmac('sha256', extracted)
    .update(Buffer.from([0, 32]))
    .update('HPKE-v1')
    .update(kem)
    .update('sk')
    .update(Buffer.from([1]))
    .digest()
}
