// Our TSP and the Rust SDK's, both ways: relationships, messages, parallel, nested, routed; did:peer:4 and did:web. Skipped where there
// is no cargo. `npm run build && node test/slow/tsp-interop.mjs [--driver PATH] [--record 1]`
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createHash, sign } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { privateKeyOf, publicTextOf } from '../../dist/identity/okp.js'
import { peerFourOf } from '../../dist/identity/peer-four.js'
import { createResolver } from '../../dist/identity/resolver.js'
import { parsePiv, pivOf } from '../../dist/identity/tsp/piv.js'
import { tspProfileOf } from '../../dist/identity/tsp/profile.js'
import { tspDocumentOf } from '../../dist/identity/tsp/web-document.js'
import { createMemoryStore } from '../../dist/store/memory.js'
import { DATA, GROUP, NOTHING, text as codeOf } from '../../dist/tsp/cesr.js'
import { writeData, writeGroup } from '../../dist/tsp/cesr-write.js'
import { createTspEndpoint } from '../../dist/tsp/endpoint.js'
import { readFrame, writeFrame, writeSignature } from '../../dist/tsp/envelope.js'
import { ownKeysOf, peerKeysOf } from '../../dist/tsp/keys.js'
import { createNested } from '../../dist/tsp/nested.js'
import { openMessage, verifyReferral } from '../../dist/tsp/open.js'
import { TspRefusal } from '../../dist/tsp/refusal.js'
import { createKeptRelationships } from '../../dist/tsp/relationship-store.js'
import { sealMessage, signMessage } from '../../dist/tsp/seal.js'
import { driverPath } from './lib/tsp-driver.mjs'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const SIZES = [0, 1, 2, 3, 1024, 12_200, 12_284, 12_285, 12_286, 100_000, 2_000_000]
const MOST_RECORDED = 4096
/** Attachments, signatures, index, and the signature. */
const SIGNATURE_BYTES = 72
const say = (words) => process.stdout.write(`${words}\n`)

