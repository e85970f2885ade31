// A home of openmcp on disk: who is in it, and whom it trusts, as people say it on the command line.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

import { isJson, jsonOf, type Json } from './json.ts'
import { typed } from './openmcp.ts'

export interface NodeHome {
  readonly env: Readonly<Record<string, string>>
  /** A command of openmcp in this home; what it prints. Throws what it said when it fails. */
  run(...args: string[]): Promise<string>
  /** An identity of its own, with its private key. */
  identity(name: string, ...options: string[]): Promise<{ did: string; privateJwk: Json }>
}

export async function nodeHome(): Promise<NodeHome> {
  const home = await mkdtemp(join(tmpdir(), 'openmcp-home-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  const env = { OPENMCP_HOME: home }
  const run: NodeHome['run'] = async (...args) => {
    const { code, stdout, stderr } = await typed(args, { env })
    if (code !== 0) throw new Error(`openmcp ${args.join(' ')}: exit code ${code}: ${stderr}`)
    return stdout
  }
  return {
    env,
    run,
    async identity(name, ...options) {
      const did = await run('id', 'create', name, ...options)
      const exported: unknown = JSON.parse(await run('id', 'export', name, '--private'))
      return { did, privateJwk: jsonOf(isJson(exported) ? exported['privateJwk'] : undefined) }
    },
  }
}
