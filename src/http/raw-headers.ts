// Headers as they came: of two of one name Node keeps the first, or joins them.

/** How often a header was sent. `name` in lower case. */
export function countOf(rawHeaders: readonly string[], name: string): number {
  let count = 0
  for (let index = 0; index < rawHeaders.length; index += 2) if (rawHeaders[index]?.length === name.length && rawHeaders[index]?.toLowerCase() === name) count++
  return count
}
