// Which addresses are of the public internet, and which of this machine or of a network that is not for everybody.
import { BlockList, isIPv4, isIPv6 } from 'node:net'

export type AddressKind = 'public' | 'loopback' | 'private' | 'special'

/** IANA's special-purpose registries: nothing a peer names may lead there. */
const SPECIAL_IPV4 = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]
/** Of IPv6 only 2000::/3 is given to the internet; in it, these are not. 6to4 and Teredo carry an IPv4 address that a router would unpack. */
const SPECIAL_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']

/** Networks of an organisation (RFC 1918, RFC 4193), and those that tunnels between its machines use (RFC 6598). Not of a link: clouds keep secrets there. */
const PRIVATE_IPV4 = ['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16']
const PRIVATE_IPV6 = ['fc00::/7']

/** Where clouds tell a machine its secrets, in networks that are private or public otherwise: Alibaba, Azure; AWS, Google, Oracle. */
const CLOUD_IPV4 = ['100.100.100.200/32', '168.63.129.16/32']
const CLOUD_IPV6 = ['fd00:ec2::/32', 'fd20:ce::254/128', 'fd00:c1::a9fe:a9fe/128']

const cloudIPv4 = blockListOf(CLOUD_IPV4, 'ipv4')
const cloudIPv6 = blockListOf(CLOUD_IPV6, 'ipv6')
const specialIPv4 = blockListOf(SPECIAL_IPV4, 'ipv4')
const specialIPv6 = blockListOf(SPECIAL_IPV6, 'ipv6')
const privateIPv4 = blockListOf(PRIVATE_IPV4, 'ipv4')
const privateIPv6 = blockListOf(PRIVATE_IPV6, 'ipv6')
const globalIPv6 = blockListOf(['2000::/3'], 'ipv6')
const loopbackIPv4 = blockListOf(['127.0.0.0/8'], 'ipv4')
const mappedIPv4 = blockListOf(['::ffff:0:0/96'], 'ipv6')

/** What is no address is special: it is nothing to connect to. */
export function kindOfAddress(address: string): AddressKind {
  if (isIPv4(address)) {
    if (loopbackIPv4.check(address)) return 'loopback'
    if (cloudIPv4.check(address)) return 'special'
    if (privateIPv4.check(address)) return 'private'
    return specialIPv4.check(address) ? 'special' : 'public'
  }
  // A zone (fe80::1%eth0) belongs to a link of this machine.
  if (!isIPv6(address) || address.includes('%')) return 'special'
  // Written as it is connected to: ::ffff:127.0.0.1 becomes ::ffff:7f00:1.
  const bare = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  if (bare === '::1') return 'loopback'
  if (cloudIPv6.check(bare, 'ipv6')) return 'special'
  if (privateIPv6.check(bare, 'ipv6')) return 'private'
  if (mappedIPv4.check(bare, 'ipv6')) return kindOfAddress(embeddedIn(bare)) === 'public' ? 'public' : 'special'
  return globalIPv6.check(bare, 'ipv6') && !specialIPv6.check(bare, 'ipv6') ? 'public' : 'special'
}

/** The IPv4 address in the last two groups of ::ffff:7f00:1. */
function embeddedIn(mapped: string): string {
  const [high = 0, low = 0] = mapped
    .split(':')
    .slice(-2)
    .map((group) => Number.parseInt(group, 16))
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

function blockListOf(ranges: readonly string[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [network = '', bits = ''] = range.split('/')
    list.addSubnet(network, Number(bits), family)
  }
  return list
}
