// Every option openmcp knows by name. What is not here is refused.

export interface OptionRule {
  short?: string
  /** What its value is called in a message. None: it takes no value. */
  value?: string
  /** May be given more than once. */
  repeats?: boolean
  /** What it speaks about: without that it would be ignored, so it is refused. */
  needs?: 'command' | 'program' | 'upstream' | 'port' | 'security' | 'proof' | 'tsp' | 'openapi'
  /** Known by name only: refused rather than ignored. */
  notBuilt?: boolean
}

export type OptionTable = ReadonlyMap<string, OptionRule>

const EVERYWHERE = {
  help: { short: 'h' },
  debug: {},
} satisfies Record<string, OptionRule>

/** What to connect to, and how: the same for `run` and `test`. */
const TARGET = {
  env: { short: 'e', value: 'NAME=VALUE', repeats: true, needs: 'command' },
  'env-file': { value: 'FILE', repeats: true, needs: 'command' },
  'pass-env': { value: 'NAME', repeats: true, needs: 'program' },
  cwd: { value: 'DIR', needs: 'command' },
  header: { short: 'H', value: "'NAME: VALUE'", repeats: true, needs: 'upstream' },
  'header-file': { value: 'FILE', repeats: true, needs: 'upstream' },
  transport: { value: 'auto|http|sse|stdio|tcp|ws' },
  'tls-ca': { value: 'FILE', needs: 'upstream' },
  'verify-ssl': { value: 'true|false|FILE', needs: 'upstream' },
  'no-verify-ssl': { needs: 'upstream' },
} satisfies Record<string, OptionRule>

/** Several URLs that are one upstream, and what is done when none answers. */
const SEVERAL = {
  endpoints: { value: 'UPSTREAM,UPSTREAM' },
  fallback: { value: 'UPSTREAM', repeats: true, needs: 'upstream' },
  'retry-attempts': { value: 'COUNT', needs: 'upstream' },
  'retry-delay': { value: 'MS', needs: 'upstream' },
} satisfies Record<string, OptionRule>

/** The client that we are to an upstream. */
const CLIENT = {
  'client-id': { value: 'ID', needs: 'upstream' },
  'client-secret': { value: 'SECRET', needs: 'upstream' },
  'client-secret-file': { value: 'FILE', needs: 'upstream' },
  'token-url': { value: 'URL', needs: 'upstream' },
  'oauth-scope': { value: "'SCOPE SCOPE'", needs: 'upstream' },
  resource: { value: 'URL|none', needs: 'upstream' },
} satisfies Record<string, OptionRule>

const LISTEN = {
  'allow-origin': { value: 'ORIGIN', repeats: true, needs: 'port' },
  'allow-host': { value: 'HOST', repeats: true, needs: 'port' },
  'expose-header': { value: 'NAME', repeats: true, needs: 'port' },
  'path-prefix': { value: '/PATH', needs: 'port' },
  'root-path': { value: '/PATH', needs: 'openapi' },
  'trust-proxy': { value: 'ADDRESS,...', repeats: true, needs: 'openapi' },
  'public-url': { value: 'URL', needs: 'port' },
  'tls-cert': { value: 'FILE', needs: 'port' },
  'tls-key': { value: 'FILE', needs: 'port' },
  'insecure-no-auth': { needs: 'port' },
} satisfies Record<string, OptionRule>

/** Who calls is proved. `keys` and `dpop` also speak of how we prove ourselves to an upstream. */
const SECURITY = {
  security: {},
  keys: { value: 'DIR', needs: 'proof' },
  store: { value: 'URL', needs: 'security' },
  config: { value: 'FILE' },
  'api-key': { value: 'KEY', repeats: true, needs: 'security' },
  'api-key-file': { value: 'FILE', repeats: true, needs: 'security' },
  dpop: { value: 'optional|required|nonce', needs: 'proof' },
  'token-life': { value: 'SECONDS', needs: 'security' },
  'key-server': { value: 'URL', needs: 'security' },
  'key-server-id': { value: 'NAME', needs: 'security' },
  'trust-loopback': { needs: 'security' },
  tsp: { value: 'verify|message', repeats: true, needs: 'port' },
  'tsp-id': { value: 'NAME', needs: 'security' },
  'tsp-listen': { value: 'HOST:PORT', needs: 'tsp' },
  id: { value: 'NAME', needs: 'upstream' },
} satisfies Record<string, OptionRule>

const LIMITS = {
  timeout: { value: 'SECONDS' },
  'max-body': { value: 'BYTES' },
  'max-message': { value: 'BYTES' },
  'max-buffer': { value: 'BYTES' },
  'max-replay': { value: 'BYTES' },
  'max-headers': { value: 'BYTES' },
  'max-depth': { value: 'COUNT' },
  'max-streams': { value: 'COUNT' },
  'max-sessions': { value: 'COUNT' },
  'max-children': { value: 'COUNT' },
  idle: { value: 'SECONDS' },
  drain: { value: 'SECONDS' },
  'connect-timeout': { value: 'SECONDS' },
  'stop-timeout': { value: 'SECONDS' },
  poll: { value: 'SECONDS' },
} satisfies Record<string, OptionRule>

