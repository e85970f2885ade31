// What hostile servers and callers are made of.
export function many<T>(count: number, one: (at: number) => T): T[] {
  return Array.from({ length: count }, (_none, at) => one(at))
}

export function repeated(count: number, one: (at: number) => string): string {
  return many(count, one).join('')
}
