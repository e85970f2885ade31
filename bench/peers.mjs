// Who is measured, and how each is started.
//   mode   the group it is compared in
//   role   openmcp | floor (the least a proxy has to do) | peer | direct (no proxy at all: the limit)
//   face   what the generator speaks to it: streamable | sse | rest | stdio
//   login  what the generator shows to it, where it asks: bearer | fresh | dpop | key | freshKey (lib/login.mjs)
//   keys   how many API keys are in its store
//   python  it is from PyPI
//   measured  the scenarios it is measured in, when not all of its mode
//   start  its command; the bench fills in {port} {server...} (the stdio server, as arguments) {server} (the same, for a shell)
//          {did} (who the generator is) {upstream} {upstreamSse} {upstreamOrigin} (the HTTP server) {tmp} (a folder of its own) {program} (openmcp)
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { nginxConfiguration } from './lib/nginx.mjs'
import { hasPythonPeers, PYTHON_BIN } from './lib/python.mjs'

export const MODES = ['stdio-streamable', 'stdio-sse', 'http-http', 'http-stdio', 'guard', 'keys', 'openapi']

/** What ratios of a mode are taken against: its floor, or no proxy at all where there is no floor. */
export const REFERENCE = {
  'stdio-streamable': 'floor-stdio',
  'stdio-sse': 'direct-sse',
  'http-http': 'floor-http',
  'http-stdio': 'direct-pipe',
  guard: 'openmcp-open',
  keys: 'openmcp-token',
  openapi: 'openmcp-mcp',
}

const here = path.dirname(fileURLToPath(import.meta.url))
const local = (...parts) => path.join(here, ...parts)
const node = process.execPath
const fromNpm = (name, script, ...args) => ({
  package: name,
  start: [node, '--require', local('lib', 'loopback-only.cjs'), local('node_modules', name, script), ...args],
})
const openmcp = (...args) => ({
  role: 'openmcp',
  start: [node, '{program}', 'run', ...args],
  env: { OPENMCP_HOME: '{tmp}' },
})
const guarded = (login) => ({
  ...openmcp('--security', '--config', '{tmp}/openmcp.json', '-p', '{port}:{upstream}'),
  files: { 'openmcp.json': ({ did }) => JSON.stringify({ trust: { identities: [{ id: did }] } }) },
  login,
})
const keyed = (login, keys) => ({ ...guarded(login), keys })
const supergateway = (...args) => fromNpm('supergateway', 'dist/index.js', '--logLevel', 'none', ...args)
const mcpProxy = (...args) => fromNpm('mcp-proxy', 'dist/bin/mcp-proxy.mjs', '--port', '{port}', ...args, '--', '{server...}')
const mcpRemote = (...args) => ({
  ...fromNpm('mcp-remote', 'dist/proxy.js', ...args, '--allow-http'),
  env: { MCP_REMOTE_CONFIG_DIR: '{tmp}' },
})
const echoHttp = [node, local('servers', 'echo-http.mjs'), '--port', '{port}']
const httpForwarder = (client) => [node, local('floor', 'http-forwarder.mjs'), '{port}', '{upstreamOrigin}', client]

export const STDIO_SERVER = [node, local('servers', 'echo-stdio.mjs')]
export const HTTP_SERVER = echoHttp

