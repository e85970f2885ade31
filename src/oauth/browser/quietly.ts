// oidc-provider says on stderr that it does not know this Node, where it is Node 20. We test it there: the sentence would only worry.

/** Loads, and leaves out that one sentence. Whatever else is said meanwhile, by whomever, is said. */
export async function quietly<T>(load: () => Promise<T>): Promise<T> {
  const { warn } = console
  console.warn = (...words: unknown[]) => {
    if (!isAboutRuntime(words[0])) warn.apply(console, words)
  }
  try {
    return await load()
  } finally {
    console.warn = warn
  }
}

function isAboutRuntime(words: unknown): boolean {
  return typeof words === 'string' && words.includes('oidc-provider WARNING: Unsupported runtime')
}
