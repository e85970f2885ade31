// Files that the build wrote for pages, wherever this program lies.
import { readdir, readFile } from 'node:fs/promises'

/** As seen from the bundle (dist/ and dist/chunks/), and from where this file is built or written (dist/http/, src/http/). */
const PLACES = ['./', '../', '../../dist/']

/** `path` is below dist/, like `key-page/page.js`. */
export function readBuilt(path: string): Promise<Buffer> {
  return first((place) => readFile(new URL(place + path, import.meta.url)))
}

/** The names of the files in a folder below dist/. */
export function listBuilt(folder: string): Promise<string[]> {
  return first((place) => readdir(new URL(`${place}${folder}/`, import.meta.url)))
}

async function first<T>(read: (place: string) => Promise<T>): Promise<T> {
  let last: unknown
  for (const place of PLACES) {
    try {
      return await read(place)
    } catch (thrown) {
      last = thrown
    }
  }
  throw last
}

/** What could not be read may be there the next time. */
export function readOnce<T>(load: () => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | undefined
  return () =>
    (loading ??= load().catch((thrown: unknown) => {
      loading = undefined
      throw thrown
    }))
}
