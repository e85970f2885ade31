// Preload for the suite's program: it imports `fs.globSync`, which Node 20 lacks and only one of its commands, unused
// here, would call. Nothing happens on a Node that has it.
import fs from 'node:fs'
import { register } from 'node:module'

if (!('globSync' in fs)) register('./node20-hooks.mjs', import.meta.url)
