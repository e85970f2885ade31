// What the fixture's tools, prompts and resources are made of: the smallest bytes that are still a picture and a sound.
export const PNG = {
  data: 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==',
  mimeType: 'image/png',
}
const WAV = { data: 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=', mimeType: 'audio/wav' }

export const text = (words) => ({ type: 'text', text: words })
export const image = () => ({ type: 'image', ...PNG })
export const audio = () => ({ type: 'audio', ...WAV })
export const embedded = (resource) => ({ type: 'resource', resource })

/** The result of a tool: what it has to say, in order. */
export const says = (...content) => ({ content: content.map((part) => (typeof part === 'string' ? text(part) : part)) })
