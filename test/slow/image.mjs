// The image, where there is an engine of docker to build it: it starts, asks who calls, runs as nobody, and ends when told. `npm run interop`.
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { freePort } from '../support/free-port.mjs'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const BUILD_LIMIT_MS = 600_000
const LIMIT_MS = 60_000
const NAME = `openmcp-test-${process.pid}`
const IMAGE = 'openmcp:test'

const mistakes = []
const must = (what, holds) => holds || mistakes.push(what)

const engine = docker(['info', '--format', '{{.ServerVersion}}'])
if (engine.status === 0) await tryImage()
else console.log('skipped: there is no engine of docker; test/shipping.test.ts reads the Dockerfile')
for (const mistake of mistakes) console.error(`image: error: ${mistake}`)
if (mistakes.length > 0) process.exitCode = 1

async function tryImage() {
  for (const target of ['default', 'with-uv']) {
    const { status, stderr } = docker(['build', '--target', target, '--tag', target === 'default' ? IMAGE : `${IMAGE}-uv`, '.'], BUILD_LIMIT_MS)
    if (status !== 0) return mistakes.push(`${target} is not built: ${stderr.slice(-2000)}`)
  }
  must('uvx is not in with-uv', docker(['run', '--rm', '--entrypoint', 'uvx', `${IMAGE}-uv`, '--version']).status === 0)
  must('an open door is not refused', docker(['run', '--rm', IMAGE, 'run', '-p', '0.0.0.0:8000', 'cat']).status === 2)

  const port = await freePort()
  const key = randomBytes(32).toString('hex')
  const confined = `--read-only --tmpfs /tmp --tmpfs /data:uid=1000,gid=1000,mode=0700 --cap-drop ALL --security-opt no-new-privileges`
  const told = `run --detach --name ${NAME} ${confined} --env OPENMCP_API_KEY --publish 127.0.0.1:${port}:${port} ${IMAGE}`
  const started = docker(`${told} run --security -p 0.0.0.0:${port} -- cat`.split(' '), LIMIT_MS, { OPENMCP_API_KEY: key })
  try {
    if (started.status !== 0) return mistakes.push(`it does not start: ${started.stderr}`)
    const url = `http://127.0.0.1:${port}`
    if (!(await answers(`${url}/healthz`))) return mistakes.push(`it is never healthy: ${docker(['logs', NAME]).stderr}`)
    const asked = async (headers) =>
      (await fetch(`${url}/mcp`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: '{"jsonrpc":"2.0"}' })).status
    must('a stranger is let in', (await asked({})) === 401)
    must('whoever has the key is not let in', (await asked({ authorization: `Bearer ${key}` })) === 400)
    must('it runs as root', docker(['exec', NAME, 'id', '-u']).stdout.trim() === '1000')
    must('tini is not the first', docker(['exec', NAME, 'cat', '/proc/1/comm']).stdout.trim() === 'tini')
    docker(['stop', '--time', '20', NAME])
    must('it does not end when told', docker(['inspect', '--format', '{{.State.ExitCode}}', NAME]).stdout.trim() === '0')
    must('the key is in its log', !docker(['logs', NAME]).stderr.includes(key))
  } finally {
    docker(['rm', '--force', NAME])
  }
}

async function answers(url) {
  for (const deadline = Date.now() + LIMIT_MS; Date.now() < deadline;) {
    const answer = await fetch(url).catch(() => undefined)
    if (answer?.ok) return true
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  return false
}

function docker(args, timeout = LIMIT_MS, env = {}) {
  const { status, stdout, stderr, error } = spawnSync('docker', args, { cwd: ROOT, encoding: 'utf8', timeout, env: { ...process.env, ...env } })
  return { status, stdout: stdout ?? '', stderr: stderr || error?.message || '' }
}
