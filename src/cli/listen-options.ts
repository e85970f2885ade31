// Where to listen, and under which names: from the command line, else from the file.
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { OpenMcpError } from '../errors.ts'
import type { ListenOptions } from '../openmcp.ts'
import { isLoopbackHost } from '../protocol/loopback.ts'
import type { Config } from './config-file.ts'
import { parseHeaderName } from './headers.ts'
import { besideFile, textOf } from './machine.ts'
import { NO_CONFIG, isSecured } from './security-options.ts'
import { allOf, oneOf, type Reading } from './target-options.ts'
import { parseHost, parseNetworks, parseOrigin, parsePathPrefix, parsePublicUrl } from './values.ts'

/** An address and a port. */
export type Bind = Pick<ListenOptions, 'host' | 'port'>

/** Without a bind its options are read all the same, for the mistakes in them. */
export function listenOf(reading: Reading, bind: Bind = { host: '127.0.0.1', port: 0 }, config: Config = NO_CONFIG): ListenOptions {
  const { listen: configured = {} } = config
  const insecureNoAuth = allOf(reading, 'insecure-no-auth').length > 0
  if (!isLoopbackHost(bind.host) && !isSecured(reading)) weighExposure(reading, bind.host, insecureNoAuth)
  if (isLoopbackHost(bind.host) && bind.port > 0 && reading.machine.env['OPENMCP_CONTAINER'] === '1') warnOfContainer(reading, bind)
  const publicUrl = oneOf(reading, 'public-url', parsePublicUrl) ?? configured.publicUrl
  const rootPath = oneOf(reading, 'root-path', parsePathPrefix) ?? configured.rootPath
  const trustProxies = listed(reading, 'trust-proxy', parseNetworks, configured.trustProxies && [configured.trustProxies]).flat()
  const tls = tlsOf(reading, config)
  return {
    ...bind,
    ...(tls !== undefined && { tls }),
    allowHosts: distinct([...listed(reading, 'allow-host', parseHost, configured.allowHosts), publicUrl?.host]),
    allowOrigins: distinct([...listed(reading, 'allow-origin', parseOrigin, configured.allowOrigins), publicUrl?.origin]),
    exposeHeaders: distinct(listed(reading, 'expose-header', parseHeaderName, configured.exposeHeaders)),
    pathPrefix: oneOf(reading, 'path-prefix', parsePathPrefix) ?? configured.pathPrefix ?? '',
    ...(rootPath !== undefined && { rootPath }),
    ...(trustProxies.length > 0 && { trustProxies }),
    ...(publicUrl !== undefined && { publicUrl }),
    insecureNoAuth,
  }
}

function weighExposure({ mistakes, warnings }: Reading, host: string, insecureNoAuth: boolean): void {
  if (insecureNoAuth) {
    warnings.push(`--insecure-no-auth: listening on ${host}, where whoever reaches the port may use the server, unasked`)
    return
  }
  mistakes.add(
    new OpenMcpError('usage', `listening on ${host} would let in whoever reaches it, and nobody is asked who they are`, {
      hint: 'leave the address out to listen on loopback, add --security to ask, or --insecure-no-auth if the network in front of it is trusted',
    }),
  )
}

/** Our image says that it is one (Dockerfile): its loopback is nobody's but its own. */
function warnOfContainer({ warnings }: Reading, { host, port }: Bind): void {
  warnings.push(`listening on ${host} in a container, where nobody outside of it can call: -p 0.0.0.0:${port} with --security`)
}

function tlsOf(reading: Reading, { listen, file, where }: Config): Tls | undefined {
  const { machine, mistakes } = reading
  const read = (path: string, as: string): Pem => ({ as, text: textOf(machine, as, path) })
  const cert = oneOf(reading, 'tls-cert', read)
  const key = oneOf(reading, 'tls-key', read)
  if (allOf(reading, 'tls-cert').length !== allOf(reading, 'tls-key').length) {
    mistakes.add(new OpenMcpError('usage', '--tls-cert and --tls-key go together', { hint: '--tls-cert cert.pem --tls-key key.pem' }))
    return undefined
  }
  if (cert && key) return mistakes.attempt(() => matching(cert, key))
  const configured = listen?.tls
  if (configured?.cert === undefined || configured.key === undefined || allOf(reading, 'tls-cert').length > 0) return undefined
  const beside = besideFile(machine, file)
  const [certPath, keyPath] = [beside(configured.cert), beside(configured.key)]
  return mistakes.attempt(() => matching(read(certPath, where('listen', 'tls', 'cert')), read(keyPath, where('listen', 'tls', 'key'))))
}

interface Pem {
  as: string
  text: string
}

type Tls = NonNullable<ListenOptions['tls']>

function matching(cert: Pem, key: Pem): Tls {
  const certificate = pemOf(cert.as, 'a certificate', () => new X509Certificate(cert.text))
  const privateKey = pemOf(key.as, 'a private key without a passphrase', () => createPrivateKey(key.text))
  if (certificate.checkPrivateKey(privateKey)) return { cert: cert.text, key: key.text }
  throw new OpenMcpError('usage', `${key.as} is not the key of ${cert.as}`)
}

function pemOf<T>(as: string, what: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new OpenMcpError('usage', `${as} holds no PEM text of ${what}`, { cause })
  }
}

/** What is typed goes before what the file says. */
function listed<T>(reading: Reading, name: string, read: (text: string, as: string) => T, configured: readonly T[] = []): readonly T[] {
  const typed = allOf(reading, name)
  return typed.length === 0 ? configured : typed.flatMap(({ as, value }) => reading.mistakes.attempt(() => read(value, as)) ?? [])
}

function distinct(texts: readonly (string | undefined)[]): string[] {
  return [...new Set(texts.filter((text) => text !== undefined))]
}
