import { describe, expect, onTestFinished, test } from 'vitest'

import { OpenMcpError } from '../../src/errors.ts'
import { createCarriage, listenFor } from '../../src/tsp/carriage.ts'
import { until } from '../support/until.ts'

describe('a carriage', () => {
  test.each([
    ['tsp://', 'tsp:// cannot be reached: its document says that nothing can be sent to it'],
    ['tmcp://', 'tmcp:// cannot be reached: its document says that it only asks, and is answered where it asks'],
    ['quic://127.0.0.1:1', '127.0.0.1:1 cannot be reached: openmcp does not speak QUIC'],
    ['ftp://127.0.0.1:1', '127.0.0.1:1 cannot be reached: openmcp does not speak ftp://'],
    ['file:///etc/passwd', 'file:// cannot be reached: openmcp does not speak file://'],
    ['data:,x', 'data:// cannot be reached: openmcp does not speak data://'],
  ])('does not reach %s, and says so', async (address, message) => {
    const carriage = createCarriage({ trustLoopback: true })
    await expect(carriage.carry(new URL(address), Buffer.from('?'))).rejects.toMatchObject({ code: 'upstream_unreachable', message })
  })

  test.each(['tcp://127.0.0.1:1', 'tls://127.0.0.1:1', 'http://127.0.0.1:1', 'https://127.0.0.1:1'])(
    'sends nothing to %s unless loopback is trusted',
    async (address) => {
      const carriage = createCarriage({ trustLoopback: false })
      await expect(carriage.carry(new URL(address), Buffer.from('?'))).rejects.toMatchObject({ code: 'egress_refused' })
    },
  )

  test('sends nothing that no peer would read', async () => {
    const carriage = createCarriage({ trustLoopback: true })
    await expect(carriage.carry(new URL('tcp://127.0.0.1:1'), Buffer.alloc(4 * 1024 * 1024 + 1))).rejects.toMatchObject({ code: 'too_large' })
  })
})

test('names are looked up a few at a time, by all ways together', async () => {
  const asked: string[] = []
  const carriage = createCarriage({ trustLoopback: true, lookup: (name) => void asked.push(name) })
  const sent = Array.from({ length: 40 }, (_, index) => {
    const scheme = ['tcp', 'tls', 'http', 'https'][index % 4]
    return carriage.carry(new URL(`${scheme}://peer${index}.example:1/`), Buffer.alloc(100)).catch((error: unknown) => error)
  })
  await until('the names', () => asked.length === 32)
  carriage.close()
  const codes = (await Promise.all(sent)).map((error) => error instanceof OpenMcpError && error.code)
  expect([codes.filter((code) => code === 'busy').length, asked.length]).toEqual([8, 32])
})

describe('where to listen for an endpoint', () => {
  test.each(['tcp://127.0.0.1:0', 'tcp://[::1]:0', 'tcp://localhost:0'])('%s says itself', async (endpoint) => {
    const { port, taken } = await listening({ endpoint: new URL(endpoint) })
    const carriage = createCarriage({ trustLoopback: true })
    onTestFinished(() => carriage.close())
    await carriage.carry(new URL(endpoint.replace(/0$/, String(port))), Buffer.alloc(100))
    expect(await until('the message', () => taken.length === 1)).toBe(true)
  })

  test('is said where the endpoint has a name, or is somebody else’s address', async () => {
    for (const endpoint of ['tcp://node.example:9000', 'tcp://192.0.2.1:9000']) {
      const { port } = await listening({ endpoint: new URL(endpoint), listen: { host: '127.0.0.1', port: 0 } })
      expect(port).toBeGreaterThan(0)
    }
  })

  test.each(['tcp://node.example:9000', 'tcp://127.0.0.1', 'tls://node.example:9000'])('%s does not say', async (endpoint) => {
    const tls = { cert: '', key: '' }
    await expect(listenFor({ endpoint: new URL(endpoint), tls, take: () => {} })).rejects.toMatchObject({
      code: 'usage',
      hint: expect.stringContaining('--tsp-listen'),
    })
  })

  test.each(['quic://127.0.0.1:1', 'tsp://', 'tmcp://'])('%s is nothing to listen at', async (endpoint) => {
    await expect(listenFor({ endpoint: new URL(endpoint), take: () => {} })).rejects.toMatchObject({ code: 'usage' })
  })

  test.each(['http://node.example/tsp', 'https://127.0.0.1:1/x/tsp/'])('%s is our HTTP listener’s: nothing is bound, and nobody asked', async (endpoint) => {
    const receive = (): never => {
      throw new Error('nobody is asked')
    }
    expect(await listening({ endpoint: new URL(endpoint), receive })).toMatchObject({ port: undefined })
  })

  test('https://intermediary.example/endpoint/x is asked for what waits there, until it is closed', async () => {
    const asked: string[] = []
    const receive = ({ href }: URL): { close(): void } => {
      asked.push(href)
      return { close: () => asked.push('closed') }
    }
    const listener = await listenFor({ endpoint: new URL('https://intermediary.example/endpoint/x'), receive, take: () => {} })
    await listener.close()
    expect([listener.port, asked]).toEqual([undefined, ['https://intermediary.example/endpoint/x', 'closed']])
  })
})

async function listening(options: Omit<Parameters<typeof listenFor>[0], 'take'>): Promise<{ port: number | undefined; taken: Buffer[] }> {
  const taken: Buffer[] = []
  const listener = await listenFor({ ...options, take: (message) => void taken.push(message) })
  onTestFinished(() => listener.close())
  return { port: listener.port, taken }
}
