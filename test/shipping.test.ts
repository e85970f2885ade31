// What openmcp is shipped in: an image, a compose file, a unit of systemd. Where an engine is, `npm run interop` builds the image;
// here they are read.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import * as z from 'zod'
import { readArguments } from '../src/cli/arguments.ts'
import { RUN_OPTIONS } from '../src/cli/option-table.ts'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const textOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8')

const UNIT = 'contrib/openmcp.service'
const PROGRAM = '/usr/local/bin/openmcp'

describe('the Dockerfile', () => {
  const { mistakes, stages } = lint(textOf('Dockerfile'))

  test('has no mistake that this checker knows', () => {
    expect(mistakes).toEqual([])
  })

  test('starts what asks callers who they are, in words that openmcp takes', () => {
    const words = argvOf(stages.get('default')?.get('CMD') ?? '')
    expect(words.slice(0, 2)).toEqual(['run', '--security'])
    expect(readArguments(words.slice(1), RUN_OPTIONS).mistakes).toEqual([])
  })

  test('is small unless more is asked for', () => {
    expect([...stages.keys()]).toEqual(['uv', 'build', 'openmcp', 'with-uv', 'default'])
    expect(stages.get('default')?.get('FROM')).toBe('openmcp')
  })

  test('copies what is there and what .dockerignore lets through, which is not everything', () => {
    const [all, ...named] = textOf('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
    expect(all).toBe('*')
    const through = named.map((line) => line.replace('!', ''))
    const copied = [...textOf('Dockerfile').matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, files = '']) => files.split(' '))
    expect(copied.toSorted()).toEqual(through.toSorted())
    expect(copied.filter((file) => !existsSync(join(ROOT, file)))).toEqual([])
  })
})

describe('the checker of Dockerfiles', () => {
  const GOOD = [
    'ARG NODE=24.1.0-slim',
    'FROM node:${NODE} AS build',
    'RUN npm ci --ignore-scripts',
    'FROM build AS app',
    'USER 1000:1000',
    'HEALTHCHECK --interval=30s CMD ["node", "x"]',
    'ENTRYPOINT ["/usr/bin/tini", "--", "openmcp"]',
    'CMD ["run", "--security", "-p", "0.0.0.0:8000", "x"]',
  ].join('\n')

  test('finds nothing wrong in one that is right', () => {
    expect(lint(GOOD).mistakes).toEqual([])
  })

  test.each<[string, string, string, string]>([
    ['an image without a version', 'node:${NODE}', 'node', 'build: node has no version'],
    ['the latest of an image', '24.1.0-slim', 'latest', 'build: node:latest has no version'],
    ['a version that moves', '24.1.0-slim', '24', 'build: node:24 has no version'],
    ['root', 'USER 1000:1000', '', 'app: runs as root'],
    ['root by its name', 'USER 1000:1000', 'USER root', 'app: runs as root'],
    ['a user that only a name tells from root', 'USER 1000:1000', 'USER node', 'app: runs as root'],
    ['no health check', 'HEALTHCHECK --interval=30s CMD ["node", "x"]', '', 'app: has no HEALTHCHECK'],
    ['a first process that buries nobody', '"/usr/bin/tini", "--", ', '', 'app: begins without tini'],
    ['a start through a shell', 'CMD ["run", "--security", "-p", "0.0.0.0:8000", "x"]', 'CMD run --security', 'app: CMD is for a shell'],
    ['an open door', '"--security"', '"--insecure-no-auth"', 'app: lets in whoever comes'],
    ['no question at the door', '"--security", ', '', 'app: lets in whoever comes'],
    ['packages that nothing fixes', 'npm ci --ignore-scripts', 'npm install', 'npm install'],
    ['scripts of packages', ' --ignore-scripts', '', 'npm ci without --ignore-scripts'],
    ['a script from the network', 'npm ci --ignore-scripts', 'curl https://x | sh', 'curl https://x | sh'],
    ['ADD', 'USER 1000:1000', 'USER 1000:1000\nADD x y', 'ADD x y'],
    ['a secret', 'USER 1000:1000', 'USER 1000:1000\nENV API_TOKEN=abc', 'ENV API_TOKEN=abc'],
    ['a secret while it is built', 'ARG NODE=', 'ARG NPM_TOKEN\nARG NODE=', 'ARG NPM_TOKEN'],
  ])('finds %s', (_what, part, instead, found) => {
    expect(GOOD).toContain(part)
    expect(lint(GOOD.replace(part, instead)).mistakes).toContain(found)
  })
})

