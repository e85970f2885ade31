// --tls-ca, --verify-ssl, and the variables that name a proxy: how a connection to a server is made, beside its address.
import { X509Certificate } from 'node:crypto'
import { OpenMcpError } from '../errors.ts'
import { proxiesIn, proxyFor, type Proxies } from '../upstream/proxies.ts'
import type { Trust, Way } from '../upstream/way.ts'
import { textOf, type Machine } from './machine.ts'
import { allOf, oneOf, type Reading } from './target-options.ts'

/** Undefined: as Node does it, without a proxy. `urls` are what will be connected to, as far as that is known. */
export function wayOf(reading: Reading, urls: readonly URL[]): Way | undefined {
  const { machine, mistakes, warnings } = reading
  const trust = trustOf(reading)
  const [url] = urls
  if (trust?.unchecked && url) warnings.push(uncheckedWarning(`--verify-ssl false`, url.host))
  if (url?.protocol === 'tcp:' && trust) mistakes.add(new OpenMcpError('usage', 'there is no TLS to tcp://', { hint: 'drop --tls-ca and --verify-ssl' }))
  const proxies = mistakes.attempt(() => ({ found: proxiesFor(urls, machine) }))?.found
  return wayWith(trust, proxies)
}

/** What a file says of one server. */
export function configuredWay(
  tls: { ca: string | undefined; verify: boolean } | undefined,
  urls: readonly URL[],
  { at, machine, warnings }: { at: string; machine: Machine; warnings: string[] },
): Way | undefined {
  const [url] = urls
  if (tls && url?.protocol === 'tcp:') throw new OpenMcpError('usage', `${at}.tls: there is no TLS to tcp://`)
  if (tls?.ca !== undefined && !tls.verify) throw new OpenMcpError('usage', `${at}.tls: an authority is named, and verify false asks nobody`)
  if (tls?.verify === false && url) warnings.push(uncheckedWarning(`${at}.tls.verify false`, url.host))
  const trust: Trust | undefined =
    tls?.verify === false ? { unchecked: true } : tls?.ca === undefined ? undefined : { ca: pemAt(tls.ca, `${at}.tls.ca`, machine) }
  return wayWith(trust, proxiesFor(urls, machine))
}

function wayWith(trust: Trust | undefined, proxies: Proxies | undefined): Way | undefined {
  return trust || proxies ? { ...(trust && { trust }), ...(proxies && { proxies }) } : undefined
}

/** One that cannot be gone through is told at start, and not by the first who calls. */
function proxiesFor(urls: readonly URL[], { env }: Machine): Proxies | undefined {
  const proxies = proxiesIn(env)
  for (const { protocol, hostname, port } of urls) {
    const to = { hostname: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port || (/^(?:https|wss):$/.test(protocol) ? 443 : 80)) }
    if (proxies && protocol !== 'tcp:') proxyFor(proxies, protocol, to)
  }
  return proxies
}

function uncheckedWarning(as: string, host: string): string {
  return `${as}: whoever answers for ${host} is believed, hears everything and may answer anything; --tls-ca FILE trusts an authority of yours instead`
}

function trustOf(reading: Reading): Trust | undefined {
  const { machine, mistakes } = reading
  const ca = oneOf(reading, 'tls-ca', (path, as) => pemAt(path, as, machine))
  const verify = oneOf(reading, 'verify-ssl', (text, as): Trust => verifyOf(text) ?? { only: pemAt(text, as, machine) })
  const isOff = allOf(reading, 'no-verify-ssl').length > 0
  if (isOff && verify && !verify.unchecked) mistakes.add(contradiction('--no-verify-ssl and --verify-ssl'))
  const unchecked = isOff || verify?.unchecked === true
  if (ca !== undefined && (unchecked || verify?.only !== undefined)) mistakes.add(contradiction('--tls-ca and --verify-ssl'))
  if (unchecked) return { unchecked: true }
  if (verify?.only !== undefined) return verify
  return ca === undefined ? undefined : { ca }
}

function contradiction(which: string): OpenMcpError {
  return new OpenMcpError('usage', `${which} contradict each other`, { hint: 'keep one' })
}

const YES = ['true', 'yes', 'on', '1']
const NO = ['false', 'no', 'off', '0']

function verifyOf(text: string): Trust | undefined {
  if (NO.includes(text.toLowerCase())) return { unchecked: true }
  return YES.includes(text.toLowerCase()) ? {} : undefined
}

/** At least one certificate, and every one of them readable: half a bundle would be found out much later. */
function pemAt(path: string, as: string, machine: Machine): string {
  const text = textOf(machine, as, path)
  const certificates = text.match(/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^]*?(?:-----END (?:X509 |TRUSTED )?CERTIFICATE-----|$)/g) ?? []
  if (certificates.length === 0) throw new OpenMcpError('usage', `${as}: ${path} holds no PEM text of a certificate`)
  for (const [index, pem] of certificates.entries()) {
    if (!isCertificate(pem)) throw new OpenMcpError('usage', `${as}: certificate ${index + 1} of ${path} cannot be read`)
  }
  return certificates.join('\n')
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined
  } catch {
    return false
  }
}
