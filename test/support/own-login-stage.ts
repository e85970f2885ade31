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
  /** As it is served, and as it would be at another address or by another name. */
  serverAt(url: URL, name?: string): NamedServer
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
  const serverAt = (url: URL, name = 'far'): NamedServer => ({
    name,
    target: { kind: 'remote', urls: [url], transport: 'http', headers: {} },
    isolation: 'session',
    limits: DEFAULT_LIMITS,
    ownLogins: createOwnLogins({ server: name, address: url, directory, client: {}, fetch, now: Date.now, log, ...how }),
    ...server,
  })
  const s = await secured({
    trusted,
    ...more,
    options: {
      ...options,
      servers: [serverAt(far.url), ...(options.servers ?? [])],
    },
  })
  return { ...s, far, directory, serverAt }
}
