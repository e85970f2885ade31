// A host on loopback that is called by https, with a certificate that only those know who are told of it.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Json } from './json.ts'
import { onLoopback } from './loopback.ts'

/** Node can check a certificate but not make one. */
export const hasOpenssl = spawnSync('openssl', ['version']).status === 0

export interface TlsHost {
  readonly origin: string
  /** The file of its certificate, as NODE_EXTRA_CA_CERTS takes it. */
  readonly certificate: string
  /** The file of its private key. */
  readonly key: string
  /** A document that is answered from now on. */
  host(path: string, document: Json): void
  /** Paths asked for so far. */
  readonly asked: readonly string[]
  stop(): Promise<void>
}

/** `name`: for whom the certificate is; otherwise for the address that it listens on. */
export async function tlsHost({ name }: { name?: string } = {}): Promise<TlsHost> {
  const directory = await mkdtemp(join(tmpdir(), 'openmcp-tls-'))
  const [certificate, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  const named = ['-subj', '/CN=localhost', '-addext', `subjectAltName=${name === undefined ? 'IP:127.0.0.1' : `DNS:${name}`}`, '-days', '2']
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', certificate, ...named], {
    stdio: 'ignore',
  })
  const hosted = new Map<string, Json>()
  const asked: string[] = []
  const server = createServer({ cert: await readFile(certificate), key: await readFile(key) }, (req, res) => {
    const path = req.url ?? ''
    asked.push(path)
    const document = hosted.get(path)
    if (!document) return void res.writeHead(404).end()
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document))
  })
  const { host: at, stop } = await onLoopback(server)
  return {
    origin: `https://${at}`,
    certificate,
    key,
    host: (path, document) => void hosted.set(path, document),
    asked,
    async stop() {
      await stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}
