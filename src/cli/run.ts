// `openmcp run`: serve until told to stop.
import { EXIT_CODE } from '../errors.ts'
import { createLog, type Log } from '../observe/log.ts'
import { serverPath } from '../protocol/server-path.ts'
import { openmcp, type OpenMcp, type OpenMcpOptions } from '../openmcp.ts'
import { endChildrenWithUs } from '../openmcp/exit.ts'
import type { Io } from './io.ts'
import { createProver } from './prove-servers.ts'
import type { RunOptions } from './run-options.ts'

const STOP_SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const
type StopSignal = keyof typeof STOP_SIGNALS

/** Exit code: 0 when stopped or left, 1 when the server is gone; a second signal ends it at once with 128 + its number. */
export async function run(typed: RunOptions, io: Io): Promise<number> {
  const { options, warnings, proof, source } = typed
  const lines = typed.tellsClient ? (await import('../observe/log-lines.ts')).createLogLines() : undefined
  const logging = { ...options.log, write: (line: string) => void io.stderr.write(line), heard: lines?.heard, now: Date.now }
  const log = createLog(logging)
  for (const warning of warnings) log.warn(warning)
  const credential = proof && (await (await import('./upstream-login.ts')).credentialOf(proof, log))
  const signalled = firstSignal()
  endChildrenWithUs()
  const prove = createProver(log)
  const servers = await prove(typed.servers)
  const proxy = await openmcp({ ...options, servers, ...(credential && { credential }) }, { stdin: io.stdin, stdout: io.stdout, log, lines, now: Date.now })
  // Nobody knows a port that was picked before it is told, however little else they want to hear.
  const isPicked = options.listen?.port === 0 && !log.debugging
  announce(proxy, { ...options, servers }, isPicked ? createLog({ ...logging, level: 'info' }) : log)
  const following = source && (await import('./follow-config.ts')).followConfig({ ...typed, source }, { proxy, prove, log })
  const reason = await Promise.race([proxy.ended, signalled])
  if (typeof reason === 'string') log.info('stopping', { signal: reason })
  following?.stop()
  await proxy.close()
  if (reason === undefined || typeof reason === 'string') return 0
  log.error(reason.message, { hint: reason.hint })
  return EXIT_CODE[reason.code]
}

function announce({ url, enrolment, tsp }: OpenMcp, { target, aggregate, servers, listen }: OpenMcpOptions, log: Log): void {
  if (!url) return log.info(`serving ${target ? shown(target) : 'nothing'} on stdio`)
  const sse = new URL(url)
  sse.pathname = `${listen?.pathPrefix ?? ''}/sse`
  const hasRoot = target !== undefined || aggregate !== undefined
  if (hasRoot) log.info(`listening on ${url.href} (older clients: ${sse.href})`)
  for (const { name } of servers ?? []) log.info(`${hasRoot ? 'and' : 'listening'} on ${new URL(`.${serverPath(name)}/mcp`, url).href}`)
  if (tsp !== undefined) log.info(`TSP endpoint listening for incoming messages to: ${tsp}`)
  if (!enrolment) return
  // Bound to every address it has no name that can be called, and on this machine loopback is one.
  if (['0.0.0.0', '[::]'].includes(enrolment.hostname)) enrolment.hostname = enrolment.hostname === '[::]' ? '[::1]' : '127.0.0.1'
  log.warn(`nobody is trusted yet, so nobody can come in; whoever opens this link first, within 15 minutes, will be trusted: ${enrolment.href}`)
  // The link belongs to the issuer under the name that clients know.
  const resource = new URL(`${listen?.pathPrefix ?? ''}/mcp`, enrolment)
  log.warn(`or without a browser: openmcp token ${resource.href} --enrol '${enrolment.href}'`)
}

function shown(target: NonNullable<OpenMcpOptions['target']>): string {
  switch (target.kind) {
    case 'command':
      return [target.command, ...target.args].join(' ')
    case 'remote':
      return target.urls[0]?.origin ?? ''
    case 'socket':
      return target.url.host
    case 'vid':
      // Of a did:peer:4 what others call it.
      return target.vid.replace(/^(did:peer:4[^:]*):.*$/, '$1')
  }
}

/** The first signal stops in order; the second ends everything now. */
function firstSignal(): Promise<StopSignal> {
  return new Promise((resolve) => {
    let asked = false
    for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (asked) process.exit(128 + STOP_SIGNALS[signal])
        asked = true
        resolve(signal)
      })
    }
  })
}
