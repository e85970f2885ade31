// `openmcp help TOPIC` and `openmcp COMMAND --help`.
import { OpenMcpError } from '../../errors.ts'
import { nearestOf } from '../../config/nearest.ts'
import type { Arguments } from '../arguments.ts'
import { print } from '../terminal.ts'
import type { Io } from '../io.ts'
import { createMistakes } from '../mistakes.ts'
import { USAGE } from '../usage.ts'
import { COMMAND_TOPICS } from './command-topics.ts'
import { RUN_TOPICS } from './run-topics.ts'

/** What stands behind `help`: one topic, or none for the first screen. */
export async function help({ words, mistakes }: Pick<Arguments, 'words' | 'mistakes'>, io: Io): Promise<number> {
  const wrong = createMistakes(mistakes)
  const [topic, second] = words
  if (second !== undefined) wrong.add(new OpenMcpError('usage', `openmcp help: one word too many: '${second}'`, { hint: 'openmcp help TOPIC' }))
  if (topic !== undefined && topic !== 'help' && topicOf(topic) === undefined) wrong.add(unknown(topic))
  wrong.throwIfAny()
  return tellTopic(topic ?? '', io)
}

/** The first screen, where the word is none or has no topic. */
export async function tellTopic(topic: string, io: Io): Promise<number> {
  await print(io, topicOf(topic) ?? USAGE)
  return 0
}

function topicOf(topic: string): string | undefined {
  if (topic === 'run') return allOfRun()
  const text = COMMAND_TOPICS.get(topic) ?? RUN_TOPICS.get(topic)
  return text && titled(topic, text)
}

function allOfRun(): string {
  const topics = [...RUN_TOPICS].map(([topic, text]) => titled(topic, text))
  return ['openmcp run [OPTIONS] [-p PUBLISH] [--] [COMMAND [ARG...]]; openmcp --help says it on one screen\n', ...topics].join('\n')
}

function titled(topic: string, text: string): string {
  return `${topic}: ${text}`
}

function unknown(topic: string): OpenMcpError {
  const topics = [...new Set([...RUN_TOPICS.keys(), 'run', ...COMMAND_TOPICS.keys()])]
  const nearest = nearestOf(topic, topics)
  return new OpenMcpError('usage', `openmcp help knows nothing of '${topic}'`, {
    hint: nearest === undefined ? `there is ${topics.join(', ')}` : `did you mean openmcp help ${nearest}`,
  })
}
