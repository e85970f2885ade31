// Checks the bench itself: `node bench/selftest.mjs`. It needs neither openmcp nor the peers.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { spawnSync } from 'node:child_process'
import { after, before, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { createPool } from './lib/http-client.mjs'
import { createLineSplitter } from './lib/line-splitter.mjs'
import { createSseReader } from './lib/sse-reader.mjs'
import { createTarget } from './lib/sessions.mjs'
import { freePort, launch } from './lib/launch.mjs'
import { openSessions, runCalls, runCrossing, runNotifications } from './lib/load.mjs'
import { descendantsOf, memoryOf, statOf } from './lib/proc.mjs'
import { sleep } from './lib/time.mjs'
import { HTTP_SERVER, NPM_PEERS, STDIO_SERVER } from './peers.mjs'
import { report } from './report.mjs'
import { judge } from './targets.mjs'

const here = path.dirname(fileURLToPath(import.meta.url))
const local = (...parts) => path.join(here, ...parts)
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'openmcp-bench-selftest-'))
const [stdioCommand, ...stdioArgs] = STDIO_SERVER

let origin
let echoServer
before(async () => {
  const port = await freePort()
  const [command, ...args] = HTTP_SERVER.map((argument) => argument.replace('{port}', port))
  echoServer = launch({ command, args })
  origin = `http://127.0.0.1:${port}`
  await untilListening(port)
})
after(async () => {
  await echoServer.stop(1000)
  fs.rmSync(scratch, { recursive: true })
})

test('lines and events are the same however the bytes are cut', () => {
  const lines = ['{"a":1}', 'x'.repeat(5000), 'ü€𝄞', '{"b":2}']
  const stream =
    ': hello\n\nevent: endpoint\ndata: /m?x=1\n\nid: 7\r\nevent: message\r\ndata: {"k":"ü"}\r\n\r\ndata: a\ndata:b\n\nretry: 5\n\n' +
    `data: ${'z'.repeat(3000)}\n\n`
  const events = [
    ['endpoint', '/m?x=1'],
    ['message', '{"k":"ü"}'],
    ['', 'a\nb'],
    ['', 'z'.repeat(3000)],
  ]
  const random = createRandom()
  for (let i = 0; i < 200; i++) {
    const [seenLines, seenEvents] = [[], []]
    const split = createLineSplitter((line) => seenLines.push(line.toString()))
    for (const part of cut(`${lines.join('\n')}\n`, random)) split(part)
    const read = createSseReader((name, data) => seenEvents.push([name, data.toString()]))
    for (const part of cut(stream, random)) read(part)
    assert.deepEqual(seenLines, lines)
    assert.deepEqual(seenEvents, events)
  }
})

