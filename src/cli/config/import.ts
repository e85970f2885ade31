// `openmcp config import`: nothing is filled in on the way, so that a secret stays where it was kept, and nothing is run.
import { importConfig } from '../../config/import/import.ts'
import { createAt, type Finding } from '../../config/at.ts'
import { readSource } from '../../config/source.ts'
import { OpenMcpError } from '../../errors.ts'
import { textOf } from '../machine.ts'
import { createMistakes } from '../mistakes.ts'
import { print, say } from '../terminal.ts'
import type { Asked } from './asked.ts'

export async function bringOver({ reading, words: [file = ''], io }: Asked): Promise<number> {
  const told: OpenMcpError[] = []
  const mistake = ({ path, words, line }: Finding): void =>
    void told.push(new OpenMcpError('usage', `${file}${line === undefined ? '' : `:${line}`}: ${path === '' ? '' : `${path}: `}${words}`))
  const source = readSource(textOf(reading.machine, 'FILE', file), createAt({ mistake, warning: () => {} }))
  createMistakes(told).throwIfAny()
  const imported = importConfig(source?.value)
  if (!imported) {
    throw new OpenMcpError('usage', `${file} is the configuration of no program that is known`, {
      hint: 'there is mcpServers (Claude Desktop and others), servers (VS Code), context_servers (Zed)',
    })
  }
  for (const note of imported.notes) say(io, `${file}: ${note}`)
  await print(io, `${JSON.stringify(imported.config, undefined, 2)}\n`)
  return 0
}
