// openmcp in front of a server whose issuer is oidc-provider, where each caller has a login of their own.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

import { createOwnLogins, type OwnLoginsOptions } from '../../src/login/own-logins.ts'
import { createLog } from '../../src/observe/log.ts'
import type { NamedServer } from '../../src/openmcp.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { oidcUpstream, type OidcUpstream } from './oidc-upstream.ts'
import { secured, type Secured, type SecuredOptions } from './secured.ts'
import { forThisTest } from './tidy.ts'

export interface OwnStage extends Secured {
  readonly far: OidcUpstream
  readonly directory: string
}

export async function ownStage(
  trusted: readonly string[],
  {
    server = {},
    own: how = {},
    options = {},
    ...more
  }: Pick<SecuredOptions, 'trust' | 'security' | 'options' | 'listen'> & {
    server?: Partial<NamedServer>
    own?: Partial<OwnLoginsOptions>
  } = {},
): Promise<OwnStage> {
  const far = await forThisTest(oidcUpstream())
  const directory = await mkdtemp(join(tmpdir(), 'openmcp-own-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const log = createLog({ level: 'error', format: 'text', write: () => {}, now: Date.now })
  const own = createOwnLogins({ server: 'far', address: far.url, directory, client: {}, fetch, now: Date.now, log, ...how })
  const target = { kind: 'remote', urls: [far.url], transport: 'http', headers: {} } as const
  const s = await secured({
    trusted,
    ...more,
    options: {
      ...options,
      servers: [{ name: 'far', target, isolation: 'session', limits: DEFAULT_LIMITS, ownLogins: own, ...server }, ...(options.servers ?? [])],
    },
  })
  return { ...s, far, directory }
}
