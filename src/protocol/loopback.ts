// Which hosts are this machine and nobody else.
import { isIPv4 } from 'node:net'

/** Whether a host, as URL.hostname or a person writes it, can only be this machine. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.toLowerCase().replace(/^\[(.*)\]$/, '$1')
  return bare === 'localhost' || bare === '::1' || (isIPv4(bare) && bare.startsWith('127.'))
}
