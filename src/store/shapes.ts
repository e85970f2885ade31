// What is kept across restarts, in shapes narrow enough for SQL and for Redis: rows with a key, a text and an end.

/** `trust`, `revoked` and `deactivated` are followed: a running proxy hears of a change to them within a second. */
export type Table = 'trust' | 'revoked' | 'deactivated' | 'enrolment' | 'replay' | 'api_keys' | 'api_key_slots' | 'api_key_uses' | 'login' | 'tsp'

export interface Row {
  key: string
  /** JSON, written and read by one room alone. */
  value: string
  /** After this the row is not there. Undefined: it stays. */
  expiresAtMs: number | undefined
}

/** Every function fails with `store_failed` when the store cannot do its work, and then has done nothing. */
export interface Store {
  /** Puts a row; false when there is one of that key that has not expired. Of many processes that try, one gets true. */
  add(table: Table, row: Row): Promise<boolean>
  /** Puts a row in place of the one that may be there. */
  put(table: Table, row: Row): Promise<void>
  get(table: Table, key: string): Promise<Row | undefined>
  /** Reads and removes in one step: of many that take, one gets the row. */
  take(table: Table, key: string): Promise<Row | undefined>
  /** Puts a row in the place of the one of that key which still has this value, or removes that one. False when it has another, or is gone. */
  swap(table: Table, key: string, value: string, by: Pick<Row, 'value' | 'expiresAtMs'> | undefined): Promise<boolean>
  /** False when there was none. */
  remove(table: Table, key: string): Promise<boolean>
  /** What has not expired, by key. For tables that stay small, and for operators: never `replay` or `login`. */
  list(table: Table): Promise<Row[]>
  /** Another number after every change to a followed table, by whichever process. Cheap enough to be asked four times a second. */
  version(): Promise<number>
  close(): Promise<void>
}
