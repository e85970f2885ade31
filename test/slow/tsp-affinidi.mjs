// Our TSP and a second implementation, affinidi-tsp, both ways: relationships, messages, nested, routed. Skipped where there is no cargo.
// `npm run build && node test/slow/tsp-affinidi.mjs [--driver PATH]`
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { privateKeyOf, publicTextOf } from '../../dist/identity/okp.js'
import { peerFourOf } from '../../dist/identity/peer-four.js'
import { readFrame } from '../../dist/tsp/envelope.js'
import { ownKeysOf } from '../../dist/tsp/keys.js'
import { openMessage } from '../../dist/tsp/open.js'
import { sealMessage } from '../../dist/tsp/seal.js'
import { driverPath } from './lib/tsp-driver.mjs'

const SIZES = [0, 1, 2, 3, 1024, 12_284, 12_285, 12_286, 100_000, 2_000_000]
const say = (words) => process.stdout.write(`${words}\n`)

const folder = mkdtempSync(join(tmpdir(), 'openmcp-tsp-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const driver = spawn(driverPath({ folder, name: 'tsp-affinidi', source: 'tsp-affinidi', what: 'affinidi-tsp' }), { stdio: ['pipe', 'pipe', 'inherit'] })
const lines = createInterface({ input: driver.stdout })[Symbol.asyncIterator]()
let checks = 0

try {
  await weBegin()
  await theyBegin()
  await throughThem()
  await notTaken()
  say(`affinidi-tsp: ${checks} exchanges, all as they must be`)
} finally {
  driver.kill()
}

/** Without a resolver they know us by the short form alone, so that is what they are shown. */
async function weBegin() {
  const [us, them] = [await knownToThem('we'), await theirs('they')]
  const invite = seal(us, them, { kind: 'invite' })
  const seen = await opened(them, invite.message)
  assert.deepEqual([seen.kind, seen.sender, seen.digest], ['RelationshipFormingInvite', us.vid, textOf(invite.digest)])
  const accept = take(await ask({ op: 'accept', from: them.vid, to: us.vid }), them, us)
  assert.deepEqual([accept.kind, accept.invite], ['accept', invite.digest])
  for (const size of SIZES) {
    const data = Buffer.alloc(size, 'abcdefghij')
    for (const options of [{}, { namesSender: false }, { padding: Buffer.alloc(size % 1000, 1) }]) {
      assert.equal((await opened(them, seal(us, them, { kind: 'application', data }, options).message)).data, data.toString('base64url'))
    }
    const read = take(await ask({ op: 'send', from: them.vid, to: us.vid, data: data.toString('base64url') }), them, us)
    assert.ok(read.kind === 'application' && read.data.equals(data))
  }
  assert.equal((await opened(them, seal(us, them, { kind: 'cancel', digest: accept.digest }).message)).kind, 'RelationshipCancel')
  assert.doesNotMatch(await state(them, us), /Bidirectional/)
  say('ok a relationship that we begin and end, and messages')
}

async function theyBegin() {
  const [us, them] = [await knownToThem('invited'), await theirs('inviting')]
  const invite = take(await ask({ op: 'invite', from: them.vid, to: us.vid }), them, us)
  assert.equal(invite.kind, 'invite')
  const accept = seal(us, them, { kind: 'accept', invite: invite.digest })
  assert.equal((await opened(them, accept.message)).digest, textOf(accept.digest))
  assert.match(await state(them, us), /Bidirectional/)
  const cancel = take(await ask({ op: 'cancel', from: them.vid, to: us.vid }), them, us)
  assert.ok([invite.digest, accept.digest].includes(cancel.digest))
  say('ok a relationship that they begin and end')
}

async function throughThem() {
  const [us, them, hop] = [await knownToThem('far'), await theirs('near'), await knownToThem('in between')]
  const invite = take(await ask({ op: 'invite', from: them.vid, to: us.vid }), them, us)
  await opened(them, seal(us, them, { kind: 'accept', invite: invite.digest }).message)
  const nested = take(await ask({ op: 'send-nested', from: them.vid, to: us.vid, over: us.vid, data: base64('inside') }), them, us)
  assert.equal(nested.kind, 'nested')
  assert.equal(take({ message: nested.message.toString('base64url') }, them, us).data.toString(), 'inside')
  const routed = take(await ask({ op: 'send-routed', from: them.vid, to: us.vid, via: hop.vid, data: base64('far') }), them, hop)
  assert.deepEqual([routed.kind, routed.hops], ['routed', [us.vid]])
  assert.equal(take({ message: routed.message.toString('base64url') }, them, us).data.toString(), 'far')
  const route = seal(us, them, { kind: 'routed', hops: [hop.vid, us.vid], message: routed.message })
  const passed = await ask({ op: 'pass-on', to: them.vid, message: route.message.toString('base64url') })
  assert.equal(passed.to, hop.vid)
  assert.deepEqual(take(passed, them, hop).hops, [us.vid])
  say('ok nested and routed messages')
}

/** They are as strict as we are about what follows a message. */
async function notTaken() {
  const [us, them] = [await knownToThem('sloppy'), await theirs('strict')]
  const { message } = seal(us, them, { kind: 'invite' })
  const { error } = await exchange({ op: 'open', to: them.vid, message: Buffer.concat([message, Buffer.alloc(3)]).toString('base64url') })
  assert.ok(error !== undefined)
  checks++
  say('ok a triplet behind the signature')
}

/** Always the same for the same name. */
function identity(name) {
  const seed = (purpose) => createHash('sha256').update(`${name}: ${purpose}`).digest('base64url')
  const secrets = { signing: seed('sign'), opening: seed('open') }
  const x = (crv, d) => publicTextOf(privateKeyOf(crv, d))
  const profile = { verifying: x('Ed25519', secrets.signing), sealing: x('X25519', secrets.opening), endpoint: 'tcp://127.0.0.1:1337' }
  const { short } = peerFourOf(profile)
  return { vid: short, profile, secrets, keys: ownKeysOf(secrets) }
}

async function knownToThem(name) {
  const one = identity(name)
  await ask({ op: 'know', vid: one.vid, ...one.profile })
  return one
}

async function theirs(name) {
  const one = identity(name)
  const { endpoint: _, ...keys } = one.profile
  assert.deepEqual(await ask({ op: 'own', vid: one.vid, ...one.secrets }), keys)
  return one
}

function seal({ vid, keys }, to, payload, options = {}) {
  return sealMessage({ from: { vid, keys }, to, payload, ...options })
}

function take({ message }, from, to) {
  const frame = readFrame(Buffer.from(message, 'base64url'))
  assert.equal(frame.sender, from.vid)
  checks++
  return openMessage(frame, { from: from.keys, to: to.keys })
}

async function opened(by, message) {
  checks++
  return ask({ op: 'open', to: by.vid, message: message.toString('base64url') })
}

async function state(local, remote) {
  return (await ask({ op: 'state', local: local.vid, remote: remote.vid })).state
}

async function ask(question) {
  const { ok, error } = await exchange(question)
  if (error !== undefined) throw new Error(`${question.op}: ${error}`)
  return ok
}

async function exchange(question) {
  driver.stdin.write(`${JSON.stringify(question)}\n`)
  const { value, done } = await lines.next()
  if (done) throw new Error('the driver ended')
  return JSON.parse(value)
}

/** A digest of ours is the primitive in hexadecimal, theirs its 32 bytes. */
function textOf(digest) {
  return Buffer.from(digest, 'hex').subarray(1).toString('base64url')
}

function base64(text) {
  return Buffer.from(text).toString('base64url')
}
