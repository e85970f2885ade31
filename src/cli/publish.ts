// PUBLISH, docker-like: [HOST:]PORT, [HOST:]PORT:UPSTREAM, UPSTREAM, or stdio.
import { isIP, isIPv6 } from 'node:net'
import { OpenMcpError } from '../errors.ts'
import type { Vid } from '../identity/vid.ts'
import { parseTarget, schemeOf, shownTarget } from '../protocol/target.ts'
import { parseUpstreamVid } from './upstream-vid.ts'

export interface Publish {
  /** None: served on our own stdio. */
  listen?: { host: string; port: number }
  /** On our own stdio, wherever a file would listen. */
  isStdio?: true
  /** Neither of the two: COMMAND is what is served. */
  urls?: readonly URL[]
  vid?: Vid
}

/** What an UPSTREAM names: URLs in the order to try them, or a VID. */
export function upstreamOf(text: string): Pick<Publish, 'urls' | 'vid'> {
  return schemeOf(text) === 'did' ? { vid: parseUpstreamVid(text) } : { urls: parseTarget(text) }
}

/** What to listen on and what to serve. Refuses what could be read in two ways, instead of choosing one. */
export function parsePublish(text: string, { hasCommand, hasServers = false }: { hasCommand: boolean; hasServers?: boolean }): Publish {
  if (text === 'stdio' && (hasCommand || hasServers)) return { isStdio: true }
  refuseBareIPv6(text)
  const bind = schemeOf(text) === undefined ? bindOf(text) : undefined
  // Beside servers that a file names, HOST:PORT is where to listen.
  if (hasServers && bind && bind.upstream === undefined) return { listen: listenOf(bind) }
  return hasCommand ? withCommand(text, bind) : withoutCommand(text, bind)
}

/** The part of a publish that says where to listen, as typed; what follows it is an UPSTREAM. */
interface Bind {
  host: string
  port: string
  /** Undefined when nothing follows the port. */
  upstream: string | undefined
}

function bindOf(text: string): Bind | undefined {
  const [, address, host, port = '', upstream] = /^(?:\[([^\]]*)\]:|((?!\d+:)[^:/]*):)?(\d+)(?::(.*))?$/s.exec(text) ?? []
  return port === '' ? undefined : { host: address === undefined ? (host ?? '') : `[${address}]`, port, upstream }
}

function withCommand(text: string, bind: Bind | undefined): Publish {
  if (bind === undefined) {
    if (schemeOf(text) !== undefined || text.includes('/')) throw upstreamAndCommand('-p PORT')
    throw notPublish(text, '[HOST:]PORT')
  }
  if (bind.upstream !== undefined) throw upstreamAndCommand(`-p ${shownTarget(text.slice(0, text.length - bind.upstream.length - 1))}`)
  return { listen: listenOf(bind) }
}

function withoutCommand(text: string, bind: Bind | undefined): Publish {
  if (bind?.upstream !== undefined) {
    const listen = listenOf(bind)
    refuseNumber(bind.upstream, text)
    return { listen, ...upstreamOf(bind.upstream) }
  }
  if (bind !== undefined && (bind.host === '' || isUnspecified(bind.host))) {
    throw new OpenMcpError('usage', `-p ${text} says where to listen, and nothing says what to serve`, {
      hint: `add a COMMAND (-p ${text} npx -y some-server) or an upstream (-p ${text}:http://127.0.0.1:9000/mcp)`,
    })
  }
  if (schemeOf(text) === undefined && !/^(?:\[[^\]]*\]|[^:/]+):/.test(text)) throw notPublish(text, '[HOST:]PORT, [HOST:]PORT:UPSTREAM or UPSTREAM')
  return upstreamOf(text)
}

function listenOf({ host, port }: Bind): { host: string; port: number } {
  if (!/^(?:0|[1-9]\d{0,4})$/.test(port) || Number(port) > 65535) {
    throw new OpenMcpError('usage', `-p: ${port} is not a port`, { hint: 'ports go from 1 to 65535; 0 picks a free one' })
  }
  return { host: bindHostOf(host), port: Number(port) }
}

/** Names are not looked up: what they resolve to could be any address, today or tomorrow. */
function bindHostOf(host: string): string {
  const bracketed = host.startsWith('[')
  const bare = bracketed ? host.slice(1, -1) : host
  if (bare.toLowerCase() === 'localhost' || host === '') return '127.0.0.1'
  if (isIP(bare) === (bracketed ? 6 : 4) && !bare.includes('%')) return bare
  throw new OpenMcpError('usage', `-p: cannot listen on '${shownTarget(host)}': it is neither an IP address nor localhost`, {
    hint: 'use 127.0.0.1, [::1] or the address of a network card; 0.0.0.0 is all of them',
  })
}

function isUnspecified(host: string): boolean {
  return host === '0.0.0.0' || host === '[::]'
}

function refuseBareIPv6(text: string): void {
  const outside = text.replace(/:\/\/.*$/s, '').replace(/\[[^\]]*\]/g, '_')
  const head = text.replace(/:\d*$/, '')
  if (!/^[\da-f:.]*::/i.test(outside) && !isIPv6(text) && !isIPv6(head)) return
  const example = isIPv6(head) ? `[${head}]${text.slice(head.length)}` : '[::1]:8000'
  throw new OpenMcpError('usage', `-p ${shownTarget(text)}: an IPv6 address goes in brackets`, { hint: `write ${example}` })
}

function refuseNumber(upstream: string, text: string): void {
  if (!/^\d*$/.test(upstream)) return
  const where = upstream === '' ? 'http://127.0.0.1:9000/mcp' : `127.0.0.1:${upstream}`
  throw new OpenMcpError('usage', `-p ${text}: after the port to listen on belongs an upstream with its host`, {
    hint: `write ${text.slice(0, text.length - upstream.length)}${where}, or -p PORT COMMAND to serve a program`,
  })
}

function upstreamAndCommand(instead: string): OpenMcpError {
  return new OpenMcpError('usage', '-p names an upstream, and a COMMAND is given too', {
    hint: `drop COMMAND to serve the upstream, or drop the upstream (${instead}) to serve COMMAND`,
  })
}

function notPublish(text: string, grammar: string): OpenMcpError {
  return new OpenMcpError('usage', `-p '${shownTarget(text)}' is not ${grammar}`, { hint: 'like -p 8000, -p 127.0.0.1:8000 or -p [::1]:8000' })
}
