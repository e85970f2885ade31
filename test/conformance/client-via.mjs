// Stands where the suite expects a client: puts openmcp in front of the suite's server, then lets the fixture client
// speak to openmcp. The suite appends its server's address; how to start openmcp comes in CONFORMANCE_OPENMCP.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { startOpenmcp } from './openmcp.mjs'

const upstream = process.argv.at(-1)
const settings = JSON.parse(process.env.CONFORMANCE_OPENMCP)

const openmcp = await startOpenmcp({ ...settings, publish: `0:${upstream}`, onLine: (line) => console.error(line) })
const preload = openmcp.credential ? ['--import', import.meta.resolve('./credential.mjs')] : []
const client = spawn(process.execPath, [...preload, join(import.meta.dirname, 'fixture-client.mjs'), openmcp.url], {
  stdio: ['ignore', 'inherit', 'inherit'],
  env: { ...process.env, ...openmcp.credential },
})

// The suite ends a client that takes too long, and cannot know of the two behind this one. Its end of our stdin closes
// when it is gone itself.
process.once('SIGTERM', () => client.kill())
process.stdin.once('end', () => client.kill()).resume()

const [code] = await once(client, 'exit')
await openmcp.stop()
process.exit(code ?? 1)
