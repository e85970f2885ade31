// Nonsense and near-sense for the decoder of TSP: it takes a message exactly as it would write it, or refuses it, in little memory.
// `npm run build && node test/slow/tsp-fuzz.mjs --messages 10000000 --seed 1`
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'

import { readFrame, writePrefix, writeSignature } from '../../dist/tsp/envelope.js'
import { ownKeysOf } from '../../dist/tsp/keys.js'
import { openMessage } from '../../dist/tsp/open.js'
import { readPayload } from '../../dist/tsp/payload-read.js'
import { TspRefusal } from '../../dist/tsp/refusal.js'
import { createRandom, option } from './lib/random.mjs'

const MESSAGES = option('messages', 200_000)
const SEED = option('seed', Date.now() % 1e9)
const MOST_GROWTH_MB = 100
const SLOW_MS = 1000
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
say(`memory ${atStart.toFixed(0)} MB at the start, ${peak.toFixed(0)} MB at most`)
if (peak - atStart > MOST_GROWTH_MB) throw new Error('it took too much memory')

function attack() {
  const chosen = corpus[random.below(corpus.length)]
  const kind = random.next()
  if (kind < 0.5) tryIt('message', () => takeMessage(mutated(chosen.message), chosen))
  else if (kind < 0.95) tryIt('payload', () => readPayload(mutated(chosen.payload), chosen.frame))
  else tryIt('nonsense', () => takeMessage(nonsense(), chosen))
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

function tryIt(what, act) {
  try {
    act()
    count(`${what} taken`)
  } catch (thrown) {
    if (!(thrown instanceof TspRefusal)) throw thrown
    count(`${what} refused: ${thrown.reason}`)
  }
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