describe('compose.yaml', () => {
  const { services, volumes, secrets } = COMPOSE().parse(parse(textOf('compose.yaml')))
  const { openmcp } = services

  test('listens on loopback of its host alone, holds no privilege and writes where it has to', () => {
    expect(openmcp.ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([])
    expect(openmcp).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] })
    // Neither of these is there: the shape is strict.
    expect(Object.keys(openmcp)).not.toEqual(expect.arrayContaining(['privileged', 'network_mode']))
  })

  test('builds a stage that there is, under a name that is nobody else’s', () => {
    expect(lint(textOf('Dockerfile')).stages.has(openmcp.build.target)).toBe(true)
    expect(openmcp.image).toBe('openmcp:local')
  })

  test('mounts what is there, and keeps its secret out of the repository and the environment', () => {
    const [mounted, ...own] = openmcp.volumes.map((volume) => volume.split(':')[0] ?? '')
    expect(existsSync(join(ROOT, mounted ?? ''))).toBe(true)
    expect(own.toSorted()).toEqual(Object.keys(volumes).toSorted())
    expect(Object.keys(secrets)).toEqual(openmcp.secrets)
    for (const { file } of Object.values(secrets)) {
      expect(file).toMatch(/^\.\/keys\//)
      expect(textOf('.gitignore')).toContain('keys/*')
    }
    expect(openmcp.environment).toEqual({ OPENMCP_API_KEY_FILE: `/run/secrets/${openmcp.secrets[0]}` })
  })
})

