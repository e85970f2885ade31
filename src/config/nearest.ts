// What a person may have meant by a word that is not known.

/** The known word that is nearest, if it is near: a letter or two wrong. */
export function nearestOf(word: string, known: readonly string[]): string | undefined {
  if (word.length > 40) return undefined
  const typed = word.toLowerCase()
  const [best] = known.map((one) => ({ one, far: distance(typed, one.toLowerCase()) })).toSorted((a, b) => a.far - b.far)
  return best !== undefined && best.far <= Math.max(1, Math.floor(typed.length / 3)) ? best.one : undefined
}

/** Levenshtein: how many letters to add, drop or change. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (const [i, letter] of from.split('').entries()) {
    const next = [i + 1]
    for (const [j, other] of to.split('').entries()) {
      next.push(Math.min((row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1, (row[j] ?? 0) + (letter === other ? 0 : 1)))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
