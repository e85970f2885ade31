import { expect, test } from 'vitest'

import { OpenMcpError } from '../../src/errors.ts'
import { createCarriage } from '../../src/tsp/carriage.ts'
import { parseVid } from '../../src/identity/vid.ts'
import { nearOf, nearOfNamed } from '../../src/tsp/near.ts'

test.each([
  [['127.0.0.1'], true, false],
  [['[::1]'], true, false],
  [['localhost'], true, false],
  [['192.168.1.5'], false, true],
  [['[fd00::5]'], false, true],
  [['mesh.example', '10.0.0.5'], false, true],
  [['mesh.example', '0.0.0.0'], false, false],
  [['203.0.113.5'], false, false],
  [['169.254.169.254'], false, false],
  [['mesh.example'], false, false],
])('whoever is reached at %s has peers on this machine: %s, in a private network: %s', (hosts, trustLoopback, trustPrivate) => {
  expect(nearOf(...hosts)).toEqual({ trustLoopback, trustPrivate })
})

test.each(['tcp://10.255.255.1:1', 'tls://192.168.255.255:1', 'http://[fd00::1]:1/tsp', 'tcp://169.254.169.254:80'])(
  'nothing is sent to %s by a node that is not there itself',
  async (address) => {
    const carriage = createCarriage({ trustLoopback: true })
    await expect(carriage.carry(new URL(address), Buffer.from('x'))).rejects.toMatchObject({ code: 'egress_refused' })
    carriage.close()
  },
)

test('a cloud keeps its secrets from a node in a private network too', async () => {
  const carriage = createCarriage({ trustLoopback: false, trustPrivate: true })
  const codes = ['http://169.254.169.254/', 'tcp://127.0.0.1:1', 'tcp://[fe80::1]:1'].map(async (address) =>
    carriage.carry(new URL(address), Buffer.from('x')).catch((thrown: unknown) => thrown instanceof OpenMcpError && thrown.code),
  )
  expect(await Promise.all(codes)).toEqual(['egress_refused', 'egress_refused', 'egress_refused'])
  carriage.close()
})

test('a name that leads into a private network is followed there alone', async () => {
  const asked: string[] = []
  const lookup = (hostname: string, _options: unknown, callback: (error: null, addresses: { address: string; family: number }[]) => void): void => {
    asked.push(hostname)
    callback(null, [{ address: '10.255.255.1', family: 4 }])
  }
  const carriage = createCarriage({ trustLoopback: true, lookup })
  await expect(carriage.carry(new URL('tcp://node.lan:1'), Buffer.from('x'))).rejects.toMatchObject({ code: 'egress_refused' })
  expect(asked).toEqual(['node.lan'])
  carriage.close()
})

test.each([
  ['did:peer:4zQmRjQ33QjdtL1dmayDgqADaXUQTjfzfGRRQVMpXLtiRN9z', true, true],
  ['did:web:localhost%3A8443', true, false],
  ['did:web:127.0.0.1%3A8443:team', true, false],
  ['did:web:192.168.1.7', false, true],
  ['did:web:tsp.example', false, false],
  ['did:web:localhost.example', false, false],
  ['did:webvh:QmfGEUAcMpzo25kF2Rhn8L5FAXysfGnkzjwdKoNPi615XQ:localhost%3A8443', true, false],
  ['did:webvh:QmfGEUAcMpzo25kF2Rhn8L5FAXysfGnkzjwdKoNPi615XQ:tsp.example', false, false],
])('%s may lead to this machine: %s, and to a private network: %s', (vid, trustLoopback, trustPrivate) => {
  expect(nearOfNamed(parseVid(vid))).toEqual({ trustLoopback, trustPrivate })
})
