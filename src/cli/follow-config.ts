// A configuration that changes while openmcp runs: what can be applied is, what cannot is said, and what is broken changes nothing.
import { isDeepStrictEqual } from 'node:util'
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { OpenMcp } from '../openmcp.ts'
import type { ProveServers } from './prove-servers.ts'
import type { RunOptions, Source } from './run-options.ts'
import { mayWait, watchFiles, type Watch } from './watch-files.ts'

type Followed = RunOptions & { source: Source }

export function followConfig(
  typed: Followed,
  { proxy, prove, log }: { proxy: Pick<OpenMcp, 'apply'>; prove: ProveServers; log: Log },
  watch: typeof watchFiles = watchFiles,
): Pick<Watch, 'stop'> {
  let running = typed
  let applying = Promise.resolve()

  async function apply(): Promise<void> {
    const pipe = running.source.files().find(mayWait)
    if (pipe !== undefined) throw new OpenMcpError('usage', `${pipe} is no file, and what comes by a pipe is read at the start alone`)
    const next = running.source.again()
    for (const warning of next.warnings) log.warn(warning)
    const { added, changed, removed } = await proxy.apply(await prove(next.servers))
    log.info('the configuration is applied', { added: said(added), changed: said(changed), removed: said(removed) })
    if (!isDeepStrictEqual(running.options, next.options)) log.warn('a change beside the servers is taken up at the next start')
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

function said(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ')
}
