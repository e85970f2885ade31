// Nonsense and near-sense for the decoder of TSP: it takes a message exactly as it would write it, or refuses it, throws nothing else,
// and asks for no more memory than came. `npm run build && node test/slow/tsp-fuzz.mjs --messages 10000000 --seed 1`
import { sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'

import { DATA } from '../../dist/tsp/cesr.js'
import { writeData } from '../../dist/tsp/cesr-write.js'
import { readFrame, writeFrame, writePrefix, writeSignature } from '../../dist/tsp/envelope.js'
import { sealBase } from '../../dist/tsp/hpke.js'
import { ownKeysOf } from '../../dist/tsp/keys.js'
import { openMessage } from '../../dist/tsp/open.js'
import { readPayload } from '../../dist/tsp/payload-read.js'
import { TspRefusal } from '../../dist/tsp/refusal.js'
import { createRandom, option } from './lib/random.mjs'

const MESSAGES = option('messages', 200_000)
const SEED = option('seed', Date.now() % 1e9)
const MOST_GROWTH_MB = 100
const SLOW_MS = 1000
/** Beside twice what came: prefixes, digests, keys. */
const MOST_ASKED_FOR = 16 * 1024
const VERSION_BYTES = 6

const random = createRandom(SEED)
const say = (words) => process.stdout.write(`${words}\n`)
say(`seed ${SEED}`)

const { vectors, vids } = JSON.parse(readFileSync(new URL('../tsp/vectors.json', import.meta.url), 'utf8'))
const bytesOf = (text) => Buffer.from(text, 'base64url')
const CODES = [
  '-EAA',
  '--EAAAAA',
  '--E_____',
  '-ZAA',
  '--Z_____',
  '4BAA',
  '5BAB',
  '6BAA',
  '4B__',
  '7AAB____',
  '9AAB__AA',
  '7AAF____',
  '4CAA',
  '-JAA',
  '-J__',
  '-AAA',
  '-HAB',
  'XHOP',
  'XRFI',
  '-CAX',
  '-KAW',
  '1AAQ',
  'YTSP',
  '-BAC',
].map(bytesOf)
const keysOf = ({ sigkey, enckey }) => ownKeysOf({ signing: sigkey, opening: enckey })
const corpus = vectors.map(({ message, payload, sender, receiver }) => ({
  message: bytesOf(message),
  payload: bytesOf(payload),
  frame: readFrame(bytesOf(message)),
  keys: { from: keysOf(vids[sender]), to: keysOf(vids[receiver]) },
}))

const outcomes = new Map()
const count = (outcome) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
const start = performance.now()
const memoryMb = () => process.memoryUsage.rss() / 2 ** 20
let peak = 0

const allocations = watchAllocations()

// Warm, so that what grows is not the engine.
for (let round = 0; round < 20_000; round++) attack()
const atStart = memoryMb()
for (let round = 0; round < MESSAGES; round++) {
  const before = performance.now()
  attack()
  if (performance.now() - before > SLOW_MS) throw new Error(`seed ${SEED}, round ${round}: it took longer than ${SLOW_MS} ms`)
  if (round % 10_000 === 0) peak = Math.max(peak, memoryMb())
}

say(`${MESSAGES} messages in ${((performance.now() - start) / 1000).toFixed(0)} s`)
for (const [outcome, times] of [...outcomes].toSorted(([, a], [, b]) => b - a)) say(`${String(times).padStart(9)} ${outcome}`)
say(`${allocations.most} bytes are the most that was asked for at once, for a message of ${allocations.mostFor}`)
say(`memory ${atStart.toFixed(0)} MB at the start, ${peak.toFixed(0)} MB at most`)
if (peak - atStart > MOST_GROWTH_MB) throw new Error('it took too much memory')

function attack() {
  const chosen = corpus[random.below(corpus.length)]
  const kind = random.next()
  if (kind < 0.5) tryIt('message', mutated(chosen.message), (bytes) => takeMessage(bytes, chosen))
  else if (kind < 0.945) tryIt('payload', mutated(chosen.payload), (bytes) => readPayload(bytes, chosen.frame))
  // What a good signature is over may be anything. It takes most of the time.
  else if (kind < 0.95) tryIt('signed', signedAround(mutated(chosen.payload), chosen), (bytes) => openMessage(readFrame(bytes), chosen.keys))
  else tryIt('nonsense', nonsense(), (bytes) => takeMessage(bytes, chosen))
}

function signedAround(plaintext, { frame, keys }) {
  const body = frame.protectedBy === 'none' ? plaintext : writeData(DATA.hpkeBase, sealBase({ to: keys.to, plaintext, aad: frame.prefix }))
  // A group holds whole triplets.
  const signed = writeFrame(frame.prefix, body.subarray(0, body.length - (body.length % 3)))
  return Buffer.concat([signed, writeSignature(sign(null, signed, keys.from.signing))])
}

function takeMessage(bytes, { keys }) {
  const frame = readFrame(bytes)
  const again = Buffer.concat([frame.signed, writeSignature(frame.signature)])
  if (!again.equals(bytes)) throw new Error(`it took what it would not write: ${bytes.toString('base64url')}`)
  const prefix = writePrefix(frame.sender, frame.receiver)
  if (!prefix.subarray(VERSION_BYTES).equals(frame.prefix.subarray(VERSION_BYTES)))
    throw new Error(`it took VIDs that it would write otherwise: ${bytes.toString('base64url')}`)
  // Now and then, for it takes most of the time.
  if (random.below(50) === 0) openMessage(frame, keys)
}

function tryIt(what, bytes, act) {
  try {
    allocations.during(bytes, act)
    count(`${what} taken`)
  } catch (thrown) {
    if (!(thrown instanceof TspRefusal)) throw thrown
    count(`${what} refused: ${thrown.reason}`)
  }
}

/** All of the decoder's memory is asked for by these; what it is long enough to hold must have come. */
function watchAllocations() {
  let asked = 0
  const seen = { most: 0, mostFor: 0 }
  for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow', 'concat', 'from']) {
    const allocate = Buffer[name]
    Buffer[name] = (...args) => {
      const made = allocate.apply(Buffer, args)
      asked = Math.max(asked, made.length)
      return made
    }
  }
  seen.during = (bytes, act) => {
    asked = 0
    let thrown
    try {
      act(bytes)
    } catch (refusal) {
      thrown = refusal
    }
    if (asked > seen.most) Object.assign(seen, { most: asked, mostFor: bytes.length })
    if (asked > 2 * bytes.length + MOST_ASKED_FOR) throw new Error(`seed ${SEED}: ${asked} bytes were asked for, of ${bytes.length}`)
    if (thrown) throw thrown
  }
  return seen
}

function mutated(bytes) {
  let copy = Buffer.from(bytes)
  for (let times = 1 + random.below(3); times > 0; times--) copy = mutate(copy)
  return copy
}

function mutate(bytes) {
  const at = random.below(bytes.length + 1)
  switch (random.below(7)) {
    case 0:
      return set(bytes, at, random.below(256))
    case 1:
      return set(bytes, at, (bytes[at] ?? 0) ^ (1 << random.below(8)))
    // Counts stand at the end of a triplet.
    case 2:
      return set(bytes, at - (at % 3) + 2, (bytes[at] ?? 0) + random.below(5) - 2)
    case 3:
      return bytes.subarray(0, at)
    case 4:
      return Buffer.concat([bytes.subarray(0, at), nonsense(), bytes.subarray(at)])
    case 5:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 3 * random.below(30)))])
    default:
      return Buffer.concat([bytes.subarray(0, at - (at % 3)), CODES[random.below(CODES.length)], bytes.subarray(at - (at % 3) + 3)])
  }
}

function set(bytes, at, value) {
  if (at < bytes.length) bytes[at] = value & 255
  return bytes
}

function nonsense() {
  return Buffer.from(Array.from({ length: random.below(40) }, () => random.below(256)))
}
