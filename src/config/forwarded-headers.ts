// Which headers of a caller may go on to a server, and which variables of a child they may become.

/** About us, or about this connection: it says nothing to a server behind us. */
export function neverGoesOn(header: string): boolean {
  const name = header.toLowerCase()
  // Headers of MCP are openmcp's own to set: a session of the caller is not one of the server.
  return NEVER.has(name) || name.startsWith('mcp-')
}

/** A caller's key may be its child's to have, as mcp-proxy has it; where openmcp itself asks for it, it is refused at the start. */
export function neverBecomesVariable(header: string): boolean {
  return neverGoesOn(header) && !['authorization', 'x-api-key'].includes(header.toLowerCase())
}

/** Whether a caller who sets this variable decides what the child runs, or whom it talks to. */
export function isDangerous(variable: string): boolean {
  const name = variable.toUpperCase()
  return DANGEROUS.some((pattern) => pattern.test(name))
}

const NEVER = new Set([
  'accept',
  'authorization',
  'cookie',
  'last-event-id',
  'set-cookie',
  'host',
  'origin',
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'content-encoding',
  'content-length',
  'content-type',
  'transfer-encoding',
  'upgrade',
  'proxy-authorization',
  'x-api-key',
  'dpop',
  'te',
  'trailer',
  'expect',
])

/**
 * Variables by which whoever sets them runs code of their own in the child, or turns its traffic to themselves: a caller's header
 * must not be one of them.
 */
const DANGEROUS = [
  /^(?:PATH|HOME|SHELL|IFS|ENV|BASH_ENV|PS4|TMPDIR|COMSPEC|PATHEXT|SYSTEMROOT|WINDIR)$/,
  /^(?:LD|DYLD|NODE|NPM|PYTHON|PERL|RUBY|JAVA|JDK|DOTNET|COMPLUS|CORECLR|GIT|SSH|UV|PIP|PNPM|YARN|BUN|DENO|GO|CARGO|RUST|LUA|PHP|OPENSSL|GCONV|GLIBC|MALLOC|OPENMCP|ELECTRON|XDG|DOCKER|RUSTC|PHP_INI)_/,
  /^(?:NODE|PYTHON|PERL5?|RUBY|JAVA|LUA|PHP)(?:OPT|OPTIONS|PATH|HOME|LIB|DB|STARTUP|INSPECT|WARNINGS|BREAKPOINT)/,
  /^(?:_JAVA_OPTIONS|JDK_JAVA_OPTIONS|CLASSPATH|GCONV_PATH|LOCPATH|NLSPATH|TERMINFO|EDITOR|VISUAL|PAGER|BROWSER|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE)$/,
  // Files and words in them that a program runs, asks for credentials, or talks to a server by.
  /^(?:PHPRC|R_PROFILE|R_PROFILE_USER|R_ENVIRON|R_ENVIRON_USER|GOFLAGS|GOENV|MAKEFLAGS|KUBECONFIG|AWS_CONFIG_FILE|AWS_SHARED_CREDENTIALS_FILE|PROMPT_COMMAND)$/,
  /^(?:HOSTALIASES|LOCALDOMAIN|RES_OPTIONS)$/,
  /(?:^|_)PROXY$/,
  /^BASH_FUNC_/,
]
