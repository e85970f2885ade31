// undici's index loads fetch, WebSocket, caches and mocks with it: 54 ms at start instead of 21. The pool alone is enough
// here; undici is pinned, and the tests of every way out would miss the file if it moved.
declare module 'undici/lib/dispatcher/pool.js' {
  export { Pool as default } from 'undici'
}