const NOT_BUILT = {
  metrics: { notBuilt: true },
  audit: { value: 'FILE', notBuilt: true },
} satisfies Record<string, OptionRule>

export const RUN_OPTIONS: OptionTable = table({
  as: { value: 'mcp-proxy|rmcp-proxy|mcp-connect|mcpo|supergateway|mcp-remote' },
  publish: { short: 'p', value: 'PUBLISH' },
  ...TARGET,
  ...SEVERAL,
  ...CLIENT,
  'forward-header': { value: 'NAME', repeats: true, needs: 'upstream' },
  isolation: { value: 'session|identity|shared' },
  stateless: { needs: 'port' },
  openapi: { needs: 'port' },
  'openapi-form': { value: 'tools|mcpo', needs: 'openapi' },
  name: { value: 'NAME' },
  'named-server': { value: 'NAME=COMMAND', repeats: true },
  aggregate: {},
  'allow-tool': { value: 'GLOB', repeats: true },
  'block-tool': { value: 'GLOB', repeats: true },
  ...LISTEN,
  ...SECURITY,
  ...LIMITS,
  'log-level': { value: 'error|warn|info|debug' },
  'log-format': { value: 'text|json' },
  'log-to-client': {},
  ...NOT_BUILT,
  version: { short: 'V' },
  ...EVERYWHERE,
})

/** To a server that is named by a DID we are somebody. */
export const TEST_OPTIONS: OptionTable = table({
  ...TARGET,
  ...CLIENT,
  id: { value: 'NAME', needs: 'tsp' },
  keys: { value: 'DIR', needs: 'tsp' },
  'tsp-listen': { value: 'HOST:PORT', needs: 'tsp' },
  timeout: { value: 'SECONDS' },
  json: {},
  ...EVERYWHERE,
})

/** Where keys and trust are kept, for the commands beside `run`. */
const KEPT = {
  keys: { value: 'DIR' },
  store: { value: 'URL' },
} satisfies Record<string, OptionRule>

export const ID_OPTIONS: OptionTable = table({
  ...KEPT,
  method: { value: 'key|jwk|web|peer' },
  curve: { value: 'Ed25519|P-256|secp256k1' },
  domain: { value: 'DOMAIN' },
  tsp: {},
  endpoint: { value: 'URL' },
  json: {},
  private: {},
  piv: {},
  now: {},
  ...EVERYWHERE,
})

export const TOKEN_OPTIONS: OptionTable = table({
  'tls-ca': { value: 'FILE' },
  keys: KEPT.keys,
  id: { value: 'NAME' },
  dpop: {},
  scope: { value: "'SCOPE SCOPE'" },
  enrol: { value: 'LINK' },
  timeout: { value: 'SECONDS' },
  'tsp-listen': { value: 'HOST:PORT' },
  ...EVERYWHERE,
})

export const LOGIN_OPTIONS: OptionTable = table({
  'tls-ca': { value: 'FILE' },
  'client-id': { value: 'ID' },
  'client-secret': { value: 'SECRET' },
  'client-secret-file': { value: 'FILE' },
  'client-metadata-url': { value: 'URL' },
  resource: { value: 'URL|none' },
  device: {},
  'trust-pkce': {},
  config: { value: 'FILE' },
  scope: { value: "'SCOPE SCOPE'" },
  dpop: { value: 'optional|required' },
  timeout: { value: 'SECONDS' },
  'no-browser': {},
  list: {},
  json: {},
  ...EVERYWHERE,
})

export const CONFIG_OPTIONS: OptionTable = table({
  config: { value: 'FILE' },
  force: {},
  env: { short: 'e', value: 'NAME=VALUE', repeats: true },
  cwd: { value: 'DIR' },
  header: { short: 'H', value: "'NAME: VALUE'", repeats: true },
  transport: { value: 'http|sse|stdio|tcp|ws' },
  server: { value: 'NAME', repeats: true },
  all: {},
  timeout: { value: 'SECONDS' },
  ide: { value: 'zed|claude|vscode|cursor' },
  name: { value: 'NAME' },
  json: {},
  ...EVERYWHERE,
})

export const HELP_OPTIONS: OptionTable = table(EVERYWHERE)

export const DEMO_OPTIONS: OptionTable = table({ count: { value: 'COUNT' }, ...EVERYWHERE })

export const RESET_OPTIONS: OptionTable = table({ 'tls-ca': { value: 'FILE' }, ...EVERYWHERE })

export const KEY_OPTIONS: OptionTable = table({
  ...KEPT,
  label: { value: 'NAME' },
  scope: { value: "'SCOPE SCOPE'" },
  until: { value: 'TIME' },
  json: {},
  ...EVERYWHERE,
})

export const TRUST_OPTIONS: OptionTable = table({
  store: KEPT.store,
  scope: { value: "'SCOPE SCOPE'" },
  tools: { value: "'GLOB,GLOB'" },
  server: { value: 'GLOB', repeats: true },
  until: { value: 'TIME' },
  json: {},
  ...EVERYWHERE,
})

function table(rules: Record<string, OptionRule>): OptionTable {
  return new Map(Object.entries(rules))
}
