import { connect, isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { OpenMcpError } from '../../errors.ts'
import type { Watch } from './found.ts'

/** How long it takes to open a connection to a URL's host, TLS included. Throws in words why it cannot be opened. */
export async function timeConnection(url: URL, { signal, now }: Watch): Promise<number> {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80))
  const started = now()
  const socket = url.protocol === 'https:' ? connectTls({ host, port, ...(isIP(host) === 0 && { servername: host }) }) : connect({ host, port })
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', resolve)
      socket.once('error', reject)
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
    return now() - started
  } catch (cause) {
    signal.throwIfAborted()
    throw unreachable(url.host, cause)
  } finally {
    socket.destroy()
  }
}

function unreachable(host: string, cause: unknown): OpenMcpError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'
  const [why, hint] = REASONS.get(code) ?? [code, 'is this the right host and port']
  return new OpenMcpError('upstream_unreachable', `${host} is not reachable: ${why}`, { hint, cause })
}

const REASONS = new Map<string, readonly [why: string, hint: string]>([
  ['ECONNREFUSED', ['nothing listens there', 'is the server started, and is this its port']],
  ['ENOTFOUND', ['the name is not known', 'is the host spelled right']],
  ['EAI_AGAIN', ['names cannot be looked up now', 'is this machine on line']],
  ['ETIMEDOUT', ['it does not answer', 'is there a firewall between']],
  ['EHOSTUNREACH', ['there is no way to it', 'is this machine on the right network']],
  ['ECONNRESET', ['it hung up', 'does it speak TLS: try the other one of http:// and https://']],
  ['EPROTO', ['it does not speak TLS', 'try http://']],
  ['ERR_SSL_WRONG_VERSION_NUMBER', ['it does not speak TLS', 'try http://']],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', ['it does not speak TLS', 'try http://']],
  ['CERT_HAS_EXPIRED', ['its certificate has expired', 'renew it']],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', ['its certificate is signed by nobody known', 'NODE_EXTRA_CA_CERTS=FILE trusts a CA of yours']],
  ['SELF_SIGNED_CERT_IN_CHAIN', ['its certificate is signed by nobody known', 'NODE_EXTRA_CA_CERTS=FILE trusts a CA of yours']],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', ['its certificate is signed by nobody known', 'NODE_EXTRA_CA_CERTS=FILE trusts a CA of yours']],
  ['ERR_TLS_CERT_ALTNAME_INVALID', ['its certificate is for another name', 'is the host spelled right']],
])
