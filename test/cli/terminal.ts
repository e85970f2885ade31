import { Readable, Writable } from 'node:stream'
import type { Io } from '../../src/cli/io.ts'
import { main, type Run } from '../../src/cli/main.ts'

/** What was typed, what was said on which stream, and the exit code. */
export interface Transcript {
  code: number
  stdout: string
  stderr: string
}

export async function type(argv: readonly string[], surroundings: Partial<Io> = {}, run: Run = notExpected): Promise<Transcript> {
  const { said, stream } = listening()
  const io: Io = {
    argv,
    env: process.env,
    platform: process.platform,
    cwd: process.cwd(),
    stdin: Readable.from([]),
    stdout: stream('stdout'),
    stderr: stream('stderr'),
    ...surroundings,
  }
  const code = await main(io, { loadRun: async () => run })
  return { code, ...said }
}

/** What is said on both streams, while it is said. */
export function listening(): { said: Pick<Transcript, 'stdout' | 'stderr'>; stream(name: 'stdout' | 'stderr'): Writable } {
  const said = { stdout: '', stderr: '' }
  return {
    said,
    stream: (name) =>
      new Writable({
        write(chunk, _encoding, done) {
          said[name] += String(chunk)
          done()
        },
      }),
  }
}

async function notExpected(): Promise<number> {
  throw new Error('run was reached')
}
