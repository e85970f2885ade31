// How much there is under each name, of names that anybody can make: one that has nothing left is forgotten.

export interface Tally {
  of(name: string): number
  add(name: string, amount: number): void
  takeAway(name: string, amount: number): void
}

export function createTally(): Tally {
  const amounts = new Map<string, number>()
  const of = (name: string): number => amounts.get(name) ?? 0
  return {
    of,
    add(name, amount) {
      amounts.set(name, of(name) + amount)
    },
    takeAway(name, amount) {
      const left = of(name) - amount
      if (left > 0) amounts.set(name, left)
      else amounts.delete(name)
    },
  }
}
