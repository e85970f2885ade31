// What the OpenAPI document of a thousand tools costs inside the program: the first in its process, one after another change of the list, and
// from memory. A process each time, because the first one runs code that no compiler has looked at.   node bench/openapi-document.mjs [DIST]
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const PROCESSES = 20
const LATER = 20
const TOOLS = 1000
const words = process.argv.slice(2)
const kinds = { ordinary, heavy }

/** Two arguments. */
function ordinary(number) {
  const properties = { path: { type: 'string', description: 'A path' }, count: { type: 'integer', minimum: 0, default: number } }
  return { name: `tool_${number}`, description: 'Does something with a path.', inputSchema: { type: 'object', properties, required: ['path'] } }
}

/** Of what it takes and of what it gives, with references into it and recursion. */
function heavy(number) {
  const item = { type: 'object', properties: { a: { type: 'string' }, next: { $ref: '#/$defs/item' } } }
  const properties = {
    path: { type: 'string', description: 'A path', pattern: '^/' },
    kind: { enum: ['a', 'b', 'c'] },
    list: { type: 'array', items: { $ref: '#/$defs/item' } },
    count: { type: 'integer', minimum: 0, maximum: 100, default: number },
  }
  const schema = { type: 'object', properties, required: ['path'], additionalProperties: false, $defs: { item } }
  return { name: `tool_${number}`, description: 'Does something with a path, and tells of it. '.repeat(4), inputSchema: schema, outputSchema: schema }
}

if (words[0] === '--one') await one(words[1], words[2], words[3])
else {
  for (const kind of Object.keys(kinds)) {
    for (const form of ['tools', 'mcpo']) {
      const runs = Array.from({ length: PROCESSES }, () => {
        const { stdout, stderr } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--one', path.resolve(words[0] ?? 'dist'), kind, form], {
          encoding: 'utf8',
        })
        if (stdout === '') throw new Error(stderr)
        return JSON.parse(stdout)
      })
      const told = (of) => `${quantile(runs.map(of), 0.5)} ms (least ${quantile(runs.map(of), 0)})`
      console.log(
        `${kind}, ${form}, ${Math.round(runs[0].bytes / 1000)} kB: first ${told(({ first }) => first)}, of the CPU ${told(({ firstCpu }) => firstCpu)}; later ${told(({ later }) => later)}; from memory ${told(({ kept }) => kept)}`,
      )
    }
  }
}

async function one(dist, kind, form) {
  const { createDocuments } = await import(pathToFileURL(path.join(dist, 'openapi/documents.js')).href)
  const documents = createDocuments()
  const listed = JSON.stringify(Array.from({ length: TOOLS }, (_, number) => kinds[kind](number)))
  const about = { serverInfo: { name: 'bench', version: '1' } }
  const make = (tools) => {
    let bytes = 0
    const res = { writeHead: () => res, end: (body) => void (bytes = body.length), req: {} }
    const [began, cpu] = [performance.now(), process.cpuUsage()]
    documents({ headers: {} }, res, [{ server: 'bench', place: '', about, tools, resources: [], prompts: [], resourceTemplates: [] }], {
      base: '',
      form,
      guarded: true,
    })
    const { user, system } = process.cpuUsage(cpu)
    return { ms: performance.now() - began, cpuMs: (user + system) / 1000, bytes }
  }
  let tools = JSON.parse(listed)
  const first = make(tools)
  const later = []
  for (let time = 0; time < LATER; time++) {
    tools = JSON.parse(listed)
    later.push(make(tools).ms)
  }
  const kept = Array.from({ length: LATER }, () => make(tools).ms)
  process.stdout.write(JSON.stringify({ first: first.ms, firstCpu: first.cpuMs, bytes: first.bytes, later: quantile(later, 0.5), kept: quantile(kept, 0.5) }))
}

function quantile(values, part) {
  const sorted = values.toSorted((a, b) => a - b)
  return Number(sorted[Math.round((sorted.length - 1) * part)].toFixed(1))
}
