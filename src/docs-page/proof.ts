// What proves who the person at this page is: in memory alone, for requests to this server alone.

export interface Proof {
  /** What goes into `Authorization`, which may have to be fetched. Undefined: nobody has proved anything. */
  header(): Promise<string | undefined>
  /** From now on. It may be another one at each request. */
  set(token: () => Promise<string>): void
}

export function createProof(): Proof {
  let current: (() => Promise<string>) | undefined
  return {
    header: async () => current && `Bearer ${await current()}`,
    set: (token) => void (current = token),
  }
}
