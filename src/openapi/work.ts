// What it costs to check a value: counted while it is done, and given up where it is too much.

/** Characters of a step: of those that are compared, counted or copied. */
const CHARS_A_STEP = 100

/** Thrown where the work is not worth it. */
export class Uncheckable extends Error {}

export interface Work {
  /** That are left. */
  steps: number
  levels: number
  /** What a reference of the schema leads to. */
  target(ref: string): unknown
}

export function spend(work: Work, steps = 1): void {
  if ((work.steps -= steps) < 0) throw new Uncheckable()
}

export function spendChars(work: Work, { length }: string): void {
  if (length > CHARS_A_STEP) spend(work, length / CHARS_A_STEP)
}