test('the HTTP client reads every framing, however the bytes are cut, on connections it keeps', async () => {
  const body = 'y'.repeat(2500)
  const chunks = body.match(/.{1,400}/g).map((part) => `${part.length.toString(16)};ext=1\r\n${part}\r\n`)
  const replies = [
    { raw: `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`, status: 200, body },
    {
      raw: `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\nTrailer: x\r\n\r\n`,
      status: 200,
      body,
    },
    { raw: 'HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n', status: 202, body: '' },
    { raw: 'HTTP/1.1 204 No Content\r\n\r\n', status: 204, body: '' },
    { raw: `HTTP/1.1 413 Too Large\r\nConnection: close\r\n\r\n${body}`, status: 413, body, closes: true },
  ]
  const random = createRandom()
  let connections = 0
  const server = net.createServer({ noDelay: true }, (socket) => {
    connections++
    socket.on('error', () => {})
    socket.on('data', async (request) => {
      const reply = replies[request.toString('latin1').match(/^GET \/(\d)/)[1]]
      for (const part of cut(reply.raw, random)) {
        socket.write(part)
        if (random(5) === 0) await new Promise(setImmediate)
      }
      if (reply.closes) socket.end()
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const pool = createPool(`http://127.0.0.1:${server.address().port}`)
  for (let i = 0; i < 300; i++) {
    const wanted = random(replies.length)
    const seen = await get(pool, `/${wanted}`)
    assert.deepEqual(seen, { status: replies[wanted].status, body: replies[wanted].body })
  }
  assert.ok(connections < 150, `${connections} connections for 300 requests`)
  pool.close()
  server.close()
})

for (const face of ['streamable', 'sse', 'stdio']) {
  test(`a ${face} session calls, carries megabytes, counts notifications and names what went wrong`, async () => {
    const target = targetOf(face)
    const session = await target.createSession().open()
    assert.equal(session.protocolVersion, '2025-06-18')
    assert.equal((await session.request('tools/list')).tools.length, 5)
    assert.equal((await session.call('echo', [Buffer.from('{"text":"hä"}')])).content[0].text, 'hä')
    const large = [Buffer.from('{"text":"'), Buffer.alloc(3e6, 'x'), Buffer.from('"}')]
    assert.ok((await session.call('echo', large, { atLeastBytes: 3e6 })).bytes >= 3e6)
    await assert.rejects(session.call('blob', [Buffer.from('{"bytes":10}')], { atLeastBytes: 5000 }), { kind: 'short' })
    await assert.rejects(session.call('nothing', [Buffer.from('{}')]), { kind: 'rpc' })

    const { sent, lost } = await runNotifications([session], { seconds: 0.1, notifications: 50 })
    assert.ok(sent > 0)
    assert.equal(lost, 0)
    assert.equal(session.foreign, 0)
    session.receive(Buffer.from('{"jsonrpc":"2.0","id":123456789,"result":{}}'))
    assert.equal(session.foreign, 1)
    await target.end()
  })

  test(`${face} sessions that use the same ids and tokens at once see nothing of each other`, async () => {
    const target = targetOf(face)
    const { sessions } = await openSessions(target, 4)
    const { calls, foreign, failed } = await runCrossing(sessions, { seconds: 0.2 })
    assert.ok(calls > 10)
    assert.deepEqual({ foreign, failed }, { foreign: 0, failed: 0 })
    await target.end()
  })
}

test('a server that shows every message to every session is caught', async () => {
  const target = targetOf('sse')
  const { sessions } = await openSessions(target, 3)
  const own = sessions.map((session) => session.receive)
  const [first, second] = sessions
  const real = first.notifications
  const copying = setInterval(() => own[1](Buffer.from('{"jsonrpc":"2.0","method":"notifications/progress","params":{"total":99}}')), 5)
  const { foreign } = await runCrossing(sessions, { seconds: 0.2 })
  clearInterval(copying)
  assert.ok(foreign > 5)
  assert.equal(first.foreign, 0)
  assert.equal(second.foreign, foreign)
  assert.ok(first.notifications > real)
  await target.end()
})

test('timeouts, unknown sessions and dropped connections are errors, not answers', async () => {
  const target = createTarget({ face: 'streamable', url: `${origin}/mcp`, timeoutMs: 400 })
  const slow = await target.createSession().open()
  await assert.rejects(slow.call('sleep', [Buffer.from('{"ms":3000}')]), { kind: 'timeout' })
  const stranger = target.createSession()
  await assert.rejects(stranger.call('echo', [Buffer.from('{"text":"a"}')]), { kind: 'http404' })
  await target.end()

  const stdio = targetOf('stdio')
  const doomed = await stdio.createSession().open()
  await assert.rejects(doomed.call('die', [Buffer.from('{}')]), { kind: 'exit' })
  await stdio.end()
})

test('calls that fail are counted and end the slice early', async () => {
  const target = targetOf('streamable')
  const { sessions } = await openSessions(target, 2)
  const row = await runCalls(sessions, { seconds: 5, inflight: 1, bytes: 100, tool: 'nothing' })
  assert.deepEqual([row.calls, row.failed, row.errors], [0, 8, { rpc: 8 }])
  assert.ok(row.seconds < 1)
  await target.end()
})

const FLOORS = {
  'the stdio floor': (port) => [local('floor', 'stdio-forwarder.mjs'), port, ...STDIO_SERVER],
  'the HTTP floor': (port) => [local('floor', 'http-forwarder.mjs'), port, origin, 'http'],
  'the HTTP floor on node:net': (port) => [local('floor', 'http-forwarder.mjs'), port, origin, 'net'],
}
for (const [name, argumentsFor] of Object.entries(FLOORS)) {
  test(`${name} keeps sessions apart, streams notifications and carries 4 MiB`, async () => {
    const port = await freePort()
    const floor = launch({ command: process.execPath, args: argumentsFor(String(port)) })
    await untilListening(port)
    const target = createTarget({ face: 'streamable', url: `http://127.0.0.1:${port}/mcp` })
    const { sessions } = await openSessions(target, 4)
    const crossing = await runCrossing(sessions, { seconds: 0.2 })
    const notified = await runNotifications(sessions, { seconds: 0.2, notifications: 100 })
    const large = await runCalls(sessions, { seconds: 0.2, inflight: 1, bytes: 4 * 1024 * 1024 })
    assert.ok(crossing.calls > 0 && notified.sent > 0 && large.calls > 0)
    assert.deepEqual([crossing.foreign, crossing.failed, notified.lost, notified.failed, large.failed], [0, 0, 0, 0, 0])
    await target.end()
    assert.deepEqual(await floor.stop(2000), { inTime: true, left: 0 })
  })
}

test('what a process left behind is ended with it, and told', async () => {
  const child = `require('child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore', detached: true })`
  const script = `${child}; process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1000)`
  const parent = launch({ command: process.execPath, args: ['-e', script] })
  while (descendantsOf(parent.pid).length === 0) await sleep(20)
  assert.ok(memoryOf([parent.pid]).mb > 1)
  assert.deepEqual(await parent.stop(2000), { inTime: true, left: 1 })
  assert.equal(statOf(parent.pid), null)
})

test('a target is reached only by what was measured', () => {
  const both = (scenario, ours, floors, more) => [
    ...[0, 1].map((rep) => slice('openmcp', scenario, rep, { perSecond: ours, ...more })),
    ...[0, 1].map((rep) => slice('floor-stdio', scenario, rep, { perSecond: floors })),
  ]
  assert.equal(wordOf([], 'floor-stdio, seq16'), 'not measured')
  assert.equal(wordOf(both('seq16', 61, 100), 'floor-stdio, seq16'), 'yes')
  assert.equal(wordOf(both('seq16', 59, 100), 'floor-stdio, seq16'), 'no')
  assert.equal(wordOf(both('seq16', 61, 100, { failed: 1 }), 'floor-stdio, seq16'), 'no')
  assert.equal(wordOf(both('seq16', 0, 100), 'floor-stdio, seq16'), 'no', 'nothing succeeded')
  assert.equal(wordOf(both('seq16', 61, 0), 'floor-stdio, seq16'), 'not measured')
  assert.equal(wordOf(both('seq16', 61, 100).slice(0, 2), 'floor-stdio, seq16'), 'not measured')
  assert.equal(wordOf(both('notify', 60, 100, { lost: 0 }), 'notify'), 'yes')
  assert.equal(wordOf(both('notify', 60, 100, { lost: 1 }), 'notify'), 'no')
  assert.equal(wordOf(both('idle', 1, 1, { proxyMbPer100: 3 }), 'idle session'), 'not measured')
  assert.equal(wordOf([slice('openmcp', 'cross', 0, { foreign: 0 })], 'another session'), 'not measured')
  const crossed = ['openmcp', 'openmcp-isolated'].map((peer) => slice(peer, 'cross', 0, { foreign: 0 }))
  assert.equal(wordOf(crossed, 'another session'), 'yes')
  assert.equal(wordOf([...crossed, slice('openmcp', 'pipe', 0, { foreign: 1 })], 'another session'), 'no')
})

test('a run of the whole bench measures a stand-in for openmcp and judges it', () => {
  const program = path.join(scratch, 'stand-in.mjs')
  const forwarder = pathToFileURL(local('floor', 'stdio-forwarder.mjs'))
  fs.writeFileSync(
    program,
    `const [node, file, , , port, ...rest] = process.argv
     process.argv = [node, file, port, ...rest.slice(rest.indexOf('--') + 1)]
     await import(${JSON.stringify(forwarder)})`,
  )
  const out = path.join(scratch, 'rows.jsonl')
  const options = ['--mode', 'stdio-streamable', '--peers', 'floor-stdio,openmcp', '--scenarios', 'cold,seq16,cross', '--quick']
  const ran = bench(...options, '--program', program, '--out', out)
  assert.equal(ran.status, 0, ran.stderr)
  assert.match(ran.stdout, /\| openmcp against floor-stdio, seq16 \| ≥ 0\.6 × \| \d+\.\d\d × \| (yes|no) \|/)
  assert.match(ran.stdout, /\| openmcp against mcp-proxy, seq16 \| ≥ 5 × \| – \| not measured \|/)
  const rows = fs
    .readFileSync(out, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.equal(rows.filter(({ peer, scenario }) => peer === 'openmcp' && scenario === 'cold').length, 2)
  assert.equal(bench('--report', out).stdout, ran.stdout)
  assert.equal(ran.stdout.trim(), report(rows).trim())
})

test('a program that does not exist is skipped by name, and nothing is reached', () => {
  const out = path.join(scratch, 'none.jsonl')
  const ran = bench('--peers', 'openmcp-sse,direct-sse', '--scenarios', 'cold', '--quick', '--program', '/nonexistent.mjs', '--out', out)
  assert.equal(ran.status, 0, ran.stderr)
  assert.match(ran.stdout, /openmcp-sse skipped: nonexistent\.mjs is not built/)
  assert.doesNotMatch(ran.stdout, /\| yes \|/)
})

test('of TSP what cannot be measured is named, and nothing is reached', () => {
  const out = path.join(scratch, 'no-tsp.jsonl')
  const ran = bench('--mode', 'tsp', '--quick', '--program', path.join(scratch, 'nowhere', 'openmcp.mjs'), '--out', out)
  assert.equal(ran.status, 0, ran.stderr)
  assert.match(ran.stdout, /openmcp skipped: openmcp\.mjs is not built/)
  assert.match(ran.stdout, /\| openmcp against tsp_sdk, seal1k \| ≥ 0\.5 × \| – \| not measured \|/)
  assert.doesNotMatch(ran.stdout, /\| yes \|/)
})

test('what is asked wrongly is refused with a hint', () => {
  for (const [option, value] of [['--driver', '/nonexistent'], ['--mode', 'tcp'], ['--peers', 'nobody'], ['--reps', '0'], ['--speed', '9'], ['--report']]) {
    const ran = bench(...[option, value].filter((argument) => argument !== undefined))
    assert.equal(ran.status, 2)
    assert.match(ran.stderr, /^bench: error: .*\nbench: hint: /)
    assert.equal(ran.stdout, '')
  }
})

test('the peers are pinned, and the lock names no registry', () => {
  const { dependencies } = JSON.parse(fs.readFileSync(local('package.json'), 'utf8'))
  const lock = fs.readFileSync(local('package-lock.json'), 'utf8')
  assert.deepEqual(Object.keys(dependencies).toSorted(byName), NPM_PEERS.toSorted(byName))
  for (const [name, version] of Object.entries(dependencies)) {
    assert.match(version, /^\d+\.\d+\.\d+$/)
    assert.equal(JSON.parse(lock).packages[`node_modules/${name}`].version, version)
  }
  assert.doesNotMatch(lock, /"resolved"/)
})

const wordOf = (rows, text) => judge(rows, 'stdio-streamable').find(({ target }) => target.includes(text)).verdict
const slice = (peer, scenario, rep, more) => ({ run: 'r', mode: 'stdio-streamable', peer, scenario, rep, calls: 10, failed: 0, ...more })
const byName = (a, b) => a.localeCompare(b)

function targetOf(face) {
  const url = { streamable: `${origin}/mcp`, sse: `${origin}/sse` }[face]
  return createTarget({ face, url, command: { command: stdioCommand, args: stdioArgs } })
}

function bench(...args) {
  return spawnSync(process.execPath, [local('run.mjs'), ...args], { encoding: 'utf8', timeout: 60_000 })
}

function get(pool, where) {
  return new Promise((resolve, reject) => {
    const seen = { status: 0, body: '' }
    pool.request({
      method: 'GET',
      path: where,
      headers: {},
      body: null,
      onHead: (status) => (seen.status = status),
      onData: (bytes) => (seen.body += bytes),
      onEnd: () => resolve(seen),
      onError: reject,
    })
  })
}

async function untilListening(port) {
  for (let i = 0; i < 200; i++) {
    const listens = await new Promise((resolve) => {
      const socket = net.connect({ port, host: '127.0.0.1' }, () => resolve(true))
      socket.on('error', () => resolve(false))
      socket.on('connect', () => socket.destroy())
    })
    if (listens) return
    await sleep(25)
  }
  throw new Error(`nothing listens on ${port}`)
}

// The same numbers every time, so that a failure can be looked at again.
function createRandom() {
  let seed = 12_345
  return (below) => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff
    return seed % below
  }
}

function cut(text, random) {
  const bytes = Buffer.from(text)
  const parts = []
  for (let at = 0; at < bytes.length; at += parts.at(-1).length) {
    parts.push(bytes.subarray(at, at + 1 + random(random(4) === 0 ? 900 : 7)))
  }
  return parts
}