const folder = mkdtempSync(join(tmpdir(), 'openmcp-tsp-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const driver = spawn(driverPath({ folder, name: 'tsp-driver' }), { stdio: ['pipe', 'pipe', 'inherit'] })
const lines = createInterface({ input: driver.stdout })[Symbol.asyncIterator]()
const recorded = []
let checks = 0

try {
  await identities()
  await firstContact()
  await relationshipTheyBegin()
  await messages()
  await parallel()
  await nested()
  await through()
  await stricter()
  await didWeb()
  await endpointInside()
  await endOfRoute()
  await introduction()
  say(`${checks} exchanges, all as they must be`)
} finally {
  driver.kill()
}
if (process.argv.includes('--record')) {
  writeFileSync(
    join(HERE, '../tsp/rust-messages.json'),
    `${JSON.stringify({ source: 'made by tsp_sdk 0.11.0 through test/slow/tsp-interop.mjs --record 1', messages: recorded }, null, 1)}\n`,
  )
}

/** A piv.json goes both ways and names the same identity. */
async function identities() {
  const own = identity('own')
  const theirs = await ask({ op: 'own', store: 'copy', piv: JSON.parse(pivOf(own)) })
  assert.deepEqual([theirs.vid, theirs.long], [own.vid, own.long])
  assert.deepEqual(theirs.document, tspDocumentOf(own.vid, own.profile))
  const peer = await stranger('maker')
  assert.deepEqual([peer.vid, peer.long], [peer.answer.vid, peer.answer.long])
  const resolver = createResolver({ fetch: async () => assert.fail('nothing is to be fetched'), now: () => 0 })
  const found = await resolver.resolve(peer.long)
  assert.deepEqual(found.tsp, peer.profile)
  done('identities')
}

/** They have never seen us: the invite introduces us, by the long form. */
async function firstContact() {
  const [us, them] = [identity('newcomer'), await stranger('host')]
  const invite = seal({ ...us, wire: us.long }, them, { kind: 'invite' })
  const seen = await open('host', invite.message)
  assert.deepEqual([seen.kind, seen.sender, seen.digest], ['invite', us.vid, textOf(invite.digest)])
  const accept = take('accept of a first contact', await ask({ op: 'accept', store: 'host', from: them.vid, to: us.vid, digest: seen.digest }), them, us)
  assert.deepEqual([accept.kind, accept.invite], ['accept', invite.digest])
  assert.equal(await status('host', them, us), 'Bidirectional')
  const hello = seal(us, them, { kind: 'application', data: Buffer.from('hello') })
  assert.equal((await open('host', hello.message)).data, base64('hello'))
  // One of the two digests ends it, and an answer is expected.
  const cancelled = await open('host', seal(us, them, { kind: 'cancel', digest: accept.digest }).message)
  assert.deepEqual([cancelled.kind, cancelled.replyExpected], ['cancel', true])
  assert.match(
    await refused({ op: 'open', store: 'host', message: seal(us, them, { kind: 'application', data: Buffer.from('?') }).message }),
    /UnestablishedRelationship/,
  )
  done('first contact')
}

async function relationshipTheyBegin() {
  const [us, them] = [identity('callee'), await stranger('caller')]
  await know('caller', us)
  const invite = take('invite', await ask({ op: 'invite', store: 'caller', from: them.vid, to: us.vid }), them, us)
  assert.equal(invite.kind, 'invite')
  const accept = seal(us, them, { kind: 'accept', invite: invite.digest })
  const seen = await open('caller', accept.message)
  assert.deepEqual([seen.kind, seen.invite, seen.digest], ['accept', textOf(invite.digest), textOf(accept.digest)])
  assert.equal(await status('caller', them, us), 'Bidirectional')
  const cancel = take('cancel', await ask({ op: 'cancel', store: 'caller', from: them.vid, to: us.vid }), them, us)
  assert.ok([invite.digest, accept.digest].includes(cancel.digest))
  // An accept of what nobody invited to.
  const wrong = await refused({ op: 'open', store: 'caller', message: seal(us, them, { kind: 'accept', invite: cancel.digest }).message })
  assert.match(wrong, /Relationship|Error/)
  const path = [identity('hop one').vid, identity('hop two').vid]
  const routed = await ask({ op: 'invite', store: 'caller', from: them.vid, to: us.vid, replyPath: path })
  assert.deepEqual(take('invite with a reply path', routed, them, us).replyPath, path)
  done('a relationship that they begin')
}

async function messages() {
  const [us, them] = await related('talker')
  for (const size of SIZES) {
    const data = Buffer.alloc(size, 'abcdefghij')
    for (const options of [{}, { namesSender: false }, { padding: Buffer.alloc(size % 1000, 1) }]) {
      const seen = await open('talker', seal(us, them, { kind: 'application', data }, options).message)
      assert.deepEqual([seen.kind, seen.crypto, seen.data], ['application', 'HpkeBase', data.toString('base64url')])
    }
    const signed = await open('talker', signMessage({ from: us, to: them.vid, payload: { kind: 'application', data } }).message)
    assert.deepEqual([signed.kind, signed.crypto, signed.data], ['application', 'Plaintext', data.toString('base64url')])
    for (const options of [{}, { box: true }, { padding: base64('x'.repeat(size % 1000)) }]) {
      if (options.box && size > 100_000) continue
      const sent = await ask({ op: 'send', store: 'talker', from: them.vid, to: us.vid, data: data.toString('base64url'), ...options })
      const read = take(`message of ${size} bytes${options.box ? ' in a sealed box' : options.padding ? ' with padding' : ''}`, sent, them, us)
      assert.ok(read.kind === 'application' && read.data.equals(data))
    }
  }
  for (const kind of ['control', 'padding']) {
    const seen = await open('talker', seal(us, them, kind === 'control' ? { kind, data: Buffer.from('go') } : { kind }).message)
    assert.equal(seen.kind, kind)
    assert.equal(take(kind, await ask({ op: 'send', store: 'talker', from: them.vid, to: us.vid, data: base64('go'), kind }), them, us).kind, kind)
  }
  const announced = await open('talker', signMessage({ from: us, payload: { kind: 'application', data: Buffer.from('to all') } }).message)
  assert.deepEqual([announced.kind, announced.data], ['application', base64('to all')])
  assert.equal(take('announcement', await ask({ op: 'announce', store: 'talker', from: them.vid, data: base64('to all') }), them, us).kind, 'application')
  done('messages')
}

/** A second VID is introduced over the relationship of the first; its accept comes from a second VID too. */
async function parallel() {
  const [us, them] = await related('parallel')
  const [ourNew, theirNew] = [identity('our second'), await stranger('their second', 'parallel')]
  const invite = take(
    'invite with a referral',
    await ask({ op: 'parallel-invite', store: 'parallel', from: them.vid, to: us.vid, new: theirNew.vid }),
    them,
    us,
  )
  assert.equal(invite.referral.vid, theirNew.long)
  assert.ok(verifyReferral(invite.referral, theirNew.keys))
  const accept = seal({ ...ourNew, wire: ourNew.long }, theirNew, { kind: 'accept', invite: invite.digest })
  assert.equal((await open('parallel', accept.message)).kind, 'accept')
  assert.equal(await status('parallel', theirNew, ourNew), 'Bidirectional')

  const [ourThird, theirThird] = [identity('our third'), await stranger('their third', 'parallel')]
  const referral = { vid: ourThird.long, sign: (bytes) => sign(null, bytes, ourThird.keys.signing) }
  for (const namesSender of [true, false]) {
    const ours = seal(us, them, { kind: 'invite', referral }, { namesSender })
    const seen = await open('parallel', ours.message)
    assert.deepEqual([seen.kind, seen.new, seen.digest], ['invite', ourThird.vid, textOf(ours.digest)])
    if (namesSender) continue
    const answer = take(
      'accept of a referral',
      await ask({ op: 'parallel-accept', store: 'parallel', from: theirThird.vid, to: ourThird.vid, digest: seen.digest }),
      theirThird,
      ourThird,
    )
    assert.deepEqual([answer.kind, answer.invite], ['accept', ours.digest])
  }
  done('parallel relationships')
}

/** Inner VIDs, which the outer message hides. The inner invite is only signed, and to nobody by name. */
async function nested() {
  const [us, them] = await related('nested')
  const begun = await ask({ op: 'nested-invite', store: 'nested', from: them.vid, to: us.vid })
  const theirInner = known(parsePiv(begun.piv))
  const outer = take('nested invite', begun.sent, them, us)
  const invite = take('inner invite', { message: outer.message.toString('base64url') }, theirInner, undefined)
  assert.equal(invite.kind, 'invite')
  const ourInner = identity('our inner')
  const accept = signMessage({ from: { ...ourInner, vid: ourInner.long }, to: theirInner.vid, payload: { kind: 'accept', invite: invite.digest } })
  const accepted = await open('nested', seal(us, them, { kind: 'nested', message: accept.message }).message)
  assert.deepEqual([accepted.kind, accepted.nested, accepted.digest], ['accept', ourInner.vid, textOf(accept.digest)])
  const back = await ask({ op: 'send', store: 'nested', from: theirInner.vid, to: ourInner.vid, data: base64('inside') })
  const cover = take('nested message', back, them, us)
  assert.equal(take('inner message', { message: cover.message.toString('base64url') }, theirInner, ourInner).data.toString(), 'inside')
  const inner = seal(ourInner, theirInner, { kind: 'application', data: Buffer.from('inside too') })
  assert.equal((await open('nested', seal(us, them, { kind: 'nested', message: inner.message }).message)).data, base64('inside too'))

  const ourSecond = identity('our second inner')
  const ours = signMessage({ from: { ...ourSecond, vid: ourSecond.long }, payload: { kind: 'invite' } })
  const seen = await open('nested', seal(us, them, { kind: 'nested', message: ours.message }).message)
  assert.deepEqual([seen.kind, seen.nested, seen.digest], ['invite', ourSecond.vid, textOf(ours.digest)])
  const theirs = await ask({ op: 'nested-accept', store: 'nested', from: them.vid, to: ourSecond.vid, digest: seen.digest })
  const answer = take('nested accept', theirs.sent, them, us)
  const innerAnswer = take('inner accept', { message: answer.message.toString('base64url') }, known(parsePiv(theirs.piv)), ourSecond)
  assert.deepEqual([innerAnswer.kind, innerAnswer.invite], ['accept', ours.digest])
  done('nested relationships')
}

/** They send through us, we send through them. */
async function through() {
  const [us, them] = await related('sender')
  const destination = await stranger('far away')
  const far = identity('we, known far away')
  await know('sender', destination)
  await know('far away', them)
  await know('far away', far)
  await ask({ op: 'relate', store: 'sender', local: them.vid, remote: destination.vid })
  await ask({ op: 'relate', store: 'far away', local: destination.vid, remote: them.vid })
  await ask({ op: 'relate', store: 'far away', local: destination.vid, remote: far.vid })
  await ask({ op: 'route', store: 'sender', vid: destination.vid, hops: [us.vid, destination.vid] })
  const sent = await ask({ op: 'send', store: 'sender', from: them.vid, to: destination.vid, data: base64('far') })
  const passing = take('message to be passed on', sent, them, us)
  assert.deepEqual([passing.kind, passing.hops], ['routed', [destination.vid]])
  const delivered = seal(far, destination, { kind: 'nested', message: passing.message })
  assert.deepEqual(await open('far away', delivered.message).then(({ sender, data }) => [sender, data]), [them.vid, base64('far')])

  // Now they are in between, and pass it on to us.
  const [start, end] = [identity('start'), identity('end')]
  const inner = seal(start, end, { kind: 'application', data: Buffer.from('through you') })
  const seen = await open('sender', seal(us, them, { kind: 'routed', hops: [identity('next hop').vid, us.vid], message: inner.message }).message)
  assert.deepEqual([seen.kind, seen.next, seen.route], ['routed', identity('next hop').vid, [us.vid]])
  const last = await ask({ op: 'forward', store: 'sender', next: us.vid, route: [], payload: seen.message })
  const cover = take('message that was passed on', last, them, us)
  assert.equal(cover.kind, 'nested')
  assert.equal(openMessage(readFrame(cover.message), { from: start.keys, to: end.keys }).data.toString(), 'through you')
  done('routed messages')
}

/** What of the same bytes one of us takes and the other does not, as docs/tsp.md says. */
async function stricter() {
  const [us, them] = await related('strict')
  const data = Buffer.from('the same bytes')
  const sealed = seal(us, them, { kind: 'application', data }).message
  const clear = signMessage({ from: us, to: them.vid, payload: { kind: 'application', data }, namesSender: false }).message
  const signed = (frame) => Buffer.concat([frame, writeSignature(sign(null, frame, us.keys.signing))])
  const saying = (...fields) => signed(writeFrame(readFrame(clear).prefix, writeGroup(GROUP.payload, codeOf('XSCS'), ...fields)))
  const stream = (...content) => writeGroup(GROUP.stream, ...content)
  const leadByte = Buffer.from(clear.subarray(0, -SIGNATURE_BYTES))
  leadByte[leadByte.indexOf(data) - 1] = 1
  const theyAlone = {
    'a triplet behind the signature': Buffer.concat([sealed, Buffer.alloc(3)]),
    'a second signature': Buffer.concat([
      sealed.subarray(0, -SIGNATURE_BYTES),
      writeGroup(GROUP.attachments, writeGroup(GROUP.signatures, sealed.subarray(-66), sealed.subarray(-66))),
    ]),
    'a lead byte that is not zero': signed(leadByte),
    'a long code where a short one does': saying(NOTHING, codeOf('7AABAAAA'), stream(writeData(DATA.bytes, data))),
    'the payload of another': saying(writeData(DATA.bytes, Buffer.from(them.vid)), NOTHING, stream(writeData(DATA.bytes, data))),
  }
  for (const [what, message] of Object.entries(theyAlone)) {
    assert.equal((await open('strict', message)).kind, 'application', what)
    assert.throws(() => openMessage(readFrame(message), { from: us.keys, to: them.keys }), TspRefusal, what)
  }
  const inGroup = saying(NOTHING, NOTHING, stream(writeGroup(GROUP.foreign, writeData(DATA.bytes, data))))
  assert.ok(openMessage(readFrame(inGroup), { from: us.keys, to: them.keys }).data.equals(data))
  await refused({ op: 'open', store: 'strict', message: inGroup })
  done('what one of us alone takes')
}

async function didWeb() {
  const made = await ask({ op: 'new-web', store: 'web', name: 'they', domain: 'example.com', transport: 'https://example.com/tsp' })
  const them = known(parsePiv(made.piv))
  assert.deepEqual(tspProfileOf(made.document, them.vid), them.profile)
  const seeds = identity('web').secrets
  const us = known({ ...identity('web'), vid: 'did:web:openmcp.example:tsp', long: 'did:web:openmcp.example:tsp', secrets: seeds })
  const knows = await ask({ op: 'know-web', store: 'web', vid: us.vid, document: tspDocumentOf(us.vid, us.profile) })
  assert.deepEqual([knows.vid, knows.endpoint], [us.vid, us.profile.endpoint])
  const invite = seal(us, them, { kind: 'invite' })
  const seen = await open('web', invite.message)
  const accept = take('accept of a did:web', await ask({ op: 'accept', store: 'web', from: them.vid, to: us.vid, digest: seen.digest }), them, us)
  assert.deepEqual([accept.kind, accept.invite], ['accept', invite.digest])
  assert.equal((await open('web', seal(us, them, { kind: 'application', data: Buffer.from('hello') }).message)).data, base64('hello'))
  done('did:web')
}

/** Our endpoint and the SDK: relationships inside theirs, which either begins, speaks in and ends. */
async function endpointInside() {
  const { endpoint, inner, formed, heard, us, them, store } = await endpointWith('inside')
  const theirs = await ask({ op: 'nested-invite', store, from: them.vid, to: us.vid })
  await endpoint.take(arrived(theirs.sent))
  assert.equal(formed.length, 1)
  const accepted = await open(store, endpoint.sent.pop())
  assert.deepEqual([accepted.kind, accepted.nested], ['accept', formed[0].own])
  assert.equal(formed[0].remote, theirs.nested)
  await endpoint.take(arrived(await ask({ op: 'send', store, from: theirs.nested, to: formed[0].own, data: base64('from inside') })))
  assert.deepEqual(heard, ['from inside'])
  await inner.send(formed[0].own, Buffer.from('from our inside'))
  const seen = await open(store, endpoint.sent.pop())
  assert.deepEqual([seen.sender, seen.receiver, seen.data], [formed[0].own, theirs.nested, base64('from our inside')])

  const own = await inner.invite(them.vid)
  const invited = await open(store, endpoint.sent.pop())
  assert.deepEqual([invited.kind, invited.nested], ['invite', own])
  const answer = await ask({ op: 'nested-accept', store, from: them.vid, to: own, digest: invited.digest })
  await endpoint.take(arrived(answer.sent))
  assert.deepEqual([formed[1].own, formed[1].remote], [own, answer.nested])
  await inner.send(own, Buffer.from('and there'))
  assert.equal((await open(store, endpoint.sent.pop())).data, base64('and there'))
  await inner.cancel(own)
  assert.equal((await open(store, endpoint.sent.pop())).kind, 'cancel')
  assert.deepEqual(endpoint.dropped, [])
  done('our endpoint, relationships inside')
}

/** They send through somebody who passes it on to our endpoint. */
async function endOfRoute() {
  const { endpoint, heard, us, them, store } = await endpointWith('end of a route')
  const between = identity('between')
  await know(store, between)
  await ask({ op: 'relate', store, local: them.vid, remote: between.vid })
  await ask({ op: 'route', store, vid: us.vid, hops: [between.vid, us.vid] })
  const passing = take('message to be passed on to us', await ask({ op: 'send', store, from: them.vid, to: us.vid, data: base64('far') }), them, between)
  assert.deepEqual([passing.kind, passing.hops], ['routed', [us.vid]])
  // Who passes it on is related to us as well.
  await endpoint.take(seal({ ...between, wire: between.long }, us, { kind: 'invite' }).message)
  await endpoint.take(seal(between, us, { kind: 'nested', message: passing.message }).message)
  assert.deepEqual([heard, endpoint.dropped], [['far'], []])
  done('our endpoint, the end of a route')
}

/** They introduce a second VID over the relationship of the first; our endpoint has one, and answers with it. */
async function introduction() {
  const { endpoint, heard, us, them, store } = await endpointWith('introduction')
  const second = await stranger('introduced', store)
  await endpoint.take(arrived(await ask({ op: 'parallel-invite', store, from: them.vid, to: us.vid, new: second.vid })))
  const accepted = await open(store, endpoint.sent.pop())
  assert.deepEqual([accepted.kind, accepted.sender, accepted.receiver], ['accept', us.vid, second.vid])
  assert.equal(await status(store, second, us), 'Bidirectional')
  await endpoint.take(arrived(await ask({ op: 'send', store, from: second.vid, to: us.vid, data: base64('from the second') })))
  await endpoint.send(second.vid, Buffer.from('to the second'))
  assert.equal((await open(store, endpoint.sent.pop())).data, base64('to the second'))
  assert.deepEqual([heard, endpoint.dropped], [['from the second'], []])
  done('our endpoint, a VID that is introduced')
}

/** An endpoint of ours, related to a stranger of theirs; what it sends waits in `endpoint.sent`. */
async function endpointWith(store) {
  const [us, them] = [identity(`our endpoint, ${store}`), await stranger(store)]
  const [sent, dropped, heard, formed] = [[], [], [], []]
  const resolver = createResolver({ fetch: async () => assert.fail('nothing is to be fetched'), now: Date.now })
  const inner = createNested({
    cover: (over, message) => endpoint.cover(over, message),
    resolver,
    changed: (pair, state) => state === 'formed' && formed.push(pair),
  })
  const endpoint = createTspEndpoint({
    own: us,
    resolver,
    relationships: createKeptRelationships({ store: createMemoryStore({ now: Date.now }), lifeSeconds: 3600, now: Date.now }),
    trusts: async () => true,
    carry: async (_address, message) => void sent.push(message),
    hear: ({ data }) => heard.push(data.toString()),
    covered: inner.take,
    dropped: (reason, why) => dropped.push(`${reason}: ${why}`),
  })
  await endpoint.invite(them.long)
  const { digest } = await open(store, sent.pop())
  await endpoint.take(arrived(await ask({ op: 'accept', store, from: them.vid, to: us.vid, digest })))
  assert.ok(await endpoint.relationshipWith(them.vid))
  return { endpoint: { ...endpoint, sent, dropped }, inner, formed, heard, us, them, store }
}

function arrived({ message }) {
  checks++
  return Buffer.from(message, 'base64url')
}

/** Ours, always the same for the same name. */
function identity(name) {
  const seed = (purpose) => createHash('sha256').update(`${name}: ${purpose}`).digest('base64url')
  const secrets = { signing: seed('sign'), opening: seed('open') }
  const x = (crv, d) => publicTextOf(privateKeyOf(crv, d))
  const profile = { verifying: x('Ed25519', secrets.signing), sealing: x('X25519', secrets.opening), endpoint: 'tcp://127.0.0.1:1337' }
  const { short, long } = peerFourOf(profile)
  return known({ vid: short, long, profile, secrets })
}

function known(one) {
  return { ...one, keys: ownKeysOf(one.secrets) }
}

/** Theirs; we were shown its long form. */
async function stranger(name, store = name) {
  const seed = createHash('sha256').update(name).digest('base64url')
  const answer = await ask({ op: 'new-peer', store, transport: 'tcp://127.0.0.1:1338', seed })
  const one = known(parsePiv(answer.piv))
  assert.deepEqual(peerKeysOf(one.profile).sealingBytes, one.keys.sealingBytes)
  return { ...one, answer }
}

async function related(store) {
  const [us, them] = [identity(`we of ${store}`), await stranger(store)]
  const invite = seal({ ...us, wire: us.long }, them, { kind: 'invite' })
  const { digest } = await open(store, invite.message)
  take(`accept of ${store}`, await ask({ op: 'accept', store, from: them.vid, to: us.vid, digest }), them, us)
  return [us, them]
}

function seal({ wire, vid, keys }, to, payload, options = {}) {
  return sealMessage({ from: { vid: wire ?? vid, keys }, to, payload, ...options })
}

function take(what, { message }, from, to) {
  const frame = readFrame(Buffer.from(message, 'base64url'))
  assert.ok([from.vid, from.long].includes(frame.sender), `${what} is of another`)
  const payload = openMessage(frame, { from: from.keys, to: to?.keys })
  if (message.length <= MOST_RECORDED) recorded.push({ what, from: from.profile, ...(to && { to: to.secrets }), message, payload: textsOf(payload) })
  checks++
  return payload
}

function textsOf(payload) {
  const named = Object.entries(payload).map(([name, value]) => [
    name,
    name === 'referral' ? value.vid : Buffer.isBuffer(value) ? value.toString('base64url') : value,
  ])
  return Object.fromEntries(named)
}

async function open(store, message) {
  checks++
  return ask({ op: 'open', store, message: Buffer.from(message).toString('base64url') })
}

async function know(store, { long }) {
  await ask({ op: 'know-peer', store, long })
}

async function status(store, local, remote) {
  return (await ask({ op: 'status', store, local: local.vid, remote: remote.vid })).status
}

async function ask(question) {
  const { ok, error } = await exchange(question)
  if (error !== undefined) throw new Error(`${question.op}: ${error}`)
  return ok
}

async function refused(question) {
  const { error } = await exchange({ ...question, message: question.message.toString('base64url') })
  assert.ok(error !== undefined, `${question.op} was not refused`)
  return error
}

async function exchange(question) {
  driver.stdin.write(`${JSON.stringify(question)}\n`)
  const { value, done: ended } = await lines.next()
  if (ended) throw new Error('the driver ended')
  return JSON.parse(value)
}

/** A digest of ours is the primitive in hexadecimal, theirs its 32 bytes. */
function textOf(digest) {
  return Buffer.from(digest, 'hex').subarray(1).toString('base64url')
}

function base64(text) {
  return Buffer.from(text).toString('base64url')
}

function done(what) {
  say(`ok ${what}`)
}
