// A configuration that changes while openmcp runs: what can be applied is, what cannot is said, and what is broken changes nothing.
import { isDeepStrictEqual } from 'node:util'
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { OpenMcp, OpenMcpOptions } from '../openmcp.ts'
import type { ProveServers } from './prove-servers.ts'
import type { RunOptions, Source } from './run-options.ts'
import { mayWait, watchFiles, type Watch } from './watch-files.ts'

type Followed = RunOptions & { source: Source }

export function followConfig(
  typed: Followed,
  { proxy, prove, log }: { proxy: Pick<OpenMcp, 'apply' | 'configure'>; prove: ProveServers; log: Log },
  watch: typeof watchFiles = watchFiles,
): Pick<Watch, 'stop'> {
  let running = typed
  let applying = Promise.resolve()

  async function apply(): Promise<void> {
    const pipe = running.source.files().find(mayWait)
    if (pipe !== undefined) throw new OpenMcpError('usage', `${pipe} is no file, and what comes by a pipe is read at the start alone`)
    const next = running.source.again()
    for (const warning of next.warnings) log.warn(warning)
    const servers = await prove(next.servers)
    const trust = next.options.security?.trust
    // Whoever is not to come in any more goes first.
    if (trust && !isDeepStrictEqual(trust, running.options.security?.trust)) {
      await proxy.configure(trust)
      log.info('whom to trust is as the configuration says')
    }
    const { added, changed, removed } = await proxy.apply(servers)
    log.info('the configuration is applied', { added: said(added), changed: said(changed), removed: said(removed) })
    const later = laterIn(running.options, next.options)
    if (later.length > 0) log.warn(`a change of ${later.join(', ')} is taken up at the next start`)
    running = { ...next, source: running.source }
  }

  const watching = watch(() => {
    applying = applying
      .then(apply)
      .catch((thrown: unknown) => {
        const { message, hint } = toOpenMcpError(thrown)
        log.error(`the configuration is not applied, and what was read before holds: ${message}`, { hint })
      })
      // What was missing may come.
      .finally(() => watching.files(running.source.files()))
  })
  watching.files(running.source.files())
  return watching
}

/** The parts that are others now, and cannot be changed while we run. */
function laterIn(running: OpenMcpOptions, next: OpenMcpOptions): string[] {
  const withoutTrust = ({ security, ...others }: OpenMcpOptions): object => ({ ...others, ...(security && { security: { ...security, trust: undefined } }) })
  const [before, after] = [running, next].map((options) => new Map(Object.entries(withoutTrust(options))))
  return [...new Set([...(before?.keys() ?? []), ...(after?.keys() ?? [])])].filter((name) => !isDeepStrictEqual(before?.get(name), after?.get(name)))
}

function said(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ')
}
