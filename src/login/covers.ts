/** Whether a resource, as its metadata spells it, is this URL or a path above it at the same origin. A slash at the end makes no other one. */
export function covers(resource: string, asked: URL): boolean {
  const url = resource.length <= 2048 && URL.canParse(resource) ? new URL(resource) : undefined
  if (!url || url.origin !== asked.origin || url.hash !== '' || url.username !== '' || url.password !== '') return false
  if (url.search !== '') return url.search === asked.search && url.pathname === asked.pathname
  const closed = (path: string): string => (path.endsWith('/') ? path : `${path}/`)
  return closed(asked.pathname).startsWith(closed(url.pathname))
}
