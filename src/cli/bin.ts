#!/usr/bin/env node
// The program: the process it runs in, handed to main.
import { Console } from 'node:console'

import { main } from './main.ts'

// stdout carries the protocol or a result. Whatever a library would print there is a word, and words go to stderr.
globalThis.console = new Console(process.stderr, process.stderr)

// A reader that left is no reason to fail.
process.stderr.on('error', () => {})

const code = await main({
  argv: process.argv.slice(2),
  env: process.env,
  platform: process.platform,
  cwd: process.cwd(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
})
// Idle connections and timers of an upstream must not keep a finished program alive.
process.exit(code)
