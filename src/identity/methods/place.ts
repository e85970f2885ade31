// Where the files of did:web and did:webvh lie.
import { isIPv4 } from 'node:net'

/** HOST[%3APORT][:PATH…] → https://HOST[:PORT]/PATH…/FILE, or in /.well-known/. Loopback is http where it is trusted. */
export function placeOf([host = '', ...path]: readonly string[], file: string, { trustLoopback }: { trustLoopback: boolean }): URL {
  const [name = '', port] = host.split('%3A')
  const isLoopback = name === 'localhost' || (isIPv4(name) && name.startsWith('127.'))
  const origin = `${isLoopback && trustLoopback ? 'http' : 'https'}://${name}${port === undefined ? '' : `:${port}`}`
  return new URL(`${origin}/${[...(path.length === 0 ? ['.well-known'] : path), file].join('/')}`)
}