const GROUPS = {
  'stdio-streamable': {
    face: 'streamable',
    entries: [
      { name: 'direct-http', role: 'direct', start: echoHttp, note: 'no proxy: the HTTP echo server itself' },
      {
        name: 'floor-stdio',
        role: 'floor',
        start: [node, local('floor', 'stdio-forwarder.mjs'), '{port}', '{server...}'],
        note: 'bare forwarder, one shared child',
      },
      {
        name: 'openmcp',
        ...openmcp('-p', '{port}', '--isolation', 'shared', '--', '{server...}'),
        note: 'one shared child, as the floor and mcp-proxy have',
      },
      {
        name: 'openmcp-isolated',
        ...openmcp('-p', '{port}', '--', '{server...}'),
        note: 'its default: one child per session, as supergateway has',
      },
      {
        name: 'supergateway',
        ...supergateway('--stdio', '{server}', '--outputTransport', 'streamableHttp', '--stateful', '--port', '{port}'),
        note: 'stateful: one child per session',
      },
      { name: 'mcp-proxy', ...mcpProxy(), note: 'one shared child' },
    ],
  },
  'stdio-sse': {
    face: 'sse',
    entries: [
      { name: 'direct-sse', role: 'direct', start: echoHttp, note: 'no proxy: the HTTP echo server itself' },
      { name: 'openmcp-sse', ...openmcp('-p', '{port}', '--isolation', 'shared', '--', '{server...}'), note: 'one shared child' },
      {
        name: 'supergateway-sse',
        ...supergateway('--stdio', '{server}', '--outputTransport', 'sse', '--port', '{port}'),
        note: 'one shared child; every answer goes to every session',
      },
      { name: 'mcp-proxy-sse', ...mcpProxy('--server', 'sse'), note: 'one shared child' },
    ],
  },
  'http-http': {
    face: 'streamable',
    upstream: true,
    entries: [
      { name: 'direct-upstream', role: 'direct', start: echoHttp, note: 'no proxy: the HTTP echo server itself' },
      { name: 'floor-http', role: 'floor', start: httpForwarder('http'), note: 'bare forwarder on node:http' },
      { name: 'floor-net', role: 'floor', start: httpForwarder('net'), note: 'the same, its upstream side on node:net' },
      { name: 'openmcp-http', ...openmcp('-p', '{port}:{upstream}'), note: 'one remote server, served over HTTP' },
      {
        name: 'nginx',
        onPath: 'nginx',
        start: ['nginx', '-c', '{tmp}/nginx.conf', '-p', '{tmp}'],
        files: { 'nginx.conf': nginxConfiguration },
        note: 'one worker, buffering off',
      },
    ],
  },
  'http-stdio': {
    face: 'stdio',
    upstream: true,
    entries: [
      { name: 'direct-pipe', role: 'direct', start: ['{server...}'], note: 'no proxy: the stdio echo server itself' },
      { name: 'openmcp-stdio', ...openmcp('-p', '{upstream}'), note: 'Streamable HTTP upstream' },
      { name: 'openmcp-stdio-sse', ...openmcp('-p', '{upstreamSse}'), note: 'SSE upstream' },
      { name: 'supergateway-stdio', ...supergateway('--streamableHttp', '{upstream}'), note: 'Streamable HTTP upstream' },
      { name: 'supergateway-stdio-sse', ...supergateway('--sse', '{upstreamSse}'), note: 'SSE upstream' },
      { name: 'mcp-remote', ...mcpRemote('{upstream}', '--transport', 'http-only'), note: 'Streamable HTTP upstream' },
      { name: 'mcp-remote-sse', ...mcpRemote('{upstreamSse}', '--transport', 'sse-only'), note: 'SSE upstream' },
    ],
  },
  guard: {
    face: 'streamable',
    upstream: true,
    entries: [
      { name: 'openmcp-open', ...openmcp('-p', '{port}:{upstream}'), measured: ['seq16', 'seq1'], note: 'nobody is asked who they are' },
      { name: 'openmcp-bearer', ...guarded('bearer'), note: 'a token that is known' },
      { name: 'openmcp-fresh', ...guarded('fresh'), measured: ['seq1'], note: 'every call with a token never shown before' },
      { name: 'openmcp-dpop', ...guarded('dpop'), measured: ['seq16', 'seq1'], note: 'a token bound to a key, a proof (ES256) with every call' },
    ],
  },
  keys: {
    face: 'streamable',
    upstream: true,
    entries: [
      { name: 'openmcp-nobody', ...openmcp('-p', '{port}:{upstream}'), note: 'nobody is asked who they are' },
      { name: 'openmcp-token', ...guarded('bearer'), note: 'a token that is known' },
      { name: 'openmcp-key', ...keyed('key', 10), note: 'an API key that is known, one of 10' },
      { name: 'openmcp-keys', ...keyed('key', 100_000), note: 'an API key that is known, one of 100,000' },
      { name: 'openmcp-key-new', ...keyed('freshKey', 100_000), measured: ['seq1'], note: 'with every call another of 100,000' },
    ],
  },
  openapi: {
    face: 'rest',
    entries: [
      {
        name: 'openmcp-mcp',
        ...openmcp('-p', '{port}', '--isolation', 'shared', '--', '{server...}'),
        face: 'streamable',
        note: 'the same server as MCP: Streamable HTTP, one shared child',
      },
      {
        name: 'openmcp-openapi',
        ...openmcp('--openapi', '-p', '{port}', '--isolation', 'shared', '--', '{server...}'),
        note: 'tools as REST, one shared child',
      },
      {
        name: 'mcpo',
        python: true,
        start: [path.join(PYTHON_BIN, 'mcpo'), '--host', '127.0.0.1', '--port', '{port}', '--log-level', 'ERROR', '--', '{server...}'],
        note: 'one shared child',
      },
    ],
  },
}

export const PEERS = MODES.flatMap((mode) => {
  const { entries, face, upstream = false } = GROUPS[mode]
  return entries.map((entry) => ({ role: 'peer', mode, face, upstream: upstream && entry.role !== 'direct', ...entry }))
})

export const NPM_PEERS = [...new Set(PEERS.flatMap((peer) => peer.package ?? []))]

/** Why a peer cannot run here, or null. */
export function reasonToSkip(peer, program) {
  if (peer.role === 'openmcp' && !fs.existsSync(program)) return `${path.basename(program)} is not built (npm run build)`
  if (peer.package && !fs.existsSync(local('node_modules', peer.package))) return 'not installed (npm ci --prefix bench)'
  if (peer.python && !hasPythonPeers()) return 'not installed (python3 with venv, and PyPI once)'
  if (peer.onPath && !isOnPath(peer.onPath)) return `${peer.onPath} is not on PATH`
  return null
}

/** The command of a peer with its places filled in. */
export function commandOf(peer, places) {
  const fill = (text) => text.replace(/\{(\w+)\}/g, (_, name) => places[name])
  const [command, ...args] = peer.start.flatMap((argument) => (argument === '{server...}' ? STDIO_SERVER : [fill(argument)]))
  const env = Object.fromEntries(Object.entries(peer.env ?? {}).map(([name, value]) => [name, fill(value)]))
  return { command, args, env, cwd: places.tmp }
}

function isOnPath(command) {
  const folders = (process.env.PATH ?? '').split(path.delimiter)
  return folders.some((folder) => fs.existsSync(path.join(folder, command)))
}
