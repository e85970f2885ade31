// Node 22 has it. The types we build with are those of Node 20, the oldest that we run on; this is what we use of it.
declare module 'node:sqlite' {
  export class DatabaseSync {
    constructor(path: string)
    exec(sql: string): void
    prepare(sql: string): {
      run(...values: (string | number | null)[]): { changes: number | bigint }
      all(...values: (string | number | null)[]): unknown[]
    }
    close(): void
  }
}
