// From the options of --security to what an operator decides about who may call.
import { OpenMcpError } from '../errors.ts'
import type { ListenOptions, SecurityOptions } from '../openmcp.ts'
import { isLoopbackHost } from '../protocol/loopback.ts'
import { apiKeysOf, refuseUnusedApiKey } from './api-keys.ts'
import type { Filling } from '../config/fill.ts'
import { TOKEN_SECONDS } from '../config/limit-table.ts'
import type { Config } from './config-file.ts'
import { keysDirectory, storeUrl } from './home.ts'
import { besideFile } from './machine.ts'
import { allOf, oneOf, type Reading } from './target-options.ts'
import { hasTsp, tspOf } from './tsp-options.ts'
import { parseChoice, parseCount, parseName, parseServerUrl } from './values.ts'

/** Reads the text of a file as configuration; only a command line that names one loads what that takes. */
export type ReadConfig = (text: string, file: string, filling: Filling) => Config

export const NO_CONFIG: Config = {
  file: '',
  servers: new Map(),
  isSecured: false,
  aggregate: false,
  warnings: [],
  mistakes: [],
  secrets: [],
  value: undefined,
  where: () => '',
  identities: [],
  issuers: [],
  openWebUi: undefined,
  selfIssued: undefined,
  dpop: undefined,
  tokenSeconds: undefined,
  trustLoopback: undefined,
  keyServer: undefined,
}
const DEFAULT_TOKEN_SECONDS = 900
/** How soon what a DID's own document says ends what is open. */
const DID_SECONDS = 60

/** Whoever is heard by TSP is asked who they are, and so is everybody else. */
export function isSecured(reading: Pick<Reading, 'args'>): boolean {
  return allOf(reading, 'security').length > 0 || hasTsp(reading)
}

/** Undefined without --security. The command line goes before the file. */
export function securityOf(reading: Reading, listen: ListenOptions | undefined, config: Config): SecurityOptions | undefined {
  const { mistakes } = reading
  if (!isSecured(reading)) {
    if (listen) refuseUnusedApiKey(reading)
    if (config.isSecured)
      mistakes.add(new OpenMcpError('usage', 'the configuration says who may call, and nobody is asked who they are here', { hint: 'add --security' }))
    return undefined
  }
  if (listen) weighWire(reading, listen)
  else
    mistakes.add(
      new OpenMcpError('usage', '--security asks callers who they are, and on stdio there is nobody to ask', {
        hint: 'add -p PORT; --id NAME proves us to an upstream',
      }),
    )
  const { identities, issuers, openWebUi, selfIssued, store, file, where } = config
  return {
    keys: keysDirectory(reading),
    store: storeUrl(reading, store === undefined ? undefined : { text: store, as: where('store'), beside: besideFile(reading.machine, file) }),
    trust: { identities, issuers, ...(openWebUi && { openWebUi }), selfIssued: selfIssued ?? true },
    apiKeys: apiKeysOf(reading),
    tokenSeconds: oneOf(reading, 'token-life', (text, as) => parseCount(text, as, TOKEN_SECONDS)) ?? config.tokenSeconds ?? DEFAULT_TOKEN_SECONDS,
    dpop: dpopOf(reading) ?? config.dpop ?? 'optional',
    keyServer: keyServerOf(reading, config.keyServer),
    trustLoopback: allOf(reading, 'trust-loopback').length > 0 || (config.trustLoopback ?? false),
    didSeconds: DID_SECONDS,
    tsp: tspOf(reading),
  }
}

export function dpopOf(reading: Reading): SecurityOptions['dpop'] | undefined {
  return oneOf(reading, 'dpop', (text, as) => parseChoice(text, as, ['optional', 'required', 'nonce']))
}

/** Each of the two may be typed alone, when the file has the other. */
function keyServerOf(reading: Reading, configured: Config['keyServer']): SecurityOptions['keyServer'] {
  const url = oneOf(reading, 'key-server', parseServerUrl) ?? configured?.url
  const id = oneOf(reading, 'key-server-id', parseName) ?? configured?.id
  const typed = ['key-server', 'key-server-id'].filter((name) => allOf(reading, name).length > 0)
  if (typed.length === 1 && !configured) {
    const hint = '--key-server https://keys.example.com --key-server-id default'
    reading.mistakes.add(new OpenMcpError('usage', '--key-server and --key-server-id need each other', { hint }))
  }
  return url && id !== undefined ? { url, id } : undefined
}

/** A token is worth what it opens, to whoever reads it on its way. */
function weighWire({ mistakes, warnings }: Reading, { host, tls, publicUrl, insecureNoAuth }: ListenOptions): void {
  if (insecureNoAuth) {
    mistakes.add(
      new OpenMcpError('usage', '--insecure-no-auth says that nobody is asked who they are, and --security asks everybody', { hint: 'drop one of them' }),
    )
  }
  if (isLoopbackHost(host) || tls || publicUrl?.protocol === 'https:') return
  warnings.push(
    `listening on ${host} without TLS: tokens can be read on their way; --tls-cert and --tls-key, or a TLS proxy in front and --public-url https://...`,
  )
}
