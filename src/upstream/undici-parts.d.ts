// undici's index loads fetch, WebSocket, caches and mocks with it: 54 ms at start instead of 21. Its parts alone are enough
// here; undici is pinned, and the tests of every way out would miss a file if it moved.
declare module 'undici/lib/dispatcher/pool.js' {
  export { Pool as default } from 'undici'
}

declare module 'undici/lib/core/connect.js' {
  export { buildConnector as default } from 'undici'
}
