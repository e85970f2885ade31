// A connection whose code is loaded when it is made: nobody waits for what they do not use.
import type { Connection } from './options.ts'

export function loadedLater(load: () => Promise<Connection>): Connection {
  let loaded: Connection | undefined
  const loading = load().then((connection) => (loaded = connection))
  const started = loading.then((connection) => connection.started)
  // Whoever starts with it waits for it.
  started.catch(() => {})
  return {
    upstream: () => (loaded ? loaded.upstream() : loading.then((connection) => connection.upstream())),
    messages: () => (loaded ? loaded.messages() : loading.then((connection) => connection.messages())),
    started,
    state: () => loaded?.state() ?? 'connecting',
    failure: () => loaded?.failure(),
    pipes: () => loaded?.pipes() ?? 0,
    endOf: async (isOver) => loaded?.endOf(isOver),
    async close(graceSeconds) {
      await (await loading).close(graceSeconds)
    },
  }
}
