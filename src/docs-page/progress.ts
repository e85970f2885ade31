// A call that tells how far it is: asked for as events, answered as if its result had come alone.
import { isObject, textIn } from './json.ts'
import { withHeaders, type Send } from './proof.ts'

const LONGEST = 200

/** `tell` hears how far it is. What fails is answered with the status that it would have had. */
export async function sendAndFollow(send: Send, url: URL, init: RequestInit, tell: (words: string) => void): Promise<Response> {
  const response = await send(url, withHeaders(init, { accept: 'application/json, text/event-stream' }))
  if (!response.body || !response.headers.get('content-type')?.startsWith('text/event-stream')) return response
  const headers = new Headers(response.headers)
  headers.set('content-type', 'application/json')
  for await (const { event, data } of eventsIn(response.body)) {
    if (event === 'progress') tell(wordsOf(data))
    if (event === 'result') return new Response(data, { headers })
    // Its digits stay as they are: it is not parsed and written again.
    const [, status, rest = ''] = (event === 'error' && /^\{"status":([45]\d\d),(.*)$/s.exec(data)) || []
    if (status !== undefined) return new Response(`{${rest}`, { status: Number(status), headers })
  }
  throw new TypeError('the events ended without an answer')
}

async function* eventsIn(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<{ event: string; data: string }> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let pending = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    pending += value
    const whole = pending.split('\n\n')
    pending = whole.pop() ?? ''
    for (const text of whole) {
      const [, event, data] = /^event: (\w+)\ndata: (.*)$/.exec(text) ?? []
      if (event !== undefined && data !== undefined) yield { event, data }
    }
  }
}

function wordsOf(data: string): string {
  const told: unknown = JSON.parse(data)
  if (!isObject(told)) return ''
  const { progress, total } = told
  const far = typeof progress === 'number' ? `${progress}${typeof total === 'number' ? ` of ${total}` : ''}` : ''
  return [far, textIn(told, 'message')?.slice(0, LONGEST)].filter(Boolean).join(': ')
}
