// What the log has said, for one who hears it beside stderr.
import type { LogLevel } from './log.ts'

export type HearLine = (level: LogLevel, text: string) => void

export interface LogLines {
  readonly heard: HearLine
  /** From now on, after the last of what was said before. */
  follow(hear: HearLine): void
}

/** What nobody has heard yet and is kept for them. */
const KEPT = 100

export function createLogLines(): LogLines {
  let early: [LogLevel, string][] | undefined = []
  let hear: HearLine = (level, text) => {
    early?.push([level, text])
    if (early && early.length > KEPT) early.shift()
  }
  return {
    heard: (level, text) => hear(level, text),
    follow(next) {
      const before = early ?? []
      early = undefined
      hear = next
      for (const [level, text] of before) next(level, text)
    },
  }
}