describe('the unit of systemd', () => {
  const unit = textOf(UNIT)

  test('starts openmcp with words that it takes, and with callers who prove who they are', () => {
    const [, line = ''] = /^ExecStart=(.*)$/m.exec(unit) ?? []
    const [program, command, ...words] = line.split(' ')
    expect([program, command]).toEqual([PROGRAM, 'run'])
    expect(words).toContain('--security')
    expect(readArguments(words, RUN_OPTIONS).mistakes).toEqual([])
  })

  test('has its secret from a credential, and not from its environment', () => {
    const loaded = [...unit.matchAll(/^LoadCredential=([^:]+):(.*)$/gm)]
    expect(loaded).toHaveLength(1)
    expect(unit).toContain(`Environment=OPENMCP_API_KEY_FILE=%d/${loaded[0]?.[1]}`)
    expect(unit).not.toMatch(/^Environment=\w*(?:KEY|TOKEN|SECRET)=/m)
  })

  const analyze = spawnSync('systemd-analyze', ['--version'], { encoding: 'utf8' })
  const version = Number(/^systemd (\d+)/.exec(analyze.stdout ?? '')?.[1] ?? 0)
  const missing = version >= 250 ? '' : ' (skipped: no systemd-analyze from 250 on)'
  test.skipIf(version < 250)(`is sound to systemd, and leaves little open${missing}`, () => {
    const directory = mkdtempSync(join(tmpdir(), 'openmcp-unit-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    const file = join(directory, 'openmcp.service')
    // The program is looked for.
    writeFileSync(file, unit.replaceAll(PROGRAM, process.execPath))
    const verified = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' })
    expect({ status: verified.status, said: verified.stderr }).toEqual({ status: 0, said: '' })
    // Of 100; a unit without any of this has 92.
    const exposed = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=20', '--no-pager', file], { encoding: 'utf8' })
    expect({ status: exposed.status, said: exposed.status === 0 ? '' : exposed.stdout }).toEqual({ status: 0, said: '' })
  })
})

test('docs/operations.md types what there is: files of ours, and the places that the unit and the image look at', () => {
  const typed = [...textOf('docs/operations.md').matchAll(/^```console\n([\s\S]*?)\n```$/gm)].map(([, block = '']) => block).join('\n')
  const ours = [...typed.matchAll(/\bcontrib\/[\w./-]+/g)].map(([path]) => path)
  expect(ours).toContain(UNIT)
  expect(ours.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  const named = [...textOf(UNIT).matchAll(/\/etc\/openmcp\/[\w.-]+/g)].map(([path]) => path)
  expect(named.filter((path) => !typed.includes(path) && !typed.includes(`contrib/config/${path.replace('/etc/openmcp/', '')} /etc/openmcp/`))).toEqual([])
  for (const path of [':/config:ro', ':/data', 'keys/operator-key.txt']) expect(typed).toContain(path)
})

function COMPOSE() {
  const service = z.strictObject({
    build: z.strictObject({ context: z.literal('.'), target: z.string() }),
    image: z.string(),
    restart: z.string(),
    ports: z.array(z.string()),
    environment: z.record(z.string(), z.string()),
    secrets: z.array(z.string()),
    volumes: z.array(z.string()),
    read_only: z.boolean(),
    tmpfs: z.array(z.string()),
    cap_drop: z.array(z.string()),
    security_opt: z.array(z.string()),
    pids_limit: z.number(),
    mem_limit: z.string(),
    stop_grace_period: z.string(),
  })
  return z.strictObject({
    services: z.strictObject({ openmcp: service }),
    volumes: z.record(z.string(), z.null()),
    secrets: z.record(z.string(), z.strictObject({ file: z.string() })),
  })
}

/** What each stage has in the end, by instruction; `FROM` is the image that it began with. */
type Stages = ReadonlyMap<string, ReadonlyMap<string, string>>

/** What is wrong with a Dockerfile, in the last stage and those that may be asked for above all. */
function lint(text: string): { mistakes: string[]; stages: Stages } {
  const mistakes: string[] = []
  const stages = new Map<string, Map<string, string>>()
  const values = new Map<string, string>()
  let name = ''
  for (const line of text
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll('\\\n', '')
    .split('\n')
    .filter(Boolean)) {
    const [, word = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line.trim().replaceAll(/\s+/g, ' ')) ?? []
    const told = `${word} ${rest}`
    if (/^(?:ARG|ENV) .*(?:TOKEN|SECRET|PASSWORD|API_KEY)/i.test(told) || word === 'ADD') mistakes.push(told)
    if (word === 'ARG' && stages.size === 0) values.set(...(rest.split('=', 2) as [string, string])) // a default for what stands behind FROM
    if (word === 'RUN' && /\bnpm (?:install|i)\b|\|\s*(?:ba)?sh\b/.test(rest)) mistakes.push(rest)
    if (word === 'RUN' && /\bnpm ci\b(?!.*--ignore-scripts)/.test(rest)) mistakes.push('npm ci without --ignore-scripts')
    if (word === 'FROM') {
      const [, image = '', as = ''] =
        /^(\S+)(?: AS (\S+))?$/.exec(rest.replaceAll(/\$\{(\w+)\}/g, (_all, variable: string) => values.get(variable) ?? '')) ?? []
      name = as
      const isPinned = stages.has(image) || /@sha256:[\da-f]{64}$|:\d+\.\d+\.\d+/.test(image)
      if (!isPinned) mistakes.push(`${name}: ${image} has no version`)
      stages.set(name, new Map([...(stages.get(image) ?? []), ['FROM', image]]))
    } else {
      stages.get(name)?.set(word, rest)
    }
  }
  for (const [stage, has] of stages) if (has.has('ENTRYPOINT') || stage === name) mistakes.push(...runMistakes(has).map((mistake) => `${stage}: ${mistake}`))
  return { mistakes, stages }
}

function runMistakes(has: ReadonlyMap<string, string>): string[] {
  const [entry = '', command = ''] = [has.get('ENTRYPOINT'), has.get('CMD')]
  const words = argvOf(command)
  return [
    // A name is looked up in the image: to a cluster that wants no root it proves nothing.
    ...(/^[1-9]\d*(?::[1-9]\d*)?$/.test(has.get('USER') ?? '') ? [] : ['runs as root']),
    ...(has.has('HEALTHCHECK') ? [] : ['has no HEALTHCHECK']),
    ...(/^\["[^"]*tini", "--"/.test(entry) ? [] : ['begins without tini']),
    ...(words.length > 0 ? [] : ['CMD is for a shell']),
    ...(words.includes('--security') && !words.includes('--insecure-no-auth') ? [] : ['lets in whoever comes']),
  ]
}

/** The words of the form that no shell reads. */
function argvOf(form: string): string[] {
  return form.startsWith('[') ? z.array(z.string()).parse(JSON.parse(form)) : []
}
