// What a configuration was filled in with comes to stand in URLs, commands and what children say. None of it is said again.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { PROGRAM, initializeMessage } from '../support/openmcp.ts'
import { startProgram } from '../support/program.ts'
import { forThisTest } from '../support/tidy.ts'
import { ask } from '../support/wire.ts'

test('a secret of a configuration is in no answer, not on /status and not in the log', async () => {
  const strange = createServer((_req, res) => res.writeHead(500).end('no'))
  await new Promise<void>((resolve) => strange.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void strange.close())
  const address = strange.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const home = mkdtempSync(join(tmpdir(), 'openmcp-secrets-'))
  onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  const file = join(home, 'c.json')
  const mcpServers = {
    strange: { url: `http://127.0.0.1:${port}/\${MY_TOKEN}/mcp` },
    words: { command: 'sh', args: ['-c', 'echo "starting with ${MY_TOKEN}" >&2; exit 3'] },
    none: { command: '/nowhere/${file:pin}' },
  }
  writeFileSync(file, JSON.stringify({ listen: { port: 0 }, mcpServers }))
  writeFileSync(join(home, 'pin'), 'hunter2-of-a-file\n')
  const env = { ...process.env, OPENMCP_HOME: home, MY_TOKEN: 'hunter2-of-the-environment' }
  const program = await forThisTest(startProgram(process.execPath, [PROGRAM, 'run', '--config', file, '--debug'], { env }))
  const [, base = ''] = await program.says(/listening on (http\S+?)\/servers/)
  const told: string[] = []
  for (const name of Object.keys(mcpServers)) {
    const { status, text } = await ask(new URL(`${base}/servers/${name}/mcp`), { body: initializeMessage(1) })
    expect([name, status]).toEqual([name, 502])
    told.push(text)
  }
  told.push((await ask(new URL(`${base}/status`))).text)
  expect(told.join('\n')).toContain('[secret]')
  expect(`${told.join('\n')}${program.stderr.join('\n')}`).not.toContain('hunter2')
})
