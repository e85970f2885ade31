// Calls that are being answered: counted, so that stopping can wait for them.

export interface InFlight {
  /** One more; returns what to call when it is over (once counts). */
  begin(): () => void
  readonly size: number
  /** Settles when none is left, or after `seconds`. */
  drained(seconds: number): Promise<void>
}

export function createInFlight(): InFlight {
  let size = 0
  let empty: (() => void) | undefined
  return {
    begin() {
      size++
      let over = false
      return () => {
        if (over) return
        over = true
        if (--size === 0) empty?.()
      }
    },
    get size() {
      return size
    },
    async drained(seconds) {
      if (size === 0) return
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>((resolve) => {
        empty = resolve
        timer = setTimeout(resolve, seconds * 1000)
      })
      clearTimeout(timer)
    },
  }
}
