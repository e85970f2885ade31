// --config FILE: what it says, and every mistake in it as one of the command line, each with its line and its path.
import { readConfig, type Place, type ReadConfig } from '../config/config.ts'
import type { Filling } from '../config/fill.ts'
import type { SecuritySection } from '../config/security-section.ts'
import type { Step } from '../config/at.ts'
import { OpenMcpError } from '../errors.ts'
import type { TrustRule } from '../policy/shapes.ts'
import type { OpenWebUi } from '../tokens/open-webui.ts'
import type { TrustedIssuer } from '../tokens/trusted-issuer.ts'

export interface Config extends Pick<ReadConfig, 'servers' | 'isSecured' | 'secrets' | 'listen' | 'limits' | 'retry' | 'store' | 'name' | 'value'> {
  /** As it was typed. */
  readonly file: string
  /** All of them as one at the root, where nothing else is. */
  readonly aggregate: boolean
  readonly identities: readonly TrustRule[]
  readonly issuers: readonly TrustedIssuer[]
  readonly openWebUi: OpenWebUi | undefined
  readonly selfIssued: boolean | undefined
  readonly dpop: SecuritySection['dpop']
  readonly tokenSeconds: number | undefined
  readonly trustLoopback: boolean | undefined
  readonly keyServer: SecuritySection['keyServer']
  readonly warnings: readonly string[]
  /** With one of them nothing of it is to be used. */
  readonly mistakes: readonly OpenMcpError[]
  /** `FILE:LINE: PATH`, for what is found out about a member later. */
  where(...steps: readonly Step[]): string
}

/** Never fails: what is wrong is among `mistakes`. No value is repeated there: it may be a secret in the wrong place. */
export function parseConfig(text: string, file: string, filling: Filling = NOTHING): Config {
  const { servers, isSecured, secrets, value, listen, limits, retry, store, name, aggregate, security = {}, trust = {}, ...read } = readConfig(text, filling)
  const at = ({ path, line }: Place): string => `${file}:${line}${path === '' ? '' : `: ${path}`}`
  return {
    file,
    servers,
    isSecured,
    secrets,
    value,
    listen,
    limits,
    retry,
    store,
    name,
    aggregate: aggregate ?? false,
    identities: [...(trust.identities ?? []), ...(trust.any === true ? [{ id: 'any' }] : [])],
    issuers: trust.issuers ?? [],
    openWebUi: trust.openWebUi,
    selfIssued: trust.selfIssued,
    dpop: security.dpop,
    tokenSeconds: security.tokenLife,
    trustLoopback: security.trustLoopback,
    keyServer: security.keyServer,
    warnings: read.warnings.map((told) => `${at(told)}: ${told.words}`),
    mistakes: read.mistakes.map((told) => {
      const { words, hint, notBuilt } = told
      return new OpenMcpError(notBuilt === true ? 'unavailable_option' : 'usage', `${at(told)}: ${words}`, hint === undefined ? {} : { hint })
    }),
    where: (...steps) => at(read.place(steps)),
  }
}

/** Nothing is set, and no file can be read. */
const NOTHING: Filling = {
  env: {},
  readText() {
    throw new OpenMcpError('usage', 'no file is read here')
  },
}
