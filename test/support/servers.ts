// Servers to put openmcp in front of, and what to type for it.
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Served } from './openmcp.ts'
import { startProgram, type Program } from './program.ts'

const fileOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** Our scripted server as a command. */
export function scripted(...flags: string[]): string[] {
  return [process.execPath, fileOf('scripted-server.mjs'), ...flags]
}

/** A server as openmcp is told of it, and how to end it. A stdio server is started by openmcp itself. */
export interface WayOut {
  readonly served: Pick<Served, 'upstream' | 'command'>
  stop(): Promise<unknown>
}

export const WAYS_OUT = ['stdio child', 'Streamable HTTP', 'HTTP+SSE'] as const
export type WayOutName = (typeof WAYS_OUT)[number]

/** The server on the official SDK v1. */
export async function sdkServer(way: WayOutName): Promise<WayOut> {
  if (way === 'stdio child') return aChild([process.execPath, fileOf('sdk-server.mjs'), 'stdio'])
  const server = await listening([fileOf('sdk-server.mjs'), way === 'Streamable HTTP' ? 'http' : 'sse'])
  return { served: { upstream: `${server.origin}${way === 'Streamable HTTP' ? '/mcp' : '/sse'}` }, stop: server.stop }
}

/** The conformance fixture on the official SDK v2, both eras. */
export async function fixture(way: WayOutName): Promise<WayOut> {
  if (way === 'stdio child') return aChild([process.execPath, fileOf('../conformance/fixture-stdio.mjs')])
  const server = await listening([fileOf(way === 'Streamable HTTP' ? '../conformance/fixture-http.mjs' : 'fixture-sse.mjs')])
  return { served: { upstream: `${server.origin}${way === 'Streamable HTTP' ? '/mcp' : '/sse'}` }, stop: server.stop }
}

/** `@modelcontextprotocol/server-everything`, unmodified. */
export async function everything(way: WayOutName): Promise<WayOut> {
  const file = fileOf('../../node_modules/@modelcontextprotocol/server-everything/dist/index.js')
  if (way === 'stdio child') return aChild([process.execPath, file, 'stdio'])
  // It takes a port and does not tell which one it got.
  const port = await freePort()
  const program = startProgram(process.execPath, [file, way === 'Streamable HTTP' ? 'streamableHttp' : 'sse'], { env: { PORT: String(port) } })
  await program.says(/port \d+/)
  return { served: { upstream: `http://127.0.0.1:${port}${way === 'Streamable HTTP' ? '/mcp' : '/sse'}` }, stop: program.stop }
}

export function sdkServerFile(): string {
  return fileOf('sdk-server.mjs')
}

export interface HttpProgram extends Program {
  readonly origin: string
}

/** A Node program that says on stderr where it listens. */
export async function listening(args: readonly string[]): Promise<HttpProgram> {
  const program = startProgram(process.execPath, args)
  try {
    const [, origin = ''] = await program.says(/listening on (http:\/\/127\.0\.0\.1:\d+)/)
    return Object.assign(program, { origin })
  } catch (error) {
    await program.stop()
    throw error
  }
}

/** A port nobody listens on: for what must be told its port before it listens. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => (typeof address === 'object' && address ? resolve(address.port) : reject(new Error('a TCP listener has a port'))))
    })
  })
}

function aChild(command: string[]): WayOut {
  return { served: { command }, stop: () => Promise.resolve() }
}
